"""Reading rollouts: rows of one transaction as the views that doors show."""

import json
from typing import Any

from sqlalchemy import Connection, Row, func, select

from domain.errors import Rejected
from domain.rollout import ENDED, Quarantined
from domain.rollout_fact import HookRan, RolloutMoved, VerdictGiven
from domain.rollout_view import (
    HookView,
    MoveView,
    RolloutFilter,
    RolloutLine,
    RolloutRecord,
    VerdictView,
)
from integrations.rollout_rows import line, weights_of
from integrations.tables import quarantine, rollout_story, rollouts

Found = Row[Any]
Own = RolloutMoved | VerdictGiven | HookRan
_OWN: dict[str, type[Own]] = {
    "rollout_moved": RolloutMoved,
    "verdict_given": VerdictGiven,
    "hook_ran": HookRan,
}


def lines(conn: Connection, wanted: RolloutFilter, limit: int) -> tuple[RolloutLine, ...]:
    """Return the newest rollouts first."""
    order = (rollouts.c.created_at_ms.desc(), rollouts.c.rollout.desc())
    query = select(rollouts).order_by(*order).limit(limit)
    if wanted.target:
        target = func.lower(rollouts.c.target)
        query = query.where(target.contains(wanted.target.lower(), autoescape=True))
    if wanted.repository:
        query = query.where(rollouts.c.repository == wanted.repository)
    if wanted.key:
        query = query.where(rollouts.c.key == wanted.key)
    if wanted.active:
        query = query.where(rollouts.c.state.not_in(ENDED))
    return tuple(line(row) for row in conn.execute(query))


def of_idea(conn: Connection, key: str) -> tuple[RolloutLine, ...]:
    """Return the rollouts of an idea, oldest first."""
    return lines(conn, RolloutFilter(key=key), 1_000)[::-1]


def begun(conn: Connection, start: str, limit: int) -> tuple[str, ...]:
    """Return the newest rollouts whose id begins like this."""
    found = rollouts.c.rollout.startswith(start, autoescape=True)
    query = select(rollouts.c.rollout).where(found).order_by(rollouts.c.rollout.desc())
    return tuple(conn.execute(query.limit(limit)).scalars())


def record(conn: Connection, rollout: str) -> RolloutRecord:
    """Return all that is known of a rollout; raises `Rejected` (code `unknown_rollout`)."""
    row = conn.execute(select(rollouts).where(rollouts.c.rollout == rollout)).first()
    if row is None:
        raise unknown(rollout)
    told = _story(conn, rollout)
    return RolloutRecord.model_validate(
        line(row).model_dump()
        | {name: _parsed(getattr(row, name)) for name in ("plan", "undo", "result")}
        | {
            "moves": tuple(_move(at, fact) for at, fact in told if isinstance(fact, RolloutMoved)),
            "verdicts": tuple(
                VerdictView(at_ms=at, step=fact.step, verdict=fact.verdict)
                for at, fact in told
                if isinstance(fact, VerdictGiven)
            ),
            "hooks": tuple(_hook(at, fact) for at, fact in told if isinstance(fact, HookRan)),
            "weights": weights_of(conn, rollout),
            "barred": _barred(conn, rollout),
        }
    )


def unknown(rollout: str) -> Rejected:
    """Return the error for an id that no rollout has."""
    return Rejected(
        f"There is no rollout {rollout!r:.80}",
        code="unknown_rollout",
        hint="`slipway release list` shows all.",
    )


def _parsed(text: str | None) -> object:
    return json.loads(text) if text else None


def _story(conn: Connection, rollout: str) -> list[tuple[int, Own]]:
    query = select(rollout_story).where(
        rollout_story.c.rollout == rollout, rollout_story.c.kind.in_(_OWN)
    )
    return [
        (row.at_ms, _OWN[row.kind].model_validate_json(row.fact))
        for row in conn.execute(query.order_by(rollout_story.c.seq))
    ]


def _move(at_ms: int, fact: RolloutMoved) -> MoveView:
    return MoveView(
        at_ms=at_ms, state=fact.state, step=fact.step, weight=fact.weight, reason=fact.reason
    )


def _hook(at_ms: int, fact: HookRan) -> HookView:
    return HookView(at_ms=at_ms, hook=fact.hook, ok=fact.ok, reason=fact.reason)


def _barred(conn: Connection, rollout: str) -> tuple[Quarantined, ...]:
    query = select(quarantine).where(quarantine.c.rollout == rollout).order_by(quarantine.c.sha)
    return tuple(Quarantined.model_validate(row._asdict()) for row in conn.execute(query))
