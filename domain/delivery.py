"""The life of an idea as data: stages, task states, waits, outcomes, and how patient to be."""

from enum import StrEnum
from typing import Literal

from domain.approval import Envelope
from domain.idea import Idea
from domain.record import Record


class Stage(StrEnum):
    REGISTERED = "Registered"
    VALIDATING = "Validating"
    NEEDS_REFINEMENT = "NeedsRefinement"
    PLANNING = "Planning"
    CRITIQUING = "Critiquing"
    AWAITING_PLAN_APPROVAL = "AwaitingPlanApproval"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    REVIEWING = "Reviewing"
    INTEGRATING = "Integrating"
    AWAITING_DEPLOY_APPROVAL = "AwaitingDeployApproval"
    DEPLOYING = "Deploying"
    MONITORING = "Monitoring"
    REMEDIATING = "Remediating"
    DRAINING = "Draining"
    COMPLETED = "Completed"
    REJECTED = "Rejected"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    SHADOW_COMPLETED = "ShadowCompleted"


TERMINAL = (
    Stage.COMPLETED,
    Stage.REJECTED,
    Stage.CANCELLED,
    Stage.FAILED,
    Stage.ROLLED_BACK,
    Stage.SUPERSEDED,
    Stage.SHADOW_COMPLETED,
)


class TaskState(StrEnum):
    PENDING = "Pending"
    READY = "Ready"
    PREPARING = "Preparing"
    WORKING = "Working"
    VERIFYING = "Verifying"
    REPAIRING = "Repairing"
    READY_TO_MERGE = "ReadyToMerge"
    MERGED = "Merged"
    SKIPPED = "Skipped"
    SUPERSEDED = "Superseded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class FailureClass(StrEnum):
    """Why something ended; each class has its own budget and its own rule for a retry."""

    NONE = "none"
    INFRA = "infra"
    QUOTA = "quota"
    PROVIDER_ERROR = "provider_error"
    FLAKY = "flaky"
    NO_CHANGE = "no_change"
    GATE_FAILED = "gate_failed"
    SCOPE_VIOLATION = "scope_violation"
    TEST_WEAKENED = "test_weakened"
    CONFLICT = "conflict"
    NEEDS_INPUT = "needs_input"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_WALL = "timeout_wall"
    POLICY_DENIED = "policy_denied"
    DETERMINISTIC_ERROR = "deterministic_error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Wait(Record):
    """Why an idea or a task stands still: a flag, its owner, and what would end it."""

    flag: Literal[
        "Paused", "Frozen", "BlockedOnDependency", "BlockedOnQuota", "BlockedOnBudget",
        "BlockedOnCapacity", "AwaitingInput", "AwaitingApproval", "NeedsBackend", "InTrain",
    ]  # fmt: skip
    owner: str  # who can end it: a person, the train, the calendar
    predicate: str  # what would end it, in words
    since_ms: int
    recheck_ms: int = 0  # when slipway looks again by itself; 0: only on a message
    subject: str = ""  # approval id, question id or task id


class Outcome(Record):
    """How an idea ended, and why."""

    stage: Stage
    failure: FailureClass = FailureClass.NONE
    reason: str = ""


class Patience(Record):
    """How long to wait and how often to try; part of the start input, so that tests pass seconds.

    All values in seconds. The fast profile is for our own server, the calm one for any other.
    """

    heartbeat: float = 30
    workflow_task: float = 10
    quick: float = 30  # start-to-close of reads, records and git plumbing
    retry_first: float = 1
    retry_max: float = 30
    plan: float = 600
    deploy: float = 3_600  # building, starting, draining
    agent_slack: float = 120  # on top of the wall limit of an attempt
    gate_slack: float = 300  # on top of the time limit of a gate, for checkout and environment
    train_idle: float = 600  # a train without entries ends after this
    batch_window: float = 0.2
    answer_by: float = 86_400
    use_by: float = 86_400


FAST = Patience(heartbeat=2, workflow_task=2, retry_first=0.2, retry_max=5)
CALM = Patience()


class Width(Record):
    """How much at once for one idea (per host and in all: the slots of the workers)."""

    tasks: int = 8
    review_rounds: int = 3


class StartDelivery(Record):
    """The start input of `DeliverIdea`; the idea file travels whole only here."""

    idea: Idea
    patience: Patience = CALM
    width: Width = Width()
    intake: Envelope | None = None


class Steer(Record):
    """A steering message: who, through which door, and why."""

    actor: str
    via: str = "cli"
    reason: str = ""
    task: str = ""
    mode: Literal["now", "drain"] = "now"  # of cancel


class Answer(Record):
    """An answer to a question that an agent or the planner asked."""

    question: str
    text: str
    actor: str
    via: str = "cli"


class Revise(Record):
    """A new version of the specification for an idea that is not yet deployed."""

    idea: Idea
    actor: str
    via: str = "cli"
    reason: str = ""
