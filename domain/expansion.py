"""A recipe and its parameters become a draft of a plan."""

import re
from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter, ValidationError

from domain.errors import Problem, Refused
from domain.globs import covered, matches
from domain.operation import Operation
from domain.partition import cover
from domain.plan import AgentChoice, Dependency, PlanDraft, PlanTask
from domain.recipe import Given, Recipe, RecipeTask, Value, values_of

_SLOT = re.compile(r"\{\{\s*([a-z_][a-z0-9_]*)\s*\}\}")
_WILD = re.compile(r"[*?\[]")
_OPERATION: TypeAdapter[Operation] = TypeAdapter(Operation)


def expand(recipe: Recipe, params: Mapping[str, Given], files: tuple[str, ...]) -> PlanDraft:
    """Return the tasks for a repository with these files; raises `Refused` with every problem.

    Tasks whose globs cover no file are left out, unless no task would be left.
    """
    values = values_of(recipe, params)
    wanted = [task for task in recipe.tasks if not task.when or values.get(task.when)]
    tasks = [_task(recipe, task, values) for task in wanted]
    tasks = _partitioned(wanted, tasks, files)
    kept = [task for task in tasks if _reaches(task, files)] or tasks
    ids = {task.id for task in kept}
    return PlanDraft(
        tasks=tuple(
            task.but(depends_on=tuple(edge for edge in task.depends_on if edge.task in ids))
            for task in kept
        ),
        rationale=f"Recipe {recipe.name}, version {recipe.version}: {recipe.title}.",
        created_by=f"recipe {recipe.name}/{recipe.version}",
    )


def _task(recipe: Recipe, task: RecipeTask, values: Mapping[str, Value]) -> PlanTask:
    title = str(_filled(task.title, values))
    return PlanTask(
        id=task.id,
        title=title if len(title) <= 200 else f"{title[:197]}...",
        kind=task.kind,
        depends_on=tuple(Dependency(task=name) for name in task.depends_on),
        touches=_globs(task.touches, values),
        forbid=_globs(task.forbid, values),
        agent=AgentChoice(operations=_operations(recipe, task, values)),
    )


def _operations(
    recipe: Recipe, task: RecipeTask, values: Mapping[str, Value]
) -> tuple[Operation, ...]:
    filled = [_filled(dict(operation), values) for operation in task.operations]
    try:
        return tuple(_OPERATION.validate_python(operation) for operation in filled)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = Problem(
            code="wrong_parameter",
            message=f"the recipe {recipe.name} cannot be used so: {where}: {first['msg']}",
            path=f"recipe.params.{first['loc'][-1]}",
            hint=f"given: {str(first['input'])[:100]!r}",
        )
        raise Refused((problem,)) from None


def _globs(globs: tuple[str, ...], values: Mapping[str, Value]) -> tuple[str, ...]:
    filled = _filled(list(globs), values)
    flat: list[str] = []
    for glob in filled if isinstance(filled, list) else []:
        flat += [str(part) for part in glob] if isinstance(glob, list) else [str(glob)]
    return tuple(flat)


def _filled(value: JsonValue, values: Mapping[str, Value]) -> JsonValue:
    """Put values into the slots of a document; what has no value is left out of it."""
    if isinstance(value, str):
        whole = _SLOT.fullmatch(value)
        if whole:
            return values.get(whole.group(1))
        return _SLOT.sub(lambda slot: _shown(values.get(slot.group(1))), value)
    if isinstance(value, list):
        items = [(item, _filled(item, values)) for item in value]
        return [new for old, new in items if new is not None or old is None]
    if isinstance(value, dict):
        entries = [(name, old, _filled(old, values)) for name, old in value.items()]
        return {name: new for name, old, new in entries if new is not None or old is None}
    return value


def _shown(value: Value) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)


def _partitioned(
    wanted: list[RecipeTask], tasks: list[PlanTask], files: tuple[str, ...]
) -> list[PlanTask]:
    """Give each partitioned task globs of its own, that no file of another task matches."""
    owner: dict[str, str] = {}
    parts = [task for want, task in zip(wanted, tasks, strict=True) if want.partition]
    if len(parts) < 2:
        return tasks
    for task in parts:
        for path in covered(files, task.touches):
            if not matches(path, task.forbid):
                owner.setdefault(path, task.id)
    return [task.but(touches=_own(task, owner)) if task in parts else task for task in tasks]


def _own(task: PlanTask, owner: Mapping[str, str]) -> tuple[str, ...]:
    """Return disjoint globs for the files of a task; its own globs where it has no file."""
    own = tuple(path for path, name in owner.items() if name == task.id)
    others = tuple(path for path, name in owner.items() if name != task.id)
    return cover(own, others) or task.touches


def _reaches(task: PlanTask, files: tuple[str, ...]) -> bool:
    if not task.touches or not all(_WILD.search(glob) for glob in task.touches):
        return True
    return bool(covered(files, task.touches))
