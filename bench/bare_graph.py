"""The rival of `Dispatch`: a scheduler of a task graph by the SDK alone, a child per task."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush

from temporalio import activity, workflow

PATIENCE = timedelta(seconds=60)


@dataclass
class BareOrder:
    needs: dict[str, list[str]]
    width: int
    longest_first: bool  # else first in, first out


@activity.defn
async def work_fifty_ms(task: str) -> str:
    await asyncio.sleep(0.05)
    return task


@workflow.defn
class BareLeaf:
    @workflow.run
    async def run(self, task: str) -> str:
        return await workflow.execute_activity(work_fifty_ms, task, start_to_close_timeout=PATIENCE)


@workflow.defn
class BareGraph:
    @workflow.run
    async def run(self, order: BareOrder) -> int:
        queue = _Longest(order.needs) if order.longest_first else _First()
        missing = {task: len(needs) for task, needs in order.needs.items()}
        followers = _followers(order.needs)
        for task, count in missing.items():
            if not count:
                queue.push(task)
        running: dict[asyncio.Task[str], str] = {}
        ended = 0
        while queue or running:
            while queue and len(running) < order.width:
                task = queue.pop()
                running[asyncio.create_task(_leaf(task))] = task
            done, _ = await workflow.wait(list(running), return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                ended += 1
                for follower in followers[running.pop(each)]:
                    missing[follower] -= 1
                    if not missing[follower]:
                        queue.push(follower)
        return ended


class _First:
    def __init__(self) -> None:
        self._line: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def push(self, task: str) -> None:
        self._line.append(task)

    def pop(self) -> str:
        return self._line.popleft()


class _Longest(_First):
    def __init__(self, needs: dict[str, list[str]]) -> None:
        self._ranks = _ranks(needs)
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, task: str) -> None:
        heappush(self._heap, (-self._ranks[task], task))

    def pop(self) -> str:
        return heappop(self._heap)[1]


async def _leaf(task: str) -> str:
    child = f"{workflow.info().workflow_id}/{task}"
    return await workflow.execute_child_workflow(BareLeaf.run, task, id=child)


def _followers(needs: dict[str, list[str]]) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = {task: [] for task in needs}
    for task, each in needs.items():
        for need in each:
            followers[need].append(task)
    return followers


def _ranks(needs: dict[str, list[str]]) -> dict[str, int]:
    followers = _followers(needs)
    ranks: dict[str, int] = {}

    def rank(task: str) -> int:
        if task not in ranks:
            ranks[task] = 1 + max((rank(each) for each in followers[task]), default=0)
        return ranks[task]

    for task in needs:
        rank(task)
    return ranks
