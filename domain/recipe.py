"""A recipe: a named, tested way to change a repository, with parameters."""

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, JsonValue

from domain.errors import Problem, Refused
from domain.idea import Acceptance, ChangeKind, Metric
from domain.plan import TaskKind
from domain.record import Record

Given = str | int | bool | tuple[str, ...]
Value = JsonValue | None


class Parameter(Record):
    """One parameter; `map` is written as a list of `name=value`, `json` as JSON text."""

    type: Literal["str", "int", "bool", "list", "map", "json"] = "str"
    required: bool = False
    default: JsonValue = None
    pattern: str = ""  # a regular expression that the whole text must match
    choices: tuple[str, ...] = ()
    help: str = ""


class RecipeTask(Record):
    """A task with `{{parameter}}` in its texts; one without a value takes its line with it.

    `when` names a parameter: the task is left out where it is empty, false or absent. A task
    with `partition` takes only files that no earlier such task has, so that both run at once.
    """

    id: str
    title: str
    kind: TaskKind = TaskKind.CODE
    operations: tuple[dict[str, JsonValue], ...]
    touches: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    when: str = ""
    partition: bool = False


class Example(Record):
    """Files before and after; both are the whole story, and each example is run as a test."""

    params: dict[str, Given] = {}
    before: dict[str, str] = {}
    after: dict[str, str] = {}


class Recipe(Record):
    """Schema `slipway.recipe/1`."""

    schema_: Literal["slipway.recipe/1"] = Field(default="slipway.recipe/1", alias="schema")
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    version: int = Field(default=1, ge=1)
    title: str = Field(min_length=1, max_length=120)
    description: str = ""
    params: dict[str, Parameter] = {}
    match: tuple[str, ...] = ()
    change: ChangeKind = ChangeKind.CHORE
    tasks: tuple[RecipeTask, ...] = Field(min_length=1)
    acceptance: tuple[Acceptance, ...] = ()
    metrics: tuple[Metric, ...] = ()
    examples: tuple[Example, ...] = Field(min_length=1)

    model_config = {"populate_by_name": True}


def values_of(recipe: Recipe, given: Mapping[str, Given]) -> dict[str, Value]:
    """Return a value for each parameter; raises `Refused` with every problem there is."""
    problems = [_unknown(recipe, name) for name in given if name not in recipe.params]
    values: dict[str, Value] = {}
    for name, parameter in recipe.params.items():
        if name not in given:
            values[name] = parameter.default
            if parameter.required:
                problems.append(_missing(recipe, name, parameter))
            continue
        try:
            values[name] = _value(parameter, given[name])
        except ValueError as error:
            problems.append(_wrong(recipe, name, parameter, str(error)))
    if problems:
        raise Refused(tuple(problems))
    return values


def fits(parameter: Parameter, text: str) -> bool:
    """Say whether a text could be the value of a parameter."""
    try:
        _value(parameter, text)
    except ValueError:
        return False
    return True


def _value(parameter: Parameter, given: Given) -> Value:
    """Return the value in its own type; raises `ValueError` saying what it should be."""
    value = _typed(parameter.type, given)
    if parameter.choices and value not in parameter.choices:
        raise ValueError(f"must be one of {', '.join(parameter.choices)}")
    texts = value if isinstance(value, list) else [value]
    for text in texts if parameter.pattern else ():
        if not re.fullmatch(parameter.pattern, str(text)):
            raise ValueError(f"must match {parameter.pattern}")
    return value


def _typed(kind: str, given: Given) -> Value:
    if kind == "bool":
        return _bool(given)
    if kind == "int":
        return _int(given)
    if kind == "list":
        return [given] if isinstance(given, str) else _list(given)
    if kind == "map":
        return _map([given] if isinstance(given, str) else _list(given))
    if kind == "json":
        return _json(given)
    if isinstance(given, tuple):
        raise ValueError("must be text, not a list")
    return str(given).lower() if isinstance(given, bool) else str(given)


def _bool(given: Given) -> bool:
    if isinstance(given, bool):
        return given
    if given in ("true", "false"):
        return given == "true"
    raise ValueError("must be true or false")


def _int(given: Given) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and re.fullmatch(r"-?\d{1,18}", given):
        return int(given)
    raise ValueError("must be a whole number")


def _list(given: Given) -> list[JsonValue]:
    if not isinstance(given, tuple):
        raise ValueError("must be a list")
    return list(given)


def _map(pairs: list[JsonValue]) -> dict[str, JsonValue]:
    split = [str(pair).partition("=") for pair in pairs]
    if not all(name and sign for name, sign, _ in split):
        raise ValueError("must be a list of name=value")
    return {name: value for name, _, value in split}


def _json(given: Given) -> JsonValue:
    if isinstance(given, tuple):
        return list(given)
    if not isinstance(given, str):
        return given
    try:
        value: JsonValue = json.loads(given)
    except json.JSONDecodeError:
        return given
    return value


def _unknown(recipe: Recipe, name: str) -> Problem:
    near = get_close_matches(name, recipe.params, n=1)
    known = ", ".join(sorted(recipe.params)) or "none"
    return Problem(
        code="unknown_parameter",
        message=f"the recipe {recipe.name} has no parameter {name}",
        path=f"recipe.params.{name}",
        hint=f"did you mean {near[0]}? it has: {known}" if near else f"it has: {known}",
    )


def _missing(recipe: Recipe, name: str, parameter: Parameter) -> Problem:
    return Problem(
        code="missing_parameter",
        message=f"the recipe {recipe.name} needs the parameter {name}",
        path=f"recipe.params.{name}",
        hint=parameter.help or f"a {parameter.type}",
    )


def _wrong(recipe: Recipe, name: str, parameter: Parameter, why: str) -> Problem:
    return Problem(
        code="wrong_parameter",
        message=f"the parameter {name} of the recipe {recipe.name} {why}",
        path=f"recipe.params.{name}",
        hint=parameter.help,
    )
