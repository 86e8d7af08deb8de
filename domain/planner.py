"""From a draft to a plan: edges, limits, milestones, coverage, risks and a critique, by rules."""

from statistics import median_low

from domain.errors import Rejected
from domain.graph import topological
from domain.idea import Acceptance, Idea, IdeaSpec
from domain.plan import (
    Coverage,
    Dependency,
    Milestone,
    Plan,
    PlanDraft,
    PlanFinding,
    PlanTask,
    RiskEntry,
    Skeleton,
    SkeletonTask,
    TaskLimits,
)
from domain.record import ArtifactRef
from domain.touches import Ground, meeting, touched_by

PROTECTED_FLOOR = (".github/**", "/.gitlab-ci.yml", "/.slipway.yaml", "/CODEOWNERS")
_DEFAULT_MILESTONE = "delivered"
_EVERYTHING = ("**", "**/*")
# Operations that change a name, a signature or a file that others may rely on.
_INTERFACES = (
    "rename_symbol", "move_symbol", "change_default", "add_parameter", "delete_file", "move_file",
)  # fmt: skip


def complete(
    draft: PlanDraft, idea: Idea, base_sha: str, plan_id: str, files: tuple[str, ...] = ()
) -> Plan:
    """Turn a draft into a plan; what is impossible in it stays, for `plan_check` to tell.

    `files` are those of the base commit.
    """
    spec = idea.spec
    milestones = draft.milestones or (_only_milestone(spec),)
    tasks = tuple(_completed(task, draft, spec, milestones[0].id) for task in draft.tasks)
    tasks = _ordered(tasks, Ground(files))
    return Plan(
        plan_id=plan_id,
        version=idea.revision,
        idea_key=idea.key,
        created_by=draft.created_by,
        spec_digest=idea.spec_digest,
        base_sha=base_sha,
        rationale=draft.rationale,
        milestones=milestones,
        tasks=tasks,
        risk_register=(*draft.risks, *_risks(tasks, spec, len(draft.risks))),
        critique=_critique(tasks, spec),
        coverage=tuple(_coverage(one, tasks) for one in spec.acceptance),
    )


def skeleton(plan: Plan, ref: ArtifactRef) -> Skeleton:
    """Return as much of a plan as the workflow needs; unknown sizes count as the median one."""
    known = [task.est_lines for task in plan.tasks if task.est_lines]
    usual = median_low(known) if known else 1
    return Skeleton(
        plan=ref,
        plan_id=plan.plan_id,
        version=plan.version,
        created_by=plan.created_by,
        tasks=tuple(_bone(task, usual) for task in plan.tasks),
    )


def _bone(task: PlanTask, usual: int) -> SkeletonTask:
    return SkeletonTask(
        id=task.id,
        title=task.title,
        needs=tuple(sorted({edge.task for edge in task.depends_on})),
        weight=task.est_lines or usual,
        attempts=task.agent.limits.attempts,
        wall_seconds=task.agent.limits.wall_seconds,
        covers=task.accepts,
    )


def _only_milestone(spec: IdeaSpec) -> Milestone:
    return Milestone(
        id=_DEFAULT_MILESTONE, title=spec.title, exit=tuple(one.id for one in spec.acceptance)
    )


def _completed(task: PlanTask, draft: PlanDraft, spec: IdeaSpec, milestone: str) -> PlanTask:
    """Fill in what the draft left open: paths, limits, and what a lone task must achieve."""
    derived = {glob for operation in task.agent.operations for glob in touched_by(operation)}
    alone = len(draft.tasks) == 1
    every = tuple(one.id for one in spec.acceptance)
    return task.but(
        milestone=task.milestone or milestone,
        touches=task.touches or tuple(sorted(derived)),
        forbid=tuple(dict.fromkeys((*task.forbid, *spec.scope.out))),
        accepts=task.accepts or (every if alone else ()),
        agent=task.agent.but(
            backend=task.agent.backend or spec.agent or "builtin",
            limits=_limited(task, spec, len(draft.tasks)),
        ),
    )


def _limited(task: PlanTask, spec: IdeaSpec, tasks: int) -> TaskLimits:
    """Cut the limits of an attempt down to the task's share of the budget."""
    limits, budget = task.agent.limits, spec.budget
    if budget.wall_seconds is not None:
        wall = min(limits.wall_seconds, budget.wall_seconds)
        limits = limits.but(wall_seconds=wall, idle_seconds=min(limits.idle_seconds, wall))
    if budget.attempts is not None:
        share = max(1, budget.attempts // tasks)
        limits = limits.but(attempts=min(limits.attempts, share))
    return limits


def _ordered(tasks: tuple[PlanTask, ...], ground: Ground) -> tuple[PlanTask, ...]:
    """Put unordered tasks that may touch the same file one after the other, as written.

    An edge is added only between tasks that no path joins yet, along a topological order, so
    it can neither close a cycle nor repeat what is known.
    """
    order = _topological(tasks)
    place_of = {task: at for at, task in enumerate(order)}
    by_id = {task.id: task for task in tasks}
    before: list[int] = []  # for each task of `order`: a bit mask of all that precede it
    for at, task_id in enumerate(order):
        task = by_id[task_id]
        mask = 0
        for edge in task.depends_on:
            place = place_of[edge.task]
            mask |= before[place] | 1 << place
        for place in range(at - 1, -1, -1):
            shared = None if mask >> place & 1 else _collision(by_id[order[place]], task, ground)
            if shared:
                edge = Dependency(task=order[place], reason=shared)
                task = task.but(depends_on=(*task.depends_on, edge))
                mask |= before[place] | 1 << place
        by_id[task_id] = task
        before.append(mask)
    return tuple(by_id[task.id] for task in tasks) if order else tasks


def _topological(tasks: tuple[PlanTask, ...]) -> tuple[str, ...]:
    """Return the ids in a possible order; empty if there is none, which `plan_check` tells."""
    needs = {task.id: tuple(sorted({edge.task for edge in task.depends_on})) for task in tasks}
    known = len(needs) == len(tasks) and all(
        need in needs for each in needs.values() for need in each
    )
    try:
        return topological(needs) if known else ()
    except Rejected:
        return ()


def _collision(earlier: PlanTask, later: PlanTask, ground: Ground) -> str:
    both = ground.meeting(earlier.touches, later.touches)
    if both is None:
        return ""
    one, other = both
    return f"both may touch {one}" if one == other else f"{one} and {other} may be the same file"


def _coverage(one: Acceptance, tasks: tuple[PlanTask, ...]) -> Coverage:
    gates = tuple(name for name in (_acceptance_gate(one), one.verified_by) if name)
    manual = one.kind == "manual"
    return Coverage(
        acceptance=one.id,
        tasks=tuple(task.id for task in tasks if one.id in task.accepts),
        gates=() if manual else gates,
        manual=manual,
    )


def _acceptance_gate(one: Acceptance) -> str:
    return f"accept-{one.id}" if one.command else ""


def _risks(tasks: tuple[PlanTask, ...], spec: IdeaSpec, first: int) -> tuple[RiskEntry, ...]:
    """Write down the risks that can be read off the tasks."""
    found = [entry for task in tasks for entry in _risks_of(task, spec)]
    return tuple(entry.but(id=f"R{first + at}") for at, entry in enumerate(found, start=1))


def _risks_of(task: PlanTask, spec: IdeaSpec) -> list[RiskEntry]:
    found = []
    if task.rollback.irreversible:
        found.append(
            RiskEntry(
                id="", text=f"{task.id} cannot be undone", likelihood=2, impact=5,
                trigger="the change is merged", mitigation="a person approves it first",
                owner="a person",
            )
        )  # fmt: skip
    if shared := _seen_from_outside(task):
        found.append(
            RiskEntry(
                id="", text=f"{task.id}: {shared}; callers outside this repository may break",
                likelihood=2, impact=3, trigger="somebody else's build fails after the merge",
                mitigation=f"the tests here follow the change; {_undo(task)}",
            )
        )  # fmt: skip
    if task.risk == "high":
        found.append(
            RiskEntry(
                id="", text=f"{task.id} is of high risk", likelihood=3, impact=4,
                trigger="a gate fails after the merge", mitigation=_undo(task),
            )
        )  # fmt: skip
    if _protected(task, spec):
        found.append(
            RiskEntry(
                id="", text=f"{task.id} may change a protected path", likelihood=3, impact=4,
                trigger="the change names a protected path", mitigation="policy asks a person",
                owner="a person",
            )
        )  # fmt: skip
    return found


def _seen_from_outside(task: PlanTask) -> str:
    """Return which operations change what others may import; empty: none does."""
    kinds = dict.fromkeys(each.op for each in task.agent.operations if each.op in _INTERFACES)
    return ", ".join(kinds)


def _undo(task: PlanTask) -> str:
    return "; ".join(task.rollback.steps) or f"{task.rollback.kind} its commit"


def _protected(task: PlanTask, spec: IdeaSpec) -> tuple[str, str] | None:
    """Return the first glob of the task that names a place where a protected path may be.

    A glob that begins with a wildcard reaches any folder, but aims at none.
    """
    aimed = tuple(glob for glob in task.touches if not set("*?[") & set(glob.split("/")[0]))
    return meeting(aimed, (*spec.protected_paths, *PROTECTED_FLOOR))


def _critique(tasks: tuple[PlanTask, ...], spec: IdeaSpec) -> tuple[PlanFinding, ...]:
    """Tell what a reviewer of the plan would ask about; none of it stops the plan."""
    return (
        *(finding for task in tasks for finding in _remarks(task, tasks, spec)),
        *_unclaimed(tasks, spec),
        *(
            PlanFinding(severity="info", text=f"{constraint.kind}: {constraint.text}")
            for constraint in spec.constraints
        ),
    )


def _remarks(
    task: PlanTask, tasks: tuple[PlanTask, ...], spec: IdeaSpec
) -> tuple[PlanFinding, ...]:
    found = [
        PlanFinding(severity="info", task=task.id, text=f"waits for {edge.task}: {edge.reason}")
        for edge in task.depends_on
        if edge.reason
    ]
    if protected := _protected(task, spec):
        text = f"{protected[0]} may reach the protected {protected[1]}"
        found.append(PlanFinding(severity="warning", task=task.id, text=text))
    if len(tasks) > 1 and any(glob in _EVERYTHING for glob in task.touches):
        text = "may touch every file, so nothing runs beside it"
        found.append(PlanFinding(severity="warning", task=task.id, text=text))
    if task.risk == "high" and not task.tests_must_fail_first and task.kind == "code":
        text = "is of high risk, and no test has to fail before it"
        found.append(PlanFinding(severity="info", task=task.id, text=text))
    return tuple(found)


def _unclaimed(tasks: tuple[PlanTask, ...], spec: IdeaSpec) -> tuple[PlanFinding, ...]:
    claimed = {name for task in tasks for name in task.accepts}
    return tuple(
        PlanFinding(
            severity="info",
            text=f"no task claims acceptance {one.id}: it is judged on the whole change",
        )
        for one in spec.acceptance
        if one.id not in claimed
    )
