"""Recipes as a door sees them: listed, shown, and checked before an idea starts."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from config.recipes import RecipeBook
from domain.idea import IdeaSpec, with_recipe_defaults
from domain.recipe import Recipe, values_of


def listed(operator: Path) -> tuple[Recipe, ...]:
    """Return all recipes, the operator's own among them."""
    return RecipeBook.read(operator).recipes()


def one(operator: Path, name: str) -> Recipe:
    """Return a recipe; raises `Refused` with what was perhaps meant."""
    return RecipeBook.read(operator).find(name)


def completed(operator: Path, spec: IdeaSpec) -> IdeaSpec:
    """Fill in what the recipe of a specification supplies.

    Raises `Refused` for an unknown recipe, an unknown, missing or wrong parameter.
    """
    if spec.recipe is None:
        return spec
    recipe = one(operator, spec.recipe.name)
    values_of(recipe, spec.recipe.params)
    return with_recipe_defaults(spec, recipe)


def recipes_table(recipes: Iterable[Recipe]) -> RenderableType:
    """List recipes."""
    table = _table("Recipe", "What it does", "Parameters")
    for recipe in recipes:
        params = ", ".join(
            name + ("*" if parameter.required else "") for name, parameter in recipe.params.items()
        )
        table.add_row(recipe.name, recipe.title, Text(params, "dim"))
    return Group(table, Text("* required.  slipway recipes NAME shows one.", "dim"))


def recipe_board(recipe: Recipe) -> RenderableType:
    """Show one recipe: what it does, its parameters, how it is judged, how it is called."""
    params = _table("Parameter", "Type", "Default", "Meaning")
    for name, parameter in recipe.params.items():
        default = "required" if parameter.required else str(parameter.default or "")
        choices = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
        params.add_row(name, parameter.type + choices, default, parameter.help)
    parts: list[RenderableType] = [
        Text.assemble((recipe.name, "bold"), f"  {recipe.title}", (f"  v{recipe.version}", "dim"))
    ]
    if recipe.description:
        parts.append(Padding(Text(recipe.description.strip()), (0, 0, 0, 2)))
    if recipe.params:
        parts.append(Padding(params, (0, 0, 0, 2)))
    for task in recipe.tasks:
        operations = ", ".join(str(operation.get("op", "")) for operation in task.operations)
        parts.append(Text.assemble(f"  task {task.id}: {task.title}", (f"  [{operations}]", "dim")))
    for metric in recipe.metrics:
        parts.append(Text(f"  judged by {metric.name}: {metric.query} {metric.comparator}", "dim"))
    for accepted in recipe.acceptance:
        parts.append(Text(f"  accepted when {accepted.then or accepted.command}", "dim"))
    parts.append(Text(_call(recipe), "cyan"))
    return Group(*parts)


def _call(recipe: Recipe) -> str:
    given = "".join(
        f" --param {name}=..." for name, parameter in recipe.params.items() if parameter.required
    )
    return f"  slipway idea start --repo PATH --recipe {recipe.name}{given} --wait"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
