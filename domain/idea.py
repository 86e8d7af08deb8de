"""The idea specification: what a person hands in, and what makes one valid."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from domain.operation import Operation
from domain.plan import PlanTask
from domain.record import Record
from domain.repository import Repository

Text = Annotated[str, Field(max_length=20_000)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]


class ChangeKind(StrEnum):
    BREAKING = "breaking"
    FEATURE = "feature"
    FIX = "fix"
    CHORE = "chore"


class Mode(StrEnum):
    LIVE = "live"
    DRY_RUN = "dry_run"
    SHADOW = "shadow"


class Trust(StrEnum):
    OWNER = "owner"
    MEMBER = "member"
    EXTERNAL = "external"


class Initiator(Record):
    """Who handed the idea in; set by the door, never by the file."""

    kind: Literal["human", "bot", "alert"] = "human"
    id: str = ""
    trust: Trust = Trust.EXTERNAL


class Source(Record):
    """Through which door the idea came; set by the door, never by the file."""

    channel: str = "cli"
    external_id: str = ""
    url: str = ""
    delivery_id: str = ""
    received_at_ms: int = 0


class Constraint(Record):
    id: Id
    text: Text
    kind: Literal["must", "must_not", "should"] = "must"
    check: str = ""


class Metric(Record):
    """A measurable success; `builtin` queries are measured by slipway itself."""

    name: str
    source: Literal["prometheus", "datadog", "http", "command", "builtin"] = "builtin"
    query: str
    comparator: Literal["lt", "le", "gt", "ge", "within_pct", "no_worse_than_baseline"]
    target: float = 0
    window: str = ""
    min_samples: int = 1
    severity: Literal["low", "normal", "high"] = "normal"


class Acceptance(Record):
    """One acceptance criterion: given/when/then in words, or a command and its exit code."""

    id: Id
    given: Text = ""
    when: Text = ""
    then: Text = ""
    command: str = ""
    expected: int = 0  # exit code of `command`
    kind: Literal["test", "command", "manual", "metric"] = "test"
    verified_by: str = ""  # a gate, a metric, or a person


class Scope(Record):
    include: tuple[str, ...] = Field(default=("**",), alias="in")
    out: tuple[str, ...] = ()

    model_config = {"populate_by_name": True}


class RepoRef(Record):
    name: str = ""
    url: str
    base: str = ""
    role: Literal["primary", "dependent"] = "primary"
    forge: str = ""


class RecipeRef(Record):
    name: str
    params: dict[str, str | int | bool | tuple[str, ...]] = {}


class Score(Record):
    """RICE: reach x impact x confidence / effort."""

    reach: float = Field(gt=0)
    impact: float = Field(gt=0)
    confidence: float = Field(gt=0, le=1)
    effort: float = Field(gt=0)


class Risk(Record):
    labels: tuple[str, ...] = ()
    level: Literal["low", "normal", "high"] = "low"


class Budget(Record):
    usd: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    attempts: int | None = Field(default=None, ge=1)
    wall_seconds: int | None = Field(default=None, ge=1)
    changed_lines: int | None = Field(default=None, ge=1)
    files: int | None = Field(default=None, ge=1)


class DeploySpec(Record):
    strategy: Literal["none", "direct", "canary", "blue_green"] = "none"


class IdeaSpec(Record):
    """Schema `slipway.idea/1`: one outcome that somebody wants, and how it will be judged."""

    schema_: Literal["slipway.idea/1"] = Field(default="slipway.idea/1", alias="schema")
    id: str = ""
    key: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9._-]{0,99})?$")
    title: str = Field(min_length=1, max_length=120)
    goal: str = Field(default="", max_length=4_000)
    problem: Text = ""
    context: Text = ""
    change: ChangeKind | None = None
    constraints: tuple[Constraint, ...] = ()
    success_metrics: tuple[Metric, ...] = ()
    acceptance: tuple[Acceptance, ...] = ()
    scope: Scope = Scope()
    repos: tuple[RepoRef, ...] = ()
    recipe: RecipeRef | None = None
    changes: tuple[Operation, ...] = ()
    tasks: tuple[PlanTask, ...] = ()
    agent: str = ""  # a backend by name; empty: the first that fits
    priority: Annotated[int, Field(ge=1, le=4)] | Score = 3
    risk: Risk = Risk()
    budget: Budget = Budget()
    validation: tuple[str, ...] = ()  # commands added to the repository's gates
    protected_paths: tuple[str, ...] = ()
    deploy: DeploySpec = DeploySpec()
    approvals: tuple[Literal["start", "plan", "merge", "deploy"], ...] = ()
    knowledge: dict[str, tuple[str, ...]] = {}
    mode: Mode = Mode.LIVE

    model_config = {"populate_by_name": True}


class Idea(Record):
    """An idea as slipway carries it: the specification plus what the door knows."""

    key: str
    spec_digest: str
    spec: IdeaSpec
    repository: Repository
    initiator: Initiator
    source: Source = Source()
    mode: Mode = Mode.LIVE
    revision: int = 1
