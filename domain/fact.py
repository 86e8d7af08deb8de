"""What the ledger is told: one fact per thing that happened, each with a row and an event."""

from typing import Annotated, Literal

from pydantic import Field

from domain.approval import Question
from domain.change import Change, Release
from domain.delivery import FailureClass, Outcome, Stage, TaskState, Wait
from domain.idea import Idea
from domain.plan import Skeleton
from domain.policy import Decision
from domain.record import ArtifactRef, Record
from domain.review import GateResult
from domain.rollout_fact import (
    HookRan,
    MergesQuarantined,
    QuarantineCured,
    RolloutEnded,
    RolloutMoved,
    RolloutPlanned,
    RolloutUndone,
    VerdictGiven,
)


class IdeaRevised(Record):
    kind: Literal["idea_revised"] = "idea_revised"
    idea: Idea
    actor: str
    via: str
    reason: str = ""


class StageReached(Record):
    kind: Literal["stage_reached"] = "stage_reached"
    stage: Stage
    reason: str = ""


class WaitsChanged(Record):
    """The complete list of what the idea waits for now; empty: nothing."""

    kind: Literal["waits_changed"] = "waits_changed"
    waits: tuple[Wait, ...]


class BaseResolved(Record):
    kind: Literal["base_resolved"] = "base_resolved"
    base_sha: str
    notes: tuple[str, ...] = ()


class PlanMade(Record):
    kind: Literal["plan_made"] = "plan_made"
    skeleton: Skeleton
    rationale: str = ""


class TaskMoved(Record):
    kind: Literal["task_moved"] = "task_moved"
    task: str
    state: TaskState
    title: str = ""
    reason: str = ""
    failure: FailureClass = FailureClass.NONE


class AttemptEnded(Record):
    kind: Literal["attempt_ended"] = "attempt_ended"
    task: str
    attempt: int
    backend: str
    status: Literal["changed", "no_change", "needs_input", "failed"]
    failure: FailureClass = FailureClass.NONE
    reason: str = ""
    change: Change | None = None
    transcript: ArtifactRef | None = None
    seconds: float = 0
    tokens: int = 0
    micro_usd: int = 0
    tier: str = "none"
    runs: int = 1


class GatesRan(Record):
    """`where` is `task`, `review` or `train`."""

    kind: Literal["gates_ran"] = "gates_ran"
    where: Literal["task", "review", "train"]
    task: str = ""
    attempt: int = 0
    sha: str
    base_sha: str
    results: tuple[GateResult, ...]


class PolicyDecided(Record):
    kind: Literal["policy_decided"] = "policy_decided"
    decision: Decision


class QuestionAsked(Record):
    """An approval that a person must give."""

    kind: Literal["question_asked"] = "question_asked"
    question: Question


class QuestionAnswered(Record):
    kind: Literal["question_answered"] = "question_answered"
    approval: str
    answer_sha256: str
    payload: str
    person: str
    via: str
    decision: str
    reason: str = ""
    self_approved: bool = False


class QuestionClosed(Record):
    kind: Literal["question_closed"] = "question_closed"
    approval: str
    state: Literal["approved", "denied", "expired", "void"]


class InputAsked(Record):
    """Something the planner or an agent needs to know; `options` are suggestions."""

    kind: Literal["input_asked"] = "input_asked"
    question: str  # id
    text: str
    options: tuple[str, ...] = ()
    task: str = ""


class InputGiven(Record):
    kind: Literal["input_given"] = "input_given"
    question: str
    text: str
    actor: str
    via: str


class Steered(Record):
    kind: Literal["steered"] = "steered"
    verb: str
    actor: str
    via: str
    reason: str = ""
    task: str = ""


class ReleaseMade(Record):
    kind: Literal["release_made"] = "release_made"
    release: Release


class IdeaEnded(Record):
    kind: Literal["idea_ended"] = "idea_ended"
    outcome: Outcome


Fact = Annotated[
    IdeaRevised
    | StageReached
    | WaitsChanged
    | BaseResolved
    | PlanMade
    | TaskMoved
    | AttemptEnded
    | GatesRan
    | PolicyDecided
    | QuestionAsked
    | QuestionAnswered
    | QuestionClosed
    | InputAsked
    | InputGiven
    | Steered
    | ReleaseMade
    | RolloutPlanned
    | RolloutMoved
    | VerdictGiven
    | RolloutUndone
    | RolloutEnded
    | MergesQuarantined
    | QuarantineCured
    | HookRan
    | IdeaEnded,
    Field(discriminator="kind"),
]
