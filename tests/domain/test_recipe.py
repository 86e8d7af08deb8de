"""Parameters are checked one by one, expansion is pure, and goals are matched by phrases."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import Refused
from domain.expansion import expand
from domain.matching import match
from domain.operation import AddFile, GenerateTests, RenameSymbol
from domain.partition import cover
from domain.plan import Dependency
from domain.recipe import Recipe, values_of
from domain.touches import meeting

PARAMS: dict[str, Any] = {
    "text": {"required": True, "pattern": "[a-z]+"},
    "number": {"type": "int"},
    "flag": {"type": "bool", "default": False},
    "many": {"type": "list"},
    "pairs": {"type": "map"},
    "data": {"type": "json"},
    "kind": {"choices": ["red", "blue"]},
}


def recipe(**changes: Any) -> Recipe:
    task = {"id": "t", "title": "T", "operations": [{"op": "add_file", "path": "a", "text": "x"}]}
    return Recipe.model_validate(
        {"name": "r", "title": "R", "tasks": [task], "examples": [{}], "params": PARAMS, **changes}
    )


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("number", 3, 3),
        ("number", "-12", -12),
        ("flag", True, True),
        ("flag", "false", False),
        ("flag", "true", True),
        ("many", "a", ["a"]),
        ("many", ("a", "b"), ["a", "b"]),
        ("pairs", "a=b", {"a": "b"}),
        ("pairs", ("a=b=c", "d="), {"a": "b=c", "d": ""}),
        ("data", '{"a": [1]}', {"a": [1]}),
        ("data", "plain", "plain"),
        ("data", ("a", "b"), ["a", "b"]),
        ("data", 5, 5),
        ("kind", "red", "red"),
    ],
)
def test_reads_a_value_in_its_type(name: str, given: Any, value: Any) -> None:
    assert values_of(recipe(), {"text": "x", name: given})[name] == value


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("text", "A1", "must match"),
        ("text", ("a",), "must be text, not a list"),
        ("number", "1.5", "must be a whole number"),
        ("number", True, "must be a whole number"),
        ("flag", "yes", "must be true or false"),
        ("many", 3, "must be a list"),
        ("pairs", "a", "must be a list of name=value"),
        ("kind", "green", "must be one of red, blue"),
    ],
)
def test_refuses_a_wrong_value_with_its_place(name: str, given: Any, why: str) -> None:
    with pytest.raises(Refused) as told:
        values_of(recipe(), {"text": "x", name: given})

    (problem,) = told.value.problems
    assert problem.path == f"recipe.params.{name}"
    assert why in problem.message


def test_text_is_written_as_people_write_it() -> None:
    loose = recipe(params={"text": {}})

    assert [values_of(loose, {"text": given})["text"] for given in (True, 3)] == ["true", "3"]


def test_a_pattern_holds_for_each_item_of_a_list() -> None:
    listed = recipe(params={"many": {"type": "list", "pattern": "[a-z]"}})

    assert values_of(listed, {"many": ("a", "b")}) == {"many": ["a", "b"]}
    with pytest.raises(Refused, match=r"must match \[a-z\]"):
        values_of(listed, {"many": ("a", "B")})


def test_tells_all_problems_at_once() -> None:
    with pytest.raises(Refused) as told:
        values_of(recipe(), {"txt": "x", "zzz": "y", "number": "n"})

    problems = {problem.code: problem for problem in told.value.problems}
    assert set(problems) == {"unknown_parameter", "wrong_parameter", "missing_parameter"}
    assert [problem.path for problem in told.value.problems][:2] == [
        "recipe.params.txt",
        "recipe.params.zzz",
    ]
    assert told.value.problems[0].hint.startswith("did you mean text?")
    assert told.value.problems[1].hint.startswith("it has: data, flag")


def test_a_recipe_without_parameters_says_so() -> None:
    with pytest.raises(Refused) as told:
        values_of(recipe(params={}), {"x": "y"})

    assert told.value.problems[0].hint == "it has: none"


def drafted(tasks: list[dict[str, Any]], files: tuple[str, ...] = (), **given: Any) -> Any:
    return expand(recipe(tasks=tasks), {"text": "x", **given}, files)


def add(path: str, text: str, **more: Any) -> dict[str, Any]:
    return {"op": "add_file", "path": path, "text": text, **more}


def test_fills_slots_in_texts_and_whole_values() -> None:
    (task,) = drafted(
        [{
            "id": "t",
            "title": "About {{text}} and {{ many }}",
            "touches": ["{{many}}", "fixed/{{text}}"],
            "operations": [add("{{text}}.txt", "{{number}}!", executable="{{flag}}")],
        }],
        many=("a", "b"),
        flag="true",
    ).tasks  # fmt: skip

    assert task.title == "About x and a, b"
    assert task.touches == ("a", "b", "fixed/x")
    assert task.agent.operations == (AddFile(path="x.txt", text="!", executable=True),)


def test_what_has_no_value_is_left_out() -> None:
    (task,) = drafted(
        [{
            "id": "t",
            "title": "T",
            "touches": ["{{many}}", "a"],
            "operations": [add("a", "x", executable="{{number}}")],
        }]
    ).tasks  # fmt: skip

    assert task.touches == ("a",)
    assert task.agent.operations == (AddFile(path="a", text="x"),)


def test_a_null_that_was_written_stays() -> None:
    operation = {"op": "set_key", "path": "a.json", "key": ["k"], "value": {"n": None, "l": [None]}}

    (task,) = drafted([{"id": "t", "title": "T", "operations": [operation]}]).tasks

    assert task.agent.operations[0].model_dump()["value"] == {"n": None, "l": [None]}


def test_a_long_title_is_cut() -> None:
    long = {"id": "t", "title": "{{data}}", "operations": [add("a", "x")]}

    (task,) = drafted([long], data="y" * 500).tasks

    assert len(task.title) == 200


def test_refuses_what_the_operation_refuses() -> None:
    with pytest.raises(Refused) as told:
        drafted([{"id": "t", "title": "T", "operations": [add("../{{text}}", "x")]}])

    assert "path relative to the root" in told.value.problems[0].message


def test_a_task_may_hang_on_a_parameter() -> None:
    tasks = [
        {"id": "one", "title": "1", "operations": [add("a", "x")]},
        {"id": "two", "title": "2", "operations": [add("b", "x")], "when": "flag"},
        {"id": "three", "title": "3", "operations": [add("c", "x")], "depends_on": ["one", "two"]},
    ]

    without = drafted(tasks).tasks
    whole = drafted(tasks, flag=True).tasks

    assert [task.id for task in whole] == ["one", "two", "three"]
    assert without[1].depends_on == (Dependency(task="one"),)


def test_drops_tasks_that_reach_no_file_but_never_all() -> None:
    tasks = [
        {"id": "py", "title": "1", "operations": [add("a", "x")], "touches": ["**/*.py"]},
        {"id": "go", "title": "2", "operations": [add("b", "x")], "touches": ["**/*.go"]},
    ]

    assert [task.id for task in drafted(tasks, ("a.py",)).tasks] == ["py"]
    assert [task.id for task in drafted(tasks, ("a.rs",)).tasks] == ["py", "go"]


def test_partitioned_tasks_never_meet() -> None:
    tasks = [
        {
            "id": "tests", "title": "1", "operations": [add("a", "x")], "partition": True,
            "touches": ["**/test_*.py"], "forbid": ["old/**"],
        },
        {
            "id": "rest", "title": "2", "operations": [add("b", "x")], "partition": True,
            "touches": ["**/*.py"],
        },
        {"id": "alone", "title": "3", "operations": [add("c", "x")], "touches": ["docs/**"]},
    ]  # fmt: skip
    tree = ("a/b.py", "a/test_b.py", "c/d.py", "c/e/f.py", "old/test_x.py", "docs/a.md")

    tests, rest, alone = drafted(tasks, tree).tasks

    assert tests.touches == ("a/test_b.py",)
    assert rest.touches == ("a/b.py", "c/**/*.py", "old/**/*.py")
    assert alone.touches == ("docs/**",)
    assert meeting(tests.touches, rest.touches) is None


def test_a_partitioned_task_alone_keeps_its_globs() -> None:
    task = {
        "id": "t", "title": "1", "operations": [add("a", "x")], "partition": True,
        "touches": ["**/*.py"],
    }  # fmt: skip

    assert drafted([task], ("a.py",)).tasks[0].touches == ("**/*.py",)


def test_covers_files_with_strange_names() -> None:
    assert cover(("a[1].py", "b/Makefile", "c/*.x", "c/d.py"), ("c/q",)) == (
        "/a[[]1].py",
        "b/**/*",
        "c/[*].x",
        "c/d.py",
    )
    assert cover((), ("a",)) == ()


PHRASES = ("rename [the] [function] {text} to {many}", "do it")


@pytest.mark.parametrize(
    ("goal", "confidence", "given"),
    [
        ("rename abc to d", 1.0, {"text": "abc", "many": "d"}),
        ("Please rename the function `abc` to 'd'.", 1.0, {"text": "abc", "many": "d"}),
        ("Do it!", 1.0, {}),
        ("rename abc to d and fly to the moon", 0.667, {"text": "abc", "many": "d"}),
        ("never rename abc to d", 0.24, {"text": "abc", "many": "d"}),
        ("rename ABC1 to d", 0.45, {}),
        ("rename it", 0.225, {}),
    ],
)
def test_is_as_sure_as_the_goal_is_explained(
    goal: str, confidence: float, given: dict[str, str]
) -> None:
    (best,) = match(goal, [recipe(match=PHRASES)])

    assert (best.confidence, best.recipe.params) == (confidence, given)


def test_tells_what_is_missing_and_sorts_by_likelihood() -> None:
    two = (recipe(name="b", match=("do it",)), recipe(name="a", match=("do it now",)))

    found = match("do it now", two)

    assert [each.recipe.name for each in found] == ["a", "b"]
    assert found[0].missing == ("text",)


@pytest.mark.parametrize("phrases", [(), PHRASES])
def test_other_goals_match_nothing(phrases: tuple[str, ...]) -> None:
    assert match("write a poem", [recipe(match=phrases)]) == ()


def test_reads_criteria_as_sentences() -> None:
    tests = GenerateTests.model_validate({
        "path": "t.py",
        "module": "m",
        "criteria": [
            "Given a = 1, when f(a), then returns 2",
            {"id": "B7", "when": "f(2)", "then": "returns 3"},
            "When f(3) then raises ValueError",
        ],
    })  # fmt: skip

    told = [(one.id, one.given, one.when, one.then) for one in tests.criteria]
    assert told == [
        ("A1", "a = 1", "f(a)", "returns 2"),
        ("B7", "", "f(2)", "returns 3"),
        ("A3", "", "f(3)", "raises ValueError"),
    ]


@pytest.mark.parametrize("criteria", [["nothing here"], "text", []])
def test_refuses_other_sentences(criteria: Any) -> None:
    with pytest.raises(ValidationError):
        GenerateTests.model_validate({"path": "t.py", "module": "m", "criteria": criteria})


@pytest.mark.parametrize(
    "path", ["", "/a", "a//b", "./a", "a/..", "a\\b", "a\0b", ".git/hooks/x", ".GIT/x"]
)
def test_a_path_stays_in_the_tree(path: str) -> None:
    with pytest.raises(ValidationError):
        AddFile(path=path, text="x")


def test_a_keyword_is_no_name() -> None:
    with pytest.raises(ValidationError, match="class is a keyword"):
        RenameSymbol(symbol="a.b", new_name="class")
