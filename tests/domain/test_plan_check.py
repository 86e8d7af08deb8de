"""Which plans are impossible, and how that is told."""

from typing import Any

import pytest

from domain.idea import IdeaSpec
from domain.plan import Plan
from domain.plan_check import problems

OPERATION = {"op": "add_file", "path": "src/new.py", "text": ""}
TASK: dict[str, Any] = {
    "id": "one",
    "title": "One",
    "touches": ["src/**"],
    "agent": {"operations": [OPERATION]},
}


def plan(*tasks: dict[str, Any], **fields: Any) -> Plan:
    coverage = [{"acceptance": "A1", "gates": ["accept-A1"]}]
    return Plan.model_validate(
        {
            "plan_id": "p",
            "idea_key": "k",
            "created_by": "test",
            "spec_digest": "d",
            "base_sha": "b",
            "tasks": tasks,
            "coverage": coverage,
            **fields,
        }
    )


def spec(**fields: Any) -> IdeaSpec:
    acceptance = [{"id": "A1", "command": "make"}]
    return IdeaSpec.model_validate({"title": "x", "acceptance": acceptance, **fields})


def task(id: str = "one", **fields: Any) -> dict[str, Any]:
    return {**TASK, "id": id, **fields}


def found(each: Plan, of: IdeaSpec | None = None) -> list[tuple[str, str]]:
    return [
        (problem.code, problem.path)
        for problem in problems(each, of or spec(), ("builtin", "helper"))
    ]


def test_a_good_plan_has_no_problem() -> None:
    second = task(
        "two",
        depends_on=[{"task": "one"}],
        accepts=["A1"],
        milestone="m",
        agent={"backend": "helper", "prompt": "do it"},
        risk="high",
        kind="migration",
        rollback={"kind": "script", "steps": ["undo"], "irreversible": True},
    )
    each = plan(task(), second, milestones=[{"id": "m", "title": "M", "exit": ["A1"]}])
    budget = {"attempts": 6, "wall_seconds": 1_800, "changed_lines": 10}

    assert found(each, spec(approvals=["merge"], budget=budget)) == []


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([], ("no_task", "tasks")),
        ([task(), task()], ("duplicate_id", "tasks")),
        ([task(depends_on=[{"task": "ghost"}])], ("unknown_reference", "tasks[0].depends_on")),
        ([task(accepts=["A9"])], ("unknown_reference", "tasks[0].accepts")),
        ([task(milestone="m")], ("unknown_reference", "tasks[0].milestone")),
        (
            [task(depends_on=[{"task": "two"}]), task("two", depends_on=[{"task": "one"}])],
            ("cyclic", "tasks"),
        ),
        ([task(touches=["docs/**", "src/**"])], ("out_of_scope", "tasks[0].touches[0]")),
        ([task(touches=["src/old/**", "src/**"])], ("out_of_scope", "tasks[0].touches[0]")),
        ([task(touches=["src/a.py", "src/**"], forbid=["*/a.py"])],
         ("forbidden", "tasks[0].touches[0]")),
        ([task(touches=["src/other.py"])], ("outside_touches", "tasks[0].agent.operations[0]")),
        ([task(forbid=["src/new.py"])], ("outside_touches", "tasks[0].agent.operations[0]")),
        (
            [task(touches=["src/a/**"], agent={"operations": [
                {"op": "ruff_fix", "select": ["UP"], "paths": ["src/b/**"]}]})],
            ("outside_touches", "tasks[0].agent.operations[0]"),
        ),
        ([task(rollback={"irreversible": True})], ("irreversible", "tasks[0].rollback")),
        ([task(rollback={"kind": "script"})], ("no_rollback", "tasks[0].rollback.steps")),
        ([task(kind="migration", risk="high")], ("no_rollback", "tasks[0].rollback")),
        ([task(agent={"backend": "ghost", "prompt": "x"})],
         ("needs_backend", "tasks[0].agent.backend")),
        ([task(agent={})], ("no_operations", "tasks[0].agent.operations")),
        ([task(agent={"backend": "helper", "prompt": " "})],
         ("no_prompt", "tasks[0].agent.prompt")),
        ([task(touches=[], agent={"backend": "helper", "prompt": "x"})],
         ("no_touches", "tasks[0].touches")),
    ],
)  # fmt: skip
def test_tells_why_a_plan_is_impossible(
    tasks: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    scoped = spec(scope={"in": ["src/**"], "out": ["src/old/**"]})

    assert found(plan(*tasks), scoped) == [expected]


@pytest.mark.parametrize(
    ("forbid", "expected"),
    [([], []), (["/src/new.py"], [("outside_touches", "tasks[0].agent.operations[0]")])],
)
def test_a_file_may_be_named_from_the_root(
    forbid: list[str], expected: list[tuple[str, str]]
) -> None:
    fix = {"op": "ruff_fix", "select": ["UP"], "paths": ["/src/new.py"]}
    rooted = task(touches=["/src/new.py", "src/**"], forbid=forbid, agent={"operations": [fix]})

    # What else is wrong with a glob that is forbidden altogether is told elsewhere.
    assert [each for each in found(plan(rooted)) if each[0] != "forbidden"] == expected


@pytest.mark.parametrize(
    ("budget", "path"),
    [
        ({"attempts": 5}, "budget.attempts"),
        ({"wall_seconds": 60}, "budget.wall_seconds"),
        ({"changed_lines": 19}, "budget.changed_lines"),
    ],
)
def test_limits_stay_within_the_budget(budget: dict[str, int], path: str) -> None:
    each = plan(task(est_lines=10), task("two", est_lines=10))

    assert found(each, spec(budget=budget)) == [("over_budget", path)]


def test_too_many_tasks_are_refused() -> None:
    assert found(plan(*(task(f"t{at}") for at in range(201)))) == [("too_many_tasks", "tasks")]


def test_reading_needs_no_paths() -> None:
    assert found(plan(task(kind="research", touches=[], agent={
        "backend": "helper", "prompt": "look"}))) == []  # fmt: skip


def test_every_acceptance_is_covered_by_a_gate_or_manual() -> None:
    two = spec(acceptance=[{"id": "A1"}, {"id": "A2"}])
    manual = [{"acceptance": "A1", "manual": True}, {"acceptance": "A2"}]

    assert found(plan(task(), coverage=manual), two) == [("not_covered", "acceptance[1]")]
    assert found(plan(task(), coverage=[]), spec()) == [("not_covered", "acceptance[0]")]


def test_an_exit_that_nobody_defined_is_unknown() -> None:
    each = plan(task(), milestones=[{"id": "m", "title": "M", "exit": ["A2"]}])

    assert found(each) == [("unknown_reference", "milestones[0].exit")]
    assert "there is no acceptance" in problems(each, spec(acceptance=[]))[0].hint


def test_without_a_list_of_agents_any_is_taken() -> None:
    each = plan(task(agent={"backend": "ghost", "prompt": "x"}))

    assert problems(each, spec()) == ()
