"""Planning: turn an idea into a checked plan, without a model or with one."""

from typing import Literal, Protocol

from temporalio import activity

from activities.heartbeat import beating
from domain.drafts import draft_of
from domain.errors import Problem, Refused
from domain.idea import Idea, IdeaSpec, RecipeRef
from domain.plan import Plan, PlanDraft, PlanTask, Skeleton
from domain.plan_check import problems
from domain.planner import complete, skeleton
from domain.record import ArtifactRef, Record, digest
from domain.rehearsal import RecipeMatch as RecipeMatch
from domain.rehearsal import Rehearsal as Rehearsal

CONFIDENT = 0.6  # a match below this is a question, not an answer
MOST_TOUCHES = 200
MOST_OPTIONS = 10
PLAN_TYPE = "application/vnd.slipway.plan+json"


class PlanIdea(Record):
    idea: Idea
    round: int
    base_sha: str
    answers: tuple[str, ...] = ()  # what a person answered when the planner asked
    op: str


class Planned(Record):
    """`refused` carries problems, `needs_input` a question with options."""

    status: Literal["planned", "no_change", "needs_input", "refused"]
    skeleton: Skeleton | None = None
    rationale: str = ""
    problems: tuple[Problem, ...] = ()
    question: str = ""
    options: tuple[str, ...] = ()
    irreversible: bool = False
    backends: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()  # at most 200 globs, for policy at phase plan


class Recipes(Protocol):
    def expand(self, recipe: RecipeRef, files: tuple[str, ...]) -> PlanDraft:
        """Return the recipe's tasks; raises `Refused` for an unknown recipe or parameter."""
        ...

    def names(self) -> tuple[str, ...]: ...

    def match(self, goal: str) -> tuple[RecipeMatch, ...]:
        """Return the recipes that the words may mean, the most likely first."""
        ...


class Tree(Protocol):
    async def files(self, repository_id: str, sha: str) -> tuple[str, ...]: ...


class DryRun(Protocol):
    async def rehearse(self, repository_id: str, base_sha: str, task: PlanTask) -> Rehearsal:
        """Count what the builtin operations of `task` would edit, and edit nothing."""
        ...


class PlanStore(Protocol):
    async def put(self, data: bytes, media_type: str = "text/plain") -> ArtifactRef: ...


class Planning:
    """Drafts come from the specification or from recipes; pure code completes and checks them."""

    def __init__(
        self,
        recipes: Recipes,
        tree: Tree,
        dry_run: DryRun,
        plans: PlanStore,
        backends: tuple[str, ...] = ("builtin",),
    ) -> None:
        self._recipes = recipes
        self._tree = tree
        self._dry_run = dry_run
        self._plans = plans
        self._backends = backends

    @activity.defn
    async def plan_idea(self, order: PlanIdea) -> Planned:
        """Plan once; a retry of the same order yields the same plan with the same id."""
        async with beating():
            try:
                files = await self._tree.files(order.idea.repository.id, order.base_sha)
                draft = self._draft(order, files)
                if isinstance(draft, Planned):
                    return draft
                return await self._finish(order, draft, files)
            except Refused as refused:
                return Planned(status="refused", problems=refused.problems)

    def _draft(self, order: PlanIdea, files: tuple[str, ...]) -> PlanDraft | Planned:
        spec = order.idea.spec
        draft = draft_of(spec)
        if draft is not None:
            return draft
        recipe = spec.recipe or self._recipe_meant(spec, order.answers)
        if isinstance(recipe, Planned):
            return recipe
        return self._recipes.expand(recipe, files)

    def _recipe_meant(self, spec: IdeaSpec, answers: tuple[str, ...]) -> RecipeRef | Planned:
        """Find the recipe that the goal means; what is not clear is asked."""
        for answer in answers[-1:]:
            name, *params = answer.split() or [""]
            if name in self._recipes.names():
                return RecipeRef(name=name, params=_params(params))
        matches = self._recipes.match("\n".join((spec.goal, *answers[-1:])))
        for match in matches[:1]:
            if match.confidence >= CONFIDENT and not match.missing:
                return match.recipe
        return Planned(
            status="needs_input",
            question=_question(matches),
            options=tuple(_option(match) for match in matches[:MOST_OPTIONS])
            or self._recipes.names(),
        )

    async def _finish(self, order: PlanIdea, draft: PlanDraft, files: tuple[str, ...]) -> Planned:
        """Complete, check and try the draft; leave out of a recipe what would edit nothing."""
        plan_id = digest(order.op.encode())[:26]
        tried: dict[str, Rehearsal] = {}
        while True:
            plan = complete(draft, order.idea, order.base_sha, plan_id, files)
            if found := problems(plan, order.idea.spec, self._backends):
                return _refused(found)
            tried |= await self._rehearse(order, plan, tried)
            if found := _impossible(plan, tried):
                return _refused(found)
            idle = tuple(task.id for task in plan.tasks if _is_idle(task.id, tried))
            if len(idle) == len(plan.tasks):
                return Planned(status="no_change", rationale="tried: no task would edit anything")
            if order.idea.spec.tasks or not idle:
                return await self._store(plan)
            draft = _without(draft, idle)

    async def _rehearse(
        self, order: PlanIdea, plan: Plan, tried: dict[str, Rehearsal]
    ) -> dict[str, Rehearsal]:
        """Try each builtin task that waits for nobody: only those start from the base commit."""
        return {
            task.id: await self._dry_run.rehearse(order.idea.repository.id, order.base_sha, task)
            for task in plan.tasks
            if task.agent.backend == "builtin" and not task.depends_on and task.id not in tried
        }

    async def _store(self, plan: Plan) -> Planned:
        data = plan.model_dump_json(by_alias=True).encode()
        ref = await self._plans.put(data, PLAN_TYPE)
        touches = tuple(dict.fromkeys(glob for task in plan.tasks for glob in task.touches))
        return Planned(
            status="planned",
            skeleton=skeleton(plan, ref),
            rationale=plan.rationale,
            irreversible=any(task.rollback.irreversible for task in plan.tasks),
            backends=tuple(sorted({task.agent.backend for task in plan.tasks})),
            touches=touches[:MOST_TOUCHES] if len(touches) <= MOST_TOUCHES else ("**",),
        )


def _refused(found: tuple[Problem, ...]) -> Planned:
    return Planned(status="refused", problems=found[:20])


def _impossible(plan: Plan, tried: dict[str, Rehearsal]) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            code="operation_failed",
            message=f"task {task.id} fails on the base commit: {tried[task.id].error[:300]}",
            path=f"tasks[{at}].agent.operations",
        )
        for at, task in enumerate(plan.tasks)
        if task.id in tried and tried[task.id].error
    )


def _is_idle(task: str, tried: dict[str, Rehearsal]) -> bool:
    return task in tried and not tried[task].edits


def _without(draft: PlanDraft, idle: tuple[str, ...]) -> PlanDraft:
    reason = f"Left out, for they would edit nothing: {', '.join(idle)}."
    return draft.but(
        tasks=tuple(
            task.but(depends_on=tuple(edge for edge in task.depends_on if edge.task not in idle))
            for task in draft.tasks
            if task.id not in idle
        ),
        rationale=f"{draft.rationale} {reason}".strip(),
    )


def _params(words: list[str]) -> dict[str, str | int | bool | tuple[str, ...]]:
    """Read `name=value` words as a person answers with them; a name that comes twice is a list."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name and equals:
            found.setdefault(name, []).append(value)
    return {name: tuple(each) if len(each) > 1 else each[0] for name, each in found.items()}


def _question(matches: tuple[RecipeMatch, ...]) -> str:
    if not matches:
        return "No recipe fits this goal: name a recipe, list changes or tasks, or name an agent."
    best = matches[0]
    if best.confidence >= CONFIDENT:
        return f"The recipe {best.recipe.name} fits, but needs: {', '.join(best.missing)}."
    return "Which recipe is meant?"


def _option(match: RecipeMatch) -> str:
    params = "".join(f" {name}={value}" for name, value in match.recipe.params.items())
    missing = "".join(f" {name}=?" for name in match.missing)
    return f"{match.recipe.name}{params}{missing}"
