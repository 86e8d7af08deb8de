"""What the ledger is told of a rollout: its plan, its way, what the judge said, how it ended."""

from typing import Literal

from domain.record import Record
from domain.rollout import (
    ENDED,
    Quarantined,
    RolloutPlan,
    RolloutResult,
    RolloutState,
    Undo,
)
from domain.verdict import Verdict


class RolloutPlanned(Record):
    """Told again when a rollout is planned anew, as after a freeze window."""

    kind: Literal["rollout_planned"] = "rollout_planned"
    plan: RolloutPlan


class RolloutMoved(Record):
    """A rollout is in another state, or has another share of the traffic."""

    kind: Literal["rollout_moved"] = "rollout_moved"
    rollout: str
    state: RolloutState
    step: int = 0
    weight: int = 0  # basis points
    reason: str = ""
    target: str = ""  # needed only before the plan is told


class VerdictGiven(Record):
    kind: Literal["verdict_given"] = "verdict_given"
    rollout: str
    step: int
    verdict: Verdict


class RolloutUndone(Record):
    kind: Literal["rollout_undone"] = "rollout_undone"
    undo: Undo


class RolloutEnded(Record):
    """Make it with `ended`: verdict and undo have facts of their own."""

    kind: Literal["rollout_ended"] = "rollout_ended"
    result: RolloutResult


class MergesQuarantined(Record):
    kind: Literal["merges_quarantined"] = "merges_quarantined"
    items: tuple[Quarantined, ...]


class QuarantineCured(Record):
    """The commit `cure` mends the undone merge `sha`."""

    kind: Literal["quarantine_cured"] = "quarantine_cured"
    repository: str  # its id
    sha: str
    cure: str
    cure_kind: Literal["fix", "revert", "flag_off"]


class HookRan(Record):
    kind: Literal["hook_ran"] = "hook_ran"
    rollout: str
    hook: str
    ok: bool
    reason: str = ""


RolloutFact = (
    RolloutPlanned
    | RolloutMoved
    | VerdictGiven
    | RolloutUndone
    | RolloutEnded
    | MergesQuarantined
    | QuarantineCured
    | HookRan
)

_MAY_BE_UNDONE = (RolloutState.PASSED, RolloutState.HELD, RolloutState.RESTORED_UNVERIFIED)
_UNDOING = (RolloutState.UNDOING, RolloutState.UNDONE, RolloutState.RESTORED_UNVERIFIED)


def ended(result: RolloutResult) -> RolloutEnded:
    """Return the fact of an end, without what other facts have told."""
    return RolloutEnded(result=result.but(verdict=None, undo=None))


def follows(now: RolloutState, to: RolloutState) -> bool:
    """Return whether a rollout at `now` may be at `to` next.

    An ended one stays as it is, but a person may still undo what passed or stands still. Two
    workflows tell of one rollout, so a late word of the first is no news.
    """
    if now not in ENDED or now == to:
        return True
    return now in _MAY_BE_UNDONE and to in _UNDOING
