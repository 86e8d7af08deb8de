"""What makes a plan impossible: every plan passes here, whoever made it."""

from collections.abc import Iterator

from domain.errors import Problem
from domain.graph import cycle
from domain.idea import IdeaSpec
from domain.plan import Plan, PlanTask, TaskKind
from domain.touches import meeting, touched_by, within

MOST_TASKS = 200
_READ_ONLY = (TaskKind.RESEARCH, TaskKind.VERIFY)
_NOT_UNDONE_BY_REVERT = (TaskKind.MIGRATION, TaskKind.INFRA)


def problems(
    plan: Plan, spec: IdeaSpec, backends: tuple[str, ...] | None = None
) -> tuple[Problem, ...]:
    """Return why the plan cannot be carried out; empty: it can.

    `backends` are the agents that exist here; None leaves that question open.
    """
    found = [*_sizes(plan, spec), *_references(plan, spec), *_cycles(plan), *_coverage(plan, spec)]
    for at, task in enumerate(plan.tasks):
        where = f"tasks[{at}]"
        found += _paths(task, spec, where)
        found += _operations(task, where)
        found += _risks(task, spec, where)
        found += _agent(task, backends, where)
    return tuple(found)


def _sizes(plan: Plan, spec: IdeaSpec) -> Iterator[Problem]:
    """Check the plan as a whole against the budget."""
    tasks, budget = plan.tasks, spec.budget
    if not tasks:
        yield _bad("no_task", "the plan has no task", "tasks")
    if len(tasks) > MOST_TASKS:
        text = f"the plan has {len(tasks)} tasks, at most {MOST_TASKS} are possible"
        yield _bad("too_many_tasks", text, "tasks", "split the idea")
    attempts = sum(task.agent.limits.attempts for task in tasks)
    if budget.attempts is not None and attempts > budget.attempts:
        text = f"the tasks may take {attempts} attempts, the budget has {budget.attempts}"
        yield _bad("over_budget", text, "budget.attempts")
    longest = max((task.agent.limits.wall_seconds for task in tasks), default=0)
    if budget.wall_seconds is not None and longest > budget.wall_seconds:
        text = f"one attempt may take {longest} s, the budget has {budget.wall_seconds} s"
        yield _bad("over_budget", text, "budget.wall_seconds")
    lines = sum(task.est_lines or 0 for task in tasks)
    if budget.changed_lines is not None and lines > budget.changed_lines:
        text = f"the tasks are estimated at {lines} lines, the budget has {budget.changed_lines}"
        yield _bad("over_budget", text, "budget.changed_lines")


def _references(plan: Plan, spec: IdeaSpec) -> Iterator[Problem]:
    """Check that every name that is used is defined once."""
    tasks = tuple(task.id for task in plan.tasks)
    milestones = tuple(milestone.id for milestone in plan.milestones)
    acceptance = tuple(one.id for one in spec.acceptance)
    for name, ids in (("task", tasks), ("milestone", milestones)):
        for twice in _twice(ids):
            yield _bad("duplicate_id", f"two {name}s have the id {twice!r}", f"{name}s")
    for at, task in enumerate(plan.tasks):
        where = f"tasks[{at}]"
        needs = tuple(edge.task for edge in task.depends_on)
        yield from _unknown("task", needs, tasks, f"{where}.depends_on")
        yield from _unknown("acceptance", task.accepts, acceptance, f"{where}.accepts")
        if task.milestone:
            yield from _unknown("milestone", (task.milestone,), milestones, f"{where}.milestone")
    for at, milestone in enumerate(plan.milestones):
        yield from _unknown("acceptance", milestone.exit, acceptance, f"milestones[{at}].exit")


def _cycles(plan: Plan) -> Iterator[Problem]:
    known = {task.id for task in plan.tasks}
    needs = {
        task.id: tuple(edge.task for edge in task.depends_on if edge.task in known)
        for task in plan.tasks
    }
    if spelt := cycle(needs):
        yield _bad("cyclic", f"the tasks wait for each other: {spelt}", "tasks")


def _coverage(plan: Plan, spec: IdeaSpec) -> Iterator[Problem]:
    covered = {each.acceptance: each for each in plan.coverage}
    for at, one in enumerate(spec.acceptance):
        cover = covered.get(one.id)
        if cover is None or not (cover.gates or cover.manual):
            text = f"no gate covers acceptance {one.id}, and it is not manual"
            yield _bad("not_covered", text, f"acceptance[{at}]")


def _paths(task: PlanTask, spec: IdeaSpec, where: str) -> Iterator[Problem]:
    """Check that the task says which files it touches, and that it may."""
    if not task.touches and task.kind not in _READ_ONLY:
        text = f"task {task.id} does not say which files it touches"
        yield _bad("no_touches", text, f"{where}.touches", "add globs under touches")
    for number, glob in enumerate(task.touches):
        path = f"{where}.touches[{number}]"
        if within(glob, spec.scope.out):
            yield _bad("out_of_scope", f"{_named(task, glob)}, which scope.out excludes", path)
        elif within(glob, task.forbid):
            yield _bad("forbidden", f"{_named(task, glob)}, which its own forbid excludes", path)
        elif meeting((glob,), spec.scope.include) is None:
            yield _bad("out_of_scope", f"{_named(task, glob)}, which scope.in leaves out", path)


def _operations(task: PlanTask, where: str) -> Iterator[Problem]:
    """Check that each operation finds its files inside what the task may touch."""
    for number, operation in enumerate(task.agent.operations):
        for glob in touched_by(operation):
            if _is_within_reach(glob, task):
                continue
            text = f"task {task.id}: {operation.op} needs {glob[:80]!r}, outside its touches"
            yield _bad("outside_touches", text, f"{where}.agent.operations[{number}]")


def _is_within_reach(glob: str, task: PlanTask) -> bool:
    if any(sign in glob for sign in "*?["):
        return meeting((glob,), task.touches) is not None
    return within(glob, task.touches) and not within(glob, task.forbid)


def _risks(task: PlanTask, spec: IdeaSpec, where: str) -> Iterator[Problem]:
    rollback = task.rollback
    if rollback.irreversible and not spec.approvals:
        text = f"task {task.id} cannot be undone, but nobody is asked"
        hint = "add approvals: [plan] or [merge] to the idea"
        yield _bad("irreversible", text, f"{where}.rollback", hint)
    if rollback.kind != "revert" and not rollback.steps:
        text = f"task {task.id} has a {rollback.kind} rollback without steps"
        yield _bad("no_rollback", text, f"{where}.rollback.steps")
    elif task.risk == "high" and task.kind in _NOT_UNDONE_BY_REVERT and not rollback.steps:
        text = f"task {task.id} is a {task.kind} of high risk: a revert does not undo it"
        yield _bad("no_rollback", text, f"{where}.rollback", "say in steps how it is undone")


def _agent(task: PlanTask, backends: tuple[str, ...] | None, where: str) -> Iterator[Problem]:
    agent = task.agent
    if backends is not None and agent.backend not in backends:
        text = f"task {task.id} needs the agent {agent.backend[:60]!r}, which is not here"
        hint = f"known are {', '.join(backends)}"
        yield _bad("needs_backend", text, f"{where}.agent.backend", hint)
    if agent.backend == "builtin" and not agent.operations:
        text = f"task {task.id} is for the builtin agent, but has no operations"
        hint = "list operations, or name another backend"
        yield _bad("no_operations", text, f"{where}.agent.operations", hint)
    if agent.backend != "builtin" and not agent.prompt.strip():
        text = f"task {task.id} says nothing to the agent {agent.backend[:60]!r}"
        yield _bad("no_prompt", text, f"{where}.agent.prompt", "write a prompt")


def _unknown(
    what: str, used: tuple[str, ...], known: tuple[str, ...], path: str
) -> Iterator[Problem]:
    for name in used:
        if name not in known:
            hint = f"known are {', '.join(known[:20])}" if known else f"there is no {what}"
            yield _bad("unknown_reference", f"there is no {what} {name[:60]!r}", path, hint)


def _twice(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if names.count(name) > 1}))


def _named(task: PlanTask, glob: str) -> str:
    return f"task {task.id} touches {glob[:80]!r}"


def _bad(code: str, message: str, path: str, hint: str = "") -> Problem:
    return Problem(code=code, message=message, path=path, hint=hint)
