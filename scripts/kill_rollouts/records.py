"""What slipway has on record, read with nothing of its own but the forms of the records."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from domain.rollout import Quarantined, RolloutPlan, RolloutResult, Served
from domain.rollout_fact import RolloutUndone, VerdictGiven
from domain.rollout_view import WeightChange
from domain.tick import Tick


class Told(NamedTuple):
    """Everything on record of one rollout."""

    state: str
    reason: str
    plan: RolloutPlan | None
    result: RolloutResult | None
    kinds: tuple[str, ...]  # of its facts, in order
    verdicts: tuple[VerdictGiven, ...]
    undone: RolloutUndone | None
    ticks: tuple[Tick, ...]
    barred: tuple[Quarantined, ...]


class Records:
    """A reader of the database of a home."""

    def __init__(self, home: Path) -> None:
        self._path = home / "slipway.db"

    def told(self, rollout: str) -> Told:
        row = self._one(
            "SELECT state, reason, plan, result FROM rollouts WHERE rollout = ?", rollout
        )
        state, reason, plan, result = row or ("unknown", "", None, None)
        story = self.rows(
            "SELECT kind, fact FROM rollout_story WHERE rollout = ? ORDER BY seq", rollout
        )
        undone = [RolloutUndone.model_validate_json(f) for k, f in story if k == "rollout_undone"]
        barred = self.rows("SELECT * FROM quarantine WHERE rollout = ?", rollout)
        return Told(
            state=state,
            reason=reason,
            plan=RolloutPlan.model_validate_json(plan) if plan else None,
            result=RolloutResult.model_validate_json(result) if result else None,
            kinds=tuple(kind for kind, _ in story),
            verdicts=tuple(
                VerdictGiven.model_validate_json(fact) for kind, fact in story
                if kind == "verdict_given"
            ),
            undone=undone[-1] if undone else None,
            ticks=self.ticks(rollout),
            barred=tuple(Quarantined.model_validate(dict(row)) for row in barred),
        )  # fmt: skip

    def ticks(self, rollout: str) -> tuple[Tick, ...]:
        found = self.rows(
            "SELECT tick FROM rollout_ticks WHERE rollout = ? ORDER BY step, seq", rollout
        )
        return tuple(Tick.model_validate_json(text) for (text,) in found)

    def served(self, target: str) -> tuple[Served | None, Served | None]:
        row = self._one("SELECT current, last_passed FROM served WHERE target = ?", target)
        current, passed = row or (None, None)
        return (
            Served.model_validate_json(current) if current else None,
            Served.model_validate_json(passed) if passed else None,
        )

    def weight_changes(self, target: str) -> tuple[WeightChange, ...]:
        """Return all orders to move the traffic of a target, by when they were begun."""
        found = self.rows(
            "SELECT w.* FROM weight_changes w JOIN rollouts r ON r.rollout = w.rollout "
            "WHERE r.target = ? ORDER BY w.begun_at_ms, w.op", target,
        )  # fmt: skip
        return tuple(
            WeightChange.model_validate(dict(row) | {"weights": json.loads(row["weights"])})
            for row in found
        )

    def open_rollouts(self) -> dict[str, str]:
        """Return the state of each rollout that has not ended, by target."""
        return dict(self.rows("SELECT target, state FROM rollouts WHERE ended_at_ms IS NULL"))

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def _one(self, query: str, *values: str) -> sqlite3.Row | None:
        found = self.rows(query, *values)
        return found[0] if found else None

    def rows(self, query: str, *values: str) -> list[Any]:
        address = f"file:{self._path}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(query, values).fetchall()
