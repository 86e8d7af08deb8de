"""Recipes: the shipped ones, and the operator's, which may replace them by name."""

from difflib import get_close_matches
from pathlib import Path
from typing import Self

from config.files import load
from domain.errors import Problem, Refused
from domain.expansion import expand
from domain.idea import RecipeRef
from domain.matching import match
from domain.plan import PlanDraft
from domain.recipe import Recipe
from domain.rehearsal import RecipeMatch

SHIPPED = Path(__file__).parent / "recipes"


class RecipeBook:
    """All recipes that can be named here."""

    def __init__(self, recipes: tuple[Recipe, ...]) -> None:
        self._recipes = {recipe.name: recipe for recipe in recipes}

    @classmethod
    def read(cls, operator: Path | None = None) -> Self:
        """Read the shipped recipes and those in `recipes/` of the operator's folder.

        Raises `Refused` with file and line when one of them is wrong.
        """
        folders = [SHIPPED, *([operator / "recipes"] if operator else [])]
        return cls(tuple(_read(path) for folder in folders for path in _files(folder)))

    def recipes(self) -> tuple[Recipe, ...]:
        """Return every recipe, sorted by name."""
        return tuple(self._recipes[name] for name in sorted(self._recipes))

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._recipes))

    def find(self, name: str) -> Recipe:
        """Return a recipe; raises `Refused` with a hint for an unknown name."""
        if name in self._recipes:
            return self._recipes[name]
        near = get_close_matches(name, self._recipes, n=1)
        known = ", ".join(self.names())
        problem = Problem(
            code="unknown_recipe",
            message=f"there is no recipe {name}",
            path="recipe.name",
            hint=f"did you mean {near[0]}? there are: {known}" if near else f"there are: {known}",
        )
        raise Refused((problem,))

    def expand(self, recipe: RecipeRef, files: tuple[str, ...]) -> PlanDraft:
        """Return the recipe's tasks; raises `Refused` for an unknown recipe or parameter."""
        return expand(self.find(recipe.name), recipe.params, files)

    def match(self, goal: str) -> tuple[RecipeMatch, ...]:
        """Return the recipes that the words may mean, the most likely first."""
        return match(goal, self.recipes())


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def _read(path: Path) -> Recipe:
    recipe = load(path, Recipe)
    if recipe.name == path.stem:
        return recipe
    problem = Problem(
        code="recipe_name",
        message=f"{path}: the recipe is called {recipe.name}, its file {path.stem}",
        path="name",
        hint=f"write name: {path.stem}, or rename the file",
    )
    raise Refused((problem,))
