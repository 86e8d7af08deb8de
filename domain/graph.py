"""Tasks as a graph: which may start now, longest remaining path first; pure and deterministic."""

from bisect import insort
from collections.abc import Mapping
from enum import StrEnum
from heapq import heappop, heappush

from domain.errors import Rejected
from domain.plan import SkeletonTask


class _State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    SKIPPED = "skipped"


class TaskGraph:
    """Tells what may start. The same calls in the same order give the same answers.

    Building costs O((V + E) log V), each step O(its edges). Adjacency is kept as sorted tuples:
    the order of a set differs between processes, and a replay would too.
    """

    def __init__(self, tasks: tuple[SkeletonTask, ...]) -> None:
        """Raise `Rejected` for an id used twice, an unknown need, or a cycle."""
        self._needs = _needs(tasks)
        self._followers = _followers(self._needs)
        self._order = topological(self._needs)
        self._rank = self._ranks({task.id: task.weight for task in tasks})
        self._state = {task.id: _State.WAITING for task in tasks}
        self._missing = {task: len(needs) for task, needs in self._needs.items()}
        self._ready: list[tuple[int, str]] = sorted(
            (-self._rank[task], task) for task, missing in self._missing.items() if not missing
        )

    def ready(self) -> tuple[str, ...]:
        """Return what may start: the longest remaining path first, then by id."""
        return tuple(task for _, task in self._ready)

    def start(self, task: str) -> None:
        """Mark a ready task as running."""
        if (-self._rank.get(task, 0), task) not in self._ready:
            raise self._illegal(task, "start")
        self._ready.remove((-self._rank[task], task))
        self._state[task] = _State.RUNNING

    def finish(self, task: str) -> None:
        """Mark a running task as done; what waited only for it becomes ready."""
        self._leave_running(task, "finish")
        self._state[task] = _State.FINISHED
        for follower in self._followers[task]:
            self._missing[follower] -= 1
            if not self._missing[follower] and self._state[follower] is _State.WAITING:
                insort(self._ready, (-self._rank[follower], follower))

    def reopen(self, task: str) -> None:
        """Let a running task that failed start again."""
        self._leave_running(task, "reopen")
        self._state[task] = _State.WAITING
        insort(self._ready, (-self._rank[task], task))

    def skip(self, task: str) -> tuple[str, ...]:
        """Give up a task that is not finished and all that need it; return their ids."""
        if self._state.get(task) not in (_State.WAITING, _State.RUNNING):
            raise self._illegal(task, "skip")
        skipped: dict[str, None] = {}
        todo = [task]
        while todo:
            one = todo.pop()
            if self._state[one] is not _State.SKIPPED:
                self._state[one] = _State.SKIPPED
                skipped[one] = None
                todo.extend(self._followers[one])
        self._ready = [entry for entry in self._ready if entry[1] not in skipped]
        return tuple(each for each in self._order if each in skipped)

    def is_done(self) -> bool:
        """Say whether every task is finished or skipped."""
        return all(state in (_State.FINISHED, _State.SKIPPED) for state in self._state.values())

    def blocked(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return each task that waits for others, with those it waits for."""
        return tuple(
            (task, self._unmet(task))
            for task in self._order
            if self._state[task] is _State.WAITING and self._missing[task]
        )

    def _unmet(self, task: str) -> tuple[str, ...]:
        return tuple(need for need in self._needs[task] if self._state[need] is not _State.FINISHED)

    def _ranks(self, weights: dict[str, int]) -> dict[str, int]:
        """Return for each task the weight of the heaviest path that begins with it."""
        ranks: dict[str, int] = {}
        for task in reversed(self._order):
            after = max((ranks[follower] for follower in self._followers[task]), default=0)
            ranks[task] = weights[task] + after
        return ranks

    def _leave_running(self, task: str, verb: str) -> None:
        if self._state.get(task) is not _State.RUNNING:
            raise self._illegal(task, verb)

    def _illegal(self, task: str, verb: str) -> Rejected:
        state = self._state.get(task, "unknown")
        return Rejected(f"cannot {verb} task {task!r}: it is {state}", code="illegal_step")


def topological(needs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the ids so that each comes after its needs, else as given.

    Raises `Rejected` with code `cyclic`.
    """
    place = {task: at for at, task in enumerate(needs)}
    names = tuple(needs)
    missing = {task: len(each) for task, each in needs.items()}
    followers = _followers(needs)
    free = [place[task] for task in names if not missing[task]]  # sorted, hence a heap
    order: list[str] = []
    while free:
        task = names[heappop(free)]
        order.append(task)
        for follower in followers[task]:
            missing[follower] -= 1
            if not missing[follower]:
                heappush(free, place[follower])
    if len(order) < len(needs):
        raise Rejected(f"the tasks wait for each other: {cycle(needs)}", code="cyclic")
    return tuple(order)


def cycle(needs: Mapping[str, tuple[str, ...]]) -> str:
    """Spell one cycle, `a -> b -> a`, where an arrow means "needs"; empty if there is none."""
    left = dict(needs)
    while True:
        free = [task for task, each in left.items() if not any(need in left for need in each)]
        if not free:
            break
        for task in free:
            del left[task]
    if not left:
        return ""
    walk = [min(left)]
    while walk.count(walk[-1]) < 2:
        walk.append(min(need for need in left[walk[-1]] if need in left))
    return " -> ".join(walk[walk.index(walk[-1]) :])


def _needs(tasks: tuple[SkeletonTask, ...]) -> dict[str, tuple[str, ...]]:
    needs: dict[str, tuple[str, ...]] = {}
    for task in sorted(tasks, key=lambda task: task.id):
        if task.id in needs:
            raise Rejected(f"two tasks have the id {task.id!r}", code="duplicate_task")
        needs[task.id] = tuple(sorted(set(task.needs)))
    for task_id, each in needs.items():
        for need in each:
            if need not in needs:
                raise Rejected(f"task {task_id!r} needs the unknown {need!r}", code="unknown_task")
    return needs


def _followers(needs: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Turn the edges around; both sides are walked in sorted order."""
    followers: dict[str, list[str]] = {task: [] for task in sorted(needs)}
    for task in sorted(needs):
        for need in needs[task]:
            followers[need].append(task)
    return {task: tuple(each) for task, each in followers.items()}
