"""The published state machine of an idea: which stage may follow which."""

from domain.delivery import TERMINAL, Stage, TaskState
from domain.fact import (
    AttemptEnded,
    Fact,
    GatesRan,
    IdeaEnded,
    QuestionClosed,
    StageReached,
    Steered,
    TaskMoved,
    WaitsChanged,
)
from domain.rollout_fact import RolloutFact

_REVISED = (Stage.VALIDATING, Stage.PLANNING)  # a new revision of the spec, until Deploying
_RELEASED = (
    Stage.AWAITING_DEPLOY_APPROVAL,  # of the next service
    Stage.REMEDIATING,
    Stage.COMPLETED,
    Stage.ROLLED_BACK,  # a revert was released
    Stage.REJECTED,
)

EDGES: dict[Stage, tuple[Stage, ...]] = {
    Stage.REGISTERED: (Stage.VALIDATING, Stage.REJECTED),
    Stage.VALIDATING: (Stage.PLANNING, Stage.NEEDS_REFINEMENT, Stage.REJECTED),
    Stage.NEEDS_REFINEMENT: (Stage.VALIDATING, Stage.REJECTED),
    Stage.PLANNING: (Stage.CRITIQUING, Stage.VALIDATING, Stage.NEEDS_REFINEMENT, Stage.REJECTED),
    Stage.CRITIQUING: (
        *_REVISED,
        Stage.AWAITING_PLAN_APPROVAL,
        Stage.SCHEDULED,
        Stage.REJECTED,
        Stage.COMPLETED,  # a dry run ends with its plan
        Stage.SHADOW_COMPLETED,
    ),
    Stage.AWAITING_PLAN_APPROVAL: (
        *_REVISED,
        Stage.SCHEDULED,
        Stage.REJECTED,
        Stage.SHADOW_COMPLETED,
    ),
    Stage.SCHEDULED: (*_REVISED, Stage.RUNNING),
    Stage.RUNNING: (*_REVISED, Stage.REVIEWING),
    Stage.REVIEWING: (
        *_REVISED,
        Stage.RUNNING,
        Stage.INTEGRATING,
        Stage.REJECTED,
        Stage.SHADOW_COMPLETED,
    ),
    Stage.INTEGRATING: (
        *_REVISED,
        Stage.RUNNING,
        Stage.REVIEWING,
        Stage.AWAITING_DEPLOY_APPROVAL,
        Stage.DEPLOYING,
        Stage.COMPLETED,
        Stage.ROLLED_BACK,  # a revert that touches no service
        Stage.REJECTED,
    ),
    Stage.AWAITING_DEPLOY_APPROVAL: (Stage.DEPLOYING, Stage.COMPLETED, Stage.REJECTED),
    Stage.DEPLOYING: (Stage.MONITORING, *_RELEASED),
    Stage.MONITORING: (Stage.DEPLOYING, *_RELEASED),  # the next service of the same round
    Stage.REMEDIATING: (Stage.ROLLED_BACK, Stage.RUNNING, Stage.PLANNING),
    Stage.DRAINING: (Stage.COMPLETED,),
}
FROM_ANYWHERE = (Stage.DRAINING, Stage.CANCELLED, Stage.FAILED, Stage.SUPERSEDED)
_ENDED_TASKS = (
    TaskState.MERGED,
    TaskState.SKIPPED,
    TaskState.SUPERSEDED,
    TaskState.FAILED,
    TaskState.CANCELLED,
)


def legal(now: Stage, to: Stage) -> bool:
    """Return whether an idea at `now` may be at `to` next; to stay is always legal."""
    if now == to:
        return True
    if now in TERMINAL:
        return False
    return to in EDGES[now] or to in FROM_ANYWHERE


def after_end(fact: Fact, stage: Stage, *, ended: bool) -> bool:
    """Return whether `fact` may still be told of an idea that is at the terminal `stage`.

    What only adds evidence or tidies up may, and what is told of its rollouts, which may go on
    after it; what would change the idea again may not.
    """
    match fact:
        case IdeaEnded():
            return not ended and fact.outcome.stage == stage
        case WaitsChanged():
            return not fact.waits
        case TaskMoved():
            return fact.state in _ENDED_TASKS
        case QuestionClosed():
            return fact.state in ("void", "expired")
        case _:
            return isinstance(fact, Steered | AttemptEnded | GatesRan | RolloutFact)


def stage_after(fact: Fact, stage: Stage) -> Stage:
    """Return the stage of an idea that was at `stage`, once `fact` has been told of it."""
    match fact:
        case StageReached():
            return fact.stage
        case IdeaEnded():
            return fact.outcome.stage
        case _:
            return stage
