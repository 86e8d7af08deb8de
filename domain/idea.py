"""The idea specification: what a person hands in, and what makes one valid."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from domain.errors import Problem
from domain.operation import Operation
from domain.plan import PlanTask
from domain.record import Record, digest
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


NO_TEST_LOST = Metric(name="tests", query="tests.failed", comparator="no_worse_than_baseline")


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
    """`auto`: as the repository's services say; `none`: the idea ends with the merge."""

    strategy: Literal["auto", "none"] = "auto"


class Repair(Record):
    """How the idea mends itself when its release had to be undone; unsaid, it is reverted."""

    kind: Literal["forward", "revert", "flag_off"] = "forward"
    goal: str = Field(default="", max_length=4_000)
    recipe: RecipeRef | None = None
    changes: tuple[Operation, ...] = ()
    tasks: tuple[PlanTask, ...] = ()


class IdeaSpec(Record):
    """Schema `slipway.idea/1`: one outcome that somebody wants, and how it will be judged."""

    refused_keys: ClassVar[Mapping[str, str]] = {
        "initiator": "slipway sets it from the one who starts the idea; remove it",
        "trust": "slipway sets it from the one who starts the idea; remove it",
        "source": "slipway sets it from the door through which the idea comes; remove it",
        "monitor": "how a release is watched stands in the service (.slipway.yaml); remove it",
        "iterations": "this release runs an idea once; remove it",
        "relates": "this release does not relate ideas to each other; remove it",
    }

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
    repair: Repair | None = None
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


class RecipeDefaults(Protocol):
    """What a recipe supplies where the specification is silent."""

    @property
    def change(self) -> ChangeKind | None: ...
    @property
    def acceptance(self) -> tuple[Acceptance, ...]: ...
    @property
    def metrics(self) -> tuple[Metric, ...]: ...


def with_recipe_defaults(spec: IdeaSpec, recipe: RecipeDefaults) -> IdeaSpec:
    """Fill in the recipe's kind of change, acceptance and metrics; what is written stays.

    Where neither says how success is measured, it is that no test fails that passed before.
    """
    acceptance = spec.acceptance or recipe.acceptance
    metrics = spec.success_metrics or recipe.metrics
    return spec.but(
        change=spec.change or recipe.change,
        acceptance=acceptance,
        success_metrics=metrics or (() if acceptance else (NO_TEST_LOST,)),
    )


def canonical_spec(document: Mapping[str, object]) -> bytes:
    """Return the document as written, keys sorted, without id, key and mode.

    Defaults are not filled in: one that is added later would change every key.
    """
    told = {name: value for name, value in document.items() if name not in _NOT_CONTENT}
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def spec_digest(document: Mapping[str, object]) -> str:
    """Return the SHA-256 (hex) that names this specification, whatever it is called."""
    return digest(canonical_spec(document))


def idea_key(document: Mapping[str, object], repository_id: str) -> str:
    """Return the given key, or one from the title, the repository and the content."""
    given = document.get("key")
    if given:
        return str(given)
    content = repository_id.encode() + b"\n" + canonical_spec(document)
    return f"{_slug(str(document.get('title', '')))}-{digest(content)[:8]}"


def _slug(title: str) -> str:
    """Turn a title into at most 40 characters of a-z, 0-9 and single dashes."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "idea"


def refusals(idea: Idea, cap: Budget | None = None) -> tuple[Problem, ...]:
    """Return why the idea cannot be planned as it stands; empty: it can.

    `cap` bounds the budget; without it the caps of the initiator's trust hold.
    """
    spec = idea.spec
    return (
        *_without_work(spec),
        *_unmeasurable(spec),
        *_uncheckable(spec),
        *_ambiguous(spec),
        *_not_yet(spec),
        *_unrepairable(spec),
        *_above_cap(spec.budget, cap or CAPS[idea.initiator.trust]),
    )


_NOT_CONTENT = ("id", "key", "mode")
_MEASURED_NOW = ("builtin", "command")
CAPS: Mapping[Trust, Budget] = {
    Trust.OWNER: Budget(
        usd=100, tokens=50_000_000, attempts=100, wall_seconds=7 * 86_400, changed_lines=100_000,
        files=10_000,
    ),
    Trust.MEMBER: Budget(
        usd=25, tokens=10_000_000, attempts=30, wall_seconds=86_400, changed_lines=10_000,
        files=1_000,
    ),
    Trust.EXTERNAL: Budget(
        usd=5, tokens=2_000_000, attempts=10, wall_seconds=6 * 3_600, changed_lines=1_000,
        files=100,
    ),
}  # fmt: skip


def _without_work(spec: IdeaSpec) -> Iterator[Problem]:
    ways = [name for name in ("recipe", "changes", "tasks") if getattr(spec, name)]
    if len(ways) > 1:
        text = f"{' and '.join(ways)} both say what to do; slipway cannot tell which one holds"
        yield Problem(code="ambiguous_work", message=text, path=ways[1], hint="keep one of them")
    if not ways and not spec.goal.strip():
        text = "the idea says neither what to change nor what is wanted"
        hint = "write a goal, or give a recipe, changes or tasks"
        yield Problem(code="no_work", message=text, path="goal", hint=hint)
    if not spec.scope.include:
        text = "scope.in is empty: no file may be changed"
        yield Problem(code="empty_scope", message=text, path="scope.in", hint="leave it out")


def _unmeasurable(spec: IdeaSpec) -> Iterator[Problem]:
    if not spec.acceptance and not any(metric.query.strip() for metric in spec.success_metrics):
        yield Problem(
            code="not_measurable",
            message="nothing says how success is measured: no acceptance and no metric",
            path="acceptance",
            hint="add an acceptance with a command, or a success metric with a query",
        )


def _uncheckable(spec: IdeaSpec) -> Iterator[Problem]:
    metrics = tuple(metric.name for metric in spec.success_metrics)
    for at, one in enumerate(spec.acceptance):
        if _can_be_checked(one, metrics):
            continue
        yield Problem(
            code="not_checkable",
            message=f"no gate can check acceptance {one.id}: {_lack(one)}",
            path=f"acceptance[{at}]",
            hint="give a command, name a gate in verified_by, or mark it kind: manual",
        )


def _can_be_checked(one: Acceptance, metrics: tuple[str, ...]) -> bool:
    match one.kind:
        case "manual":
            return bool(one.then or one.given or one.when or one.verified_by)
        case "metric":
            return one.verified_by in metrics
        case "command":
            return bool(one.command.strip())
        case _:
            return bool(one.command.strip() or one.verified_by)


def _lack(one: Acceptance) -> str:
    match one.kind:
        case "manual":
            return "it is manual, but does not say what a person looks at"
        case "metric":
            return f"verified_by names no success metric ({one.verified_by[:40]!r})"
        case "command":
            return "it is a command, but has none"
        case _:
            return "it has neither a command nor a gate"


def _ambiguous(spec: IdeaSpec) -> Iterator[Problem]:
    for name in ("acceptance", "constraints"):
        seen: dict[str, int] = {}
        for at, one in enumerate(getattr(spec, name)):
            if one.id in seen:
                text = f"{name}[{seen[one.id]}] and {name}[{at}] have the same id {one.id}"
                yield Problem(code="duplicate_id", message=text, path=f"{name}[{at}].id")
            seen.setdefault(one.id, at)


def _not_yet(spec: IdeaSpec) -> Iterator[Problem]:
    """Tell what this release cannot do: silence would be a promise."""
    if len(spec.repos) > 1:
        text = f"the idea names {len(spec.repos)} repositories; this release changes one"
        yield _later("repos[1]", text, "split it into one idea per repository")
    for at, metric in enumerate(spec.success_metrics):
        if metric.source not in _MEASURED_NOW:
            text = f"metric {metric.name[:40]!r} is read from {metric.source} after a deployment"
            yield _later(f"success_metrics[{at}].source", text, "use source: command or builtin")
    for at, constraint in enumerate(spec.constraints):
        if constraint.check:
            text = f"the check of constraint {constraint.id} would not be run"
            yield _later(f"constraints[{at}].check", text, "put the command under validation")


def _unrepairable(spec: IdeaSpec) -> Iterator[Problem]:
    repair = spec.repair
    if repair is None:
        return
    ways = [name for name in ("recipe", "changes", "tasks") if getattr(repair, name)]
    if repair.kind == "revert" and ways:
        text = f"repair is a revert and has {ways[0]} too; slipway cannot tell which one holds"
        yield Problem(code="ambiguous_work", message=text, path="repair", hint="use kind: forward")
    if repair.kind != "revert" and len(ways) != 1:
        text = "repair needs exactly one of recipe, changes and tasks"
        hint = "say what mends the change, or kind: revert"
        yield Problem(code="no_work", message=text, path="repair", hint=hint)


def _later(path: str, message: str, hint: str) -> Problem:
    return Problem(code="not_yet", message=message, path=path, hint=hint)


def _above_cap(budget: Budget, cap: Budget) -> Iterator[Problem]:
    for name in Budget.model_fields:
        asked, most = getattr(budget, name), getattr(cap, name)
        if asked is not None and most is not None and asked > most:
            text = f"budget.{name} is {asked:g}, the cap of who starts the idea is {most:g}"
            yield Problem(code="above_cap", message=text, path=f"budget.{name}")
