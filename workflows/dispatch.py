"""Dispatch tasks by dependency, longest remaining path first, under a limit of width."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow

from domain.graph import TaskGraph
from domain.plan import SkeletonTask

# Starts per turn of the event loop: a burst of completions must not fill the server's buffer
# of events, which holds 100 while a workflow task runs.
BURST = 16

# While more tasks than LONG wait, the last free slot of at least WIDE waits for a second one: two
# starts in one turn share their workflow tasks, which keeps the history of a long plan short.
LONG, WIDE = 64, 8


class Dispatch:
    """Runs a graph: `start` runs one task to its end and says whether it succeeded."""

    def __init__(
        self,
        tasks: tuple[SkeletonTask, ...],
        start: Callable[[SkeletonTask], Awaitable[bool]],
        *,
        width: int,
        paused: Callable[[], bool] = lambda: False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.graph = TaskGraph(tasks)
        self._tasks = {task.id: task for task in tasks}
        self._start = start
        self._width = width
        self._paused = paused
        self._stopping = stopping
        self._begun = 0
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._failed: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """Tasks that have failed and wait for a person to retry or skip them."""
        return self._failed

    async def run(self) -> None:
        """Return when nothing runs and nothing more can start."""
        try:
            while True:
                await workflow.wait_condition(lambda: not self._paused() or bool(self._running))
                await self._fill()
                if not self._running:
                    return
                await self._next()
        except asyncio.CancelledError:
            await self._stop()
            raise

    def retry(self, task: str) -> None:
        """Let a failed task start again at the next `run`."""
        self._failed = tuple(failed for failed in self._failed if failed != task)
        self.graph.reopen(task)

    def skip(self, task: str) -> tuple[str, ...]:
        """Give up a failed task and all that need it; return their ids."""
        self._failed = tuple(failed for failed in self._failed if failed != task)
        return self.graph.skip(task)

    async def _fill(self) -> None:
        if self._waits_for_a_second():
            return
        while not self._paused() and not self._stopping() and len(self._running) < self._width:
            ready = self.graph.ready()[: min(BURST, self._width - len(self._running))]
            if not ready:
                return
            for task in ready:
                self.graph.start(task)
                self._begun += 1
                self._running[task] = asyncio.create_task(self._one(task))
            await asyncio.sleep(0)

    def _waits_for_a_second(self) -> bool:
        """Whether a slot that became free stays empty until another task ends."""
        waiting = len(self._tasks) - self._begun
        return waiting > LONG and self._width >= WIDE and len(self._running) == self._width - 1

    async def _one(self, task: str) -> bool:
        return await self._start(self._tasks[task])

    async def _next(self) -> None:
        """Wait for the first task that ends, in the order in which tasks were started."""
        await workflow.wait(list(self._running.values()), return_when=asyncio.FIRST_COMPLETED)
        for task in [task for task, run in self._running.items() if run.done()]:
            if self._running.pop(task).result():
                self.graph.finish(task)
            else:
                self._failed = (*self._failed, task)

    async def _stop(self) -> None:
        for run in self._running.values():
            run.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
