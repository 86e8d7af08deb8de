"""A rollout as records keep it and doors show it: schema `slipway.rollout/1`."""

from typing import Literal

from pydantic import Field

from domain.record import Record
from domain.rollout import Quarantined, RolloutPlan, RolloutResult, RolloutState, Undo
from domain.verdict import Verdict


class RolloutFilter(Record):
    """Which rollouts to list; what is empty does not filter."""

    target: str = ""  # part of it
    repository: str = ""  # its id
    key: str = ""  # of the idea
    active: bool = False  # only those that have not ended


class RolloutLine(Record):
    """One rollout in a list, and what budgets and figures are computed from."""

    rollout: str
    key: str  # the idea
    round: int
    target: str
    repository: str = ""  # its id
    service: str = ""
    environment: str = ""
    sha: str = ""
    tag: str = ""
    state: RolloutState
    step: int = 0
    weight: int = 0  # basis points
    reason: str = ""
    first: bool = False
    exposure: float = 0  # largest share of the traffic, 0 to 1
    bad_since_ms: int = 0  # end of the first tick with bad answers
    created_at_ms: int
    started_at_ms: int | None = None  # its first share of the traffic
    updated_at_ms: int
    ended_at_ms: int | None = None


class WeightChange(Record):
    """One order to move traffic: what was intended, and what was read back."""

    rollout: str
    op: str
    weights: dict[str, int]  # basis points by instance
    expected_generation: int
    generation: int | None = None  # None: begun, and nobody knows yet whether it happened
    begun_at_ms: int
    done_at_ms: int | None = None


class MoveView(Record):
    """A state or a share of the traffic, and since when."""

    at_ms: int
    state: RolloutState
    step: int
    weight: int  # basis points
    reason: str = ""


class VerdictView(Record):
    at_ms: int
    step: int
    verdict: Verdict


class HookView(Record):
    at_ms: int
    hook: str
    ok: bool
    reason: str = ""


class RolloutRecord(RolloutLine):
    """All that is known of one rollout; dump with `by_alias`."""

    schema_: Literal["slipway.rollout/1"] = Field(default="slipway.rollout/1", alias="schema")
    plan: RolloutPlan | None = None  # None: refused before it was made
    moves: tuple[MoveView, ...] = ()
    verdicts: tuple[VerdictView, ...] = ()
    hooks: tuple[HookView, ...] = ()
    weights: tuple[WeightChange, ...] = ()
    undo: Undo | None = None
    result: RolloutResult | None = None
    barred: tuple[Quarantined, ...] = ()  # merges that it put in quarantine

    model_config = {"populate_by_name": True}

    @property
    def last_verdicts(self) -> dict[int, Verdict]:
        """Return what the judge said last of each step."""
        return {view.step: view.verdict for view in self.verdicts}
