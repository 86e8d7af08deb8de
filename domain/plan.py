"""A plan: tasks as a graph, milestones, criteria, risks; the skeleton that travels in history."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from domain.operation import Operation
from domain.record import ArtifactRef, Record


class TaskKind(StrEnum):
    CODE = "code"
    TEST = "test"
    DOCS = "docs"
    MIGRATION = "migration"
    CONFIG = "config"
    INFRA = "infra"
    RESEARCH = "research"
    VERIFY = "verify"


class Dependency(Record):
    task: str
    when: Literal["merged", "reviewed", "done"] = "merged"
    reason: str = ""  # why an edge was added that nobody wrote


class TaskLimits(Record):
    """Hard limits of one attempt; seconds and MiB."""

    wall_seconds: int = 1_800
    idle_seconds: int = 600
    memory_mib: int = 4_096
    processes: int = 256
    attempts: int = 3  # first try and repair rounds together


class AgentChoice(Record):
    """Who does a task, and with what: operations for `builtin`, words for any other."""

    backend: str = "builtin"
    operations: tuple[Operation, ...] = ()
    prompt: str = ""
    limits: TaskLimits = TaskLimits()


class Rollback(Record):
    kind: Literal["revert", "forward", "script"] = "revert"
    steps: tuple[str, ...] = ()
    irreversible: bool = False


class PlanTask(Record):
    """One piece of work that one agent can finish."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str = Field(min_length=1, max_length=200)
    kind: TaskKind = TaskKind.CODE
    milestone: str = ""
    depends_on: tuple[Dependency, ...] = ()
    touches: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    agent: AgentChoice = AgentChoice()
    accepts: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()  # empty: all gates of the repository
    tests_must_fail_first: bool = False
    est_lines: int | None = None
    risk: Literal["low", "normal", "high"] = "low"
    rollback: Rollback = Rollback()


class Milestone(Record):
    id: str
    title: str
    exit: tuple[str, ...] = ()
    order: int = 0


class RiskEntry(Record):
    id: str
    text: str
    likelihood: int = Field(ge=1, le=5)
    impact: int = Field(ge=1, le=5)
    trigger: str = ""
    mitigation: str = ""
    owner: str = "slipway"
    status: Literal["open", "mitigated", "accepted"] = "open"


class Estimate(Record):
    """None means unknown: nothing like it has been measured yet."""

    usd: float | None = None
    tokens: int | None = None
    wall_seconds_p50: float | None = None
    wall_seconds_p90: float | None = None


class PlanFinding(Record):
    severity: Literal["info", "warning", "error"]
    text: str
    task: str = ""


class Coverage(Record):
    acceptance: str
    tasks: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    manual: bool = False


class PlanDraft(Record):
    """What a planner returns; pure code completes it into a `Plan`."""

    tasks: tuple[PlanTask, ...]
    milestones: tuple[Milestone, ...] = ()
    risks: tuple[RiskEntry, ...] = ()
    rationale: str = ""
    created_by: str = "builtin"


class Plan(Record):
    """Schema `slipway.plan/1`."""

    schema_: Literal["slipway.plan/1"] = Field(default="slipway.plan/1", alias="schema")
    plan_id: str
    version: int = 1
    idea_key: str
    created_by: str
    spec_digest: str
    base_sha: str
    estimate: Estimate = Estimate()
    rationale: str = ""
    milestones: tuple[Milestone, ...] = ()
    tasks: tuple[PlanTask, ...]
    risk_register: tuple[RiskEntry, ...] = ()
    critique: tuple[PlanFinding, ...] = ()
    coverage: tuple[Coverage, ...] = ()

    model_config = {"populate_by_name": True}


class SkeletonTask(Record):
    """As much of a task as the workflow needs to schedule it."""

    id: str
    title: str
    needs: tuple[str, ...] = ()
    weight: int = 1  # estimated cost, for longest remaining path first
    attempts: int = 3
    wall_seconds: int = 1_800
    covers: tuple[str, ...] = ()  # acceptance ids, so that skipping one can be refused


class Skeleton(Record):
    """A plan as history carries it; the whole plan is the artifact."""

    plan: ArtifactRef
    plan_id: str
    version: int
    created_by: str
    tasks: tuple[SkeletonTask, ...]
