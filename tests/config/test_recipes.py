"""Every shipped recipe, by its own examples; and the book that holds them."""

from pathlib import Path

import pytest

from config.recipes import SHIPPED, RecipeBook
from domain.errors import Refused
from domain.graph import topological
from domain.idea import RecipeRef
from domain.plan import PlanDraft
from domain.recipe import Example, Recipe
from domain.touches import meeting
from integrations.builtin.engine import run
from integrations.builtin.order import Order

BOOK = RecipeBook.read()
EXAMPLES = [
    pytest.param(recipe, example, id=f"{recipe.name}-{number}")
    for recipe in BOOK.recipes()
    for number, example in enumerate(recipe.examples, 1)
]


def carry_out(draft: PlanDraft, root: Path) -> tuple[str, ...]:
    """Run every task in an order that its dependencies allow; return how each ended."""
    tasks = {task.id: task for task in draft.tasks}
    order = topological({
        name: tuple(edge.task for edge in task.depends_on) for name, task in tasks.items()
    })  # fmt: skip
    results = [
        run(
            Order(
                operations=tasks[name].agent.operations,
                touches=tasks[name].touches,
                forbid=tasks[name].forbid,
            ),
            root,
        )
        for name in order
    ]
    assert [result.error for result in results if result.error] == []
    return tuple(result.status for result in results)


def files(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text() for path in found}


@pytest.mark.parametrize(("recipe", "example"), EXAMPLES)
def test_a_recipe_does_what_its_example_shows(
    tmp_path: Path, recipe: Recipe, example: Example
) -> None:
    for path, text in example.before.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    draft = BOOK.expand(
        RecipeRef(name=recipe.name, params=example.params), tuple(sorted(example.before))
    )

    assert "changed" in carry_out(draft, tmp_path)
    assert files(tmp_path) == example.after
    assert set(carry_out(draft, tmp_path)) == {"no_change"}
    assert files(tmp_path) == example.after


@pytest.mark.parametrize("recipe", BOOK.recipes(), ids=lambda recipe: str(recipe.name))
def test_a_recipe_tells_what_it_needs(recipe: Recipe) -> None:
    required = [name for name, each in recipe.params.items() if each.required]
    shown = [name for example in recipe.examples for name in example.params]

    assert set(required) <= set(shown)
    assert recipe.description
    assert recipe.match


def test_ships_the_promised_recipes() -> None:
    promised = {
        "modernise-python", "rename-symbol", "replace-call", "bump-dependency", "add-endpoint",
        "add-feature-flag", "add-tests", "remove-dead-imports", "add-file", "set-config",
    }  # fmt: skip

    assert promised <= set(BOOK.names())


def test_modernising_splits_tests_from_source_so_that_both_run_at_once() -> None:
    tree = ("setup.py", "src/a/b.py", "src/a/tests/test_b.py", "src/a/c/d.py", "tests/conftest.py")

    tests, source = BOOK.expand(RecipeRef(name="modernise-python"), tree).tasks

    assert tests.touches == ("src/a/tests/**/*.py", "tests/**/*.py")
    assert source.touches == ("/setup.py", "src/a/b.py", "src/a/c/**/*.py")
    assert meeting(tests.touches, source.touches) is None
    assert (tests.depends_on, source.depends_on) == ((), ())


def test_an_unknown_recipe_names_those_that_exist() -> None:
    with pytest.raises(Refused) as told:
        BOOK.find("modernize-python")

    (problem,) = told.value.problems
    assert problem.code == "unknown_recipe"
    assert "did you mean modernise-python?" in problem.hint
    assert "rename-symbol" in problem.hint


def test_an_operator_adds_and_replaces_recipes(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    shipped = (SHIPPED / "add-file.yaml").read_text()
    (tmp_path / "recipes/add-file.yaml").write_text(
        shipped.replace("title: Add a file", "title: Ours")
    )
    (tmp_path / "recipes/own.yaml").write_text(shipped.replace("name: add-file", "name: own"))

    book = RecipeBook.read(tmp_path)

    assert book.find("add-file").title == "Ours"
    assert book.names() == tuple(sorted((*BOOK.names(), "own")))


def test_a_recipe_is_called_like_its_file(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/other.yaml").write_text((SHIPPED / "add-file.yaml").read_text())

    with pytest.raises(Refused, match="is called add-file, its file other"):
        RecipeBook.read(tmp_path)


def test_a_broken_recipe_is_told_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    text = (SHIPPED / "add-file.yaml").read_text().replace("title: Add a file", "titel: Add a file")
    (tmp_path / "recipes/add-file.yaml").write_text(text)

    with pytest.raises(Refused) as told:
        RecipeBook.read(tmp_path)

    assert any(problem.line == 4 for problem in told.value.problems)


@pytest.mark.parametrize(
    ("goal", "name", "params"),
    [
        ("Modernise the Python code", "modernise-python", {}),
        ("please modernize the code of this project.", "modernise-python", {}),
        (
            "Rename the function shop.cart.calc to total",
            "rename-symbol",
            {"symbol": "shop.cart.calc", "new_name": "total"},
        ),
        (
            "We should use `pathlib:Path.cwd` instead of os.getcwd.",
            "replace-call",
            {"new": "pathlib:Path.cwd", "old": "os.getcwd"},
        ),
        (
            "replace all calls of os.getcwd with paths.here",
            "replace-call",
            {"old": "os.getcwd", "new": "paths.here"},
        ),
        ("Bump httpx to 0.28.1", "bump-dependency", {"name": "httpx", "version": "0.28.1"}),
        (
            "Add an endpoint /health to app.py as health",
            "add-endpoint",
            {"route": "/health", "path": "app.py", "function": "health"},
        ),
        ("remove unused imports", "remove-dead-imports", {}),
    ],
)
def test_knows_what_a_goal_means(goal: str, name: str, params: dict[str, str]) -> None:
    best = BOOK.match(goal)[0]

    assert (best.recipe.name, best.recipe.params) == (name, params)
    assert best.confidence >= 0.7
    assert best.missing == ()


@pytest.mark.parametrize(
    "goal",
    [
        "Make the service faster",
        "Do not rename shop.cart.calc to total",
        "Rename things",
        "Customers abroad should pay a surcharge, and rename a.b to c, and write docs about it",
        "",
    ],
)
def test_is_not_sure_of_other_goals(goal: str) -> None:
    assert all(match.confidence < 0.6 or match.missing for match in BOOK.match(goal))
