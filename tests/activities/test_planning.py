"""Planning: the answers of `plan_idea`, with recipes, tree and dry run in memory."""

from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.planning import (
    PLAN_TYPE,
    PlanIdea,
    Planned,
    Planning,
    RecipeMatch,
    Rehearsal,
)
from domain.errors import Problem, Refused
from domain.idea import Idea, IdeaSpec, Initiator, RecipeRef
from domain.plan import Plan, PlanDraft, PlanTask
from domain.record import ArtifactRef, digest
from domain.repository import Repository

REPOSITORY = Repository(id="web-12345678", name="web", location="/w", base="refs/heads/main")


def change(path: str) -> dict[str, Any]:
    return {"op": "add_file", "path": path, "text": ""}


def task(id: str, path: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "title": id, "agent": {"operations": [change(path)]}, **fields}


class World:
    """Recipes, files, dry runs and stored plans."""

    def __init__(self) -> None:
        self.drafts: dict[str, PlanDraft] = {}
        self.matches: tuple[RecipeMatch, ...] = ()
        self.goals: list[str] = []
        self.asked: list[RecipeRef] = []
        self.rehearsals: dict[str, Rehearsal] = {}
        self.rehearsed: list[str] = []
        self.stored: list[tuple[bytes, str]] = []

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.drafts))

    def expand(self, recipe: RecipeRef, files: tuple[str, ...]) -> PlanDraft:
        self.asked.append(recipe)
        if recipe.name not in self.drafts:
            raise Refused((Problem(code="unknown_recipe", message="no such recipe"),))
        assert files == ("a.py",)
        return self.drafts[recipe.name]

    def match(self, goal: str) -> tuple[RecipeMatch, ...]:
        self.goals.append(goal)
        return self.matches

    async def files(self, repository_id: str, sha: str) -> tuple[str, ...]:
        assert (repository_id, sha) == (REPOSITORY.id, "base")
        return ("a.py",)

    async def rehearse(self, repository_id: str, base_sha: str, task: PlanTask) -> Rehearsal:
        self.rehearsed.append(task.id)
        return self.rehearsals.get(task.id, Rehearsal(edits=1))

    async def put(self, data: bytes, media_type: str = "text/plain") -> ArtifactRef:
        self.stored.append((data, media_type))
        return ArtifactRef(sha256=digest(data), size=len(data), media_type=media_type)

    async def plan(self, *answers: str, **fields: Any) -> Planned:
        spec = IdeaSpec.model_validate(
            {"title": "Title", "acceptance": [{"id": "A1", "command": "make"}], **fields}
        )
        idea = Idea(
            key="k", spec_digest="d", spec=spec, repository=REPOSITORY, initiator=Initiator()
        )
        planning = Planning(self, self, self, self, ("builtin", "helper"))
        order = PlanIdea(idea=idea, round=1, base_sha="base", answers=answers, op="k/1/plan/1")
        planned: Planned = await ActivityEnvironment().run(planning.plan_idea, order)
        return planned


async def test_plans_changes_and_stores_the_plan() -> None:
    world = World()

    planned = await world.plan(changes=[change("b.py")])

    ((data, media_type),) = world.stored
    plan = Plan.model_validate_json(data)
    assert planned.status == "planned"
    assert planned.skeleton is not None
    assert planned.skeleton.plan.sha256 == digest(data)
    assert (media_type, plan.base_sha) == (PLAN_TYPE, "base")
    assert (planned.touches, planned.backends) == (("b.py",), ("builtin",))
    assert world.rehearsed == ["change"]


async def test_a_retry_yields_the_same_plan() -> None:
    world = World()

    first = await world.plan(changes=[change("b.py")])
    second = await world.plan(changes=[change("b.py")])

    assert first == second
    assert world.stored[0] == world.stored[1]


async def test_nothing_to_do_is_told_before_any_work() -> None:
    world = World()
    world.rehearsals = {"change": Rehearsal()}

    planned = await world.plan(changes=[change("b.py")])

    assert planned.status == "no_change"
    assert world.stored == []


async def test_an_operation_that_fails_on_the_base_is_a_problem() -> None:
    world = World()
    world.rehearsals = {"change": Rehearsal(error="there is no symbol a.b")}

    planned = await world.plan(changes=[change("b.py")])

    (problem,) = planned.problems
    assert planned.status == "refused"
    assert problem.code == "operation_failed"
    assert "there is no symbol a.b" in problem.message


async def test_only_tasks_that_wait_for_nobody_are_tried() -> None:
    world = World()
    agent = {"backend": "helper", "prompt": "x"}

    planned = await world.plan(
        tasks=[
            task("a", "a.py"),
            task("b", "b.py", depends_on=[{"task": "a"}]),
            {"id": "c", "title": "c", "touches": ["c.py"], "agent": agent},
        ]
    )

    assert world.rehearsed == ["a"]
    assert planned.backends == ("builtin", "helper")


async def test_hand_made_tasks_stay_even_if_one_would_edit_nothing() -> None:
    world = World()
    world.rehearsals = {"a": Rehearsal()}

    planned = await world.plan(tasks=[task("a", "a.py"), task("b", "b.py")])

    assert planned.skeleton is not None
    assert [each.id for each in planned.skeleton.tasks] == ["a", "b"]


async def test_what_is_impossible_is_refused_with_every_problem() -> None:
    planned = await World().plan(
        tasks=[task("a", "a.py", depends_on=[{"task": "a"}], accepts=["A9"])]
    )

    assert planned.status == "refused"
    assert {problem.code for problem in planned.problems} == {"cyclic", "unknown_reference"}


async def test_a_goal_for_a_named_agent_becomes_one_task() -> None:
    planned = await World().plan(goal="Do it", agent="helper", scope={"in": ["src/**"]})

    assert planned.skeleton is not None
    assert [each.id for each in planned.skeleton.tasks] == ["change"]
    assert planned.touches == ("src/**",)


def recipe(*tasks: dict[str, Any]) -> PlanDraft:
    return PlanDraft.model_validate({"tasks": tasks, "rationale": "The recipe r."})


async def test_a_recipe_loses_the_tasks_that_would_edit_nothing() -> None:
    world = World()
    world.drafts = {
        "r": recipe(
            task("a", "a.py"),
            task("b", "b.py", depends_on=[{"task": "a"}]),
            task("c", "c.py", depends_on=[{"task": "b"}]),
            task("d", "d.py"),
        )
    }
    world.rehearsals = {"a": Rehearsal(), "b": Rehearsal()}

    planned = await world.plan(recipe={"name": "r"})

    assert planned.skeleton is not None
    assert [(each.id, each.needs) for each in planned.skeleton.tasks] == [("c", ()), ("d", ())]
    assert world.rehearsed == ["a", "d", "b", "c"]
    assert "would edit nothing: a" in planned.rationale


async def test_a_recipe_that_would_edit_nothing_at_all_is_no_change() -> None:
    world = World()
    world.drafts = {"r": recipe(task("a", "a.py"), task("b", "b.py", depends_on=[{"task": "a"}]))}
    world.rehearsals = {"a": Rehearsal(), "b": Rehearsal()}

    assert (await world.plan(recipe={"name": "r"})).status == "no_change"


async def test_an_unknown_recipe_is_refused() -> None:
    planned = await World().plan(recipe={"name": "ghost"})

    assert planned.status == "refused"
    assert planned.problems[0].code == "unknown_recipe"


def match(confidence: float, *missing: str) -> RecipeMatch:
    reference = RecipeRef(name="r", params={"old": "a"})
    return RecipeMatch(recipe=reference, confidence=confidence, missing=missing)


async def test_a_goal_that_clearly_means_a_recipe_is_planned() -> None:
    world = World()
    world.drafts = {"r": recipe(task("a", "a.py"))}
    world.matches = (match(0.9),)

    planned = await world.plan(goal="Rename a")

    assert planned.status == "planned"
    assert world.goals == ["Rename a"]
    assert world.asked == [RecipeRef(name="r", params={"old": "a"})]


async def test_an_unclear_goal_is_a_question_with_options() -> None:
    world = World()
    world.matches = (match(0.3, "new"),)

    planned = await world.plan(goal="Do something")

    assert (planned.status, planned.question) == ("needs_input", "Which recipe is meant?")
    assert planned.options == ("r old=a new=?",)


async def test_a_missing_parameter_is_asked_for() -> None:
    world = World()
    world.matches = (match(0.9, "new"),)

    planned = await world.plan(goal="Rename a")

    assert planned.question == "The recipe r fits, but needs: new."


async def test_a_goal_that_fits_nothing_says_what_can_be_done() -> None:
    world = World()
    world.drafts = {"r": recipe(task("a", "a.py"))}

    planned = await world.plan(goal="Make me happy")

    assert planned.status == "needs_input"
    assert "name an agent" in planned.question
    assert planned.options == ("r",)


async def test_an_answer_names_a_recipe_with_parameters() -> None:
    world = World()
    world.drafts = {"r": recipe(task("a", "a.py"))}

    planned = await world.plan("r old=a n=3 names=x names=y,z=1 note", goal="Do something")

    assert planned.status == "planned"
    assert world.asked == [
        RecipeRef(name="r", params={"old": "a", "n": "3", "names": ("x", "y,z=1")})
    ]


async def test_an_answer_in_words_is_matched_with_the_goal() -> None:
    world = World()

    for answer in ("to be clear: rename", " "):
        await world.plan("ignored", answer, goal="Do something")

    assert world.goals[0] == "Do something\nto be clear: rename"


async def test_too_many_paths_for_policy_are_told_as_all() -> None:
    tasks = [task(f"t{at}", f"d{at}/{side}.py") for at in range(101) for side in "a"]
    tasks += [task(f"u{at}", f"e{at}.py") for at in range(99)]
    operations = [change(f"f{at}.py") for at in range(2)]

    planned = await World().plan(
        tasks=[*tasks[:199], {"id": "last", "title": "x", "agent": {"operations": operations}}]
    )

    assert planned.touches == ("**",)
