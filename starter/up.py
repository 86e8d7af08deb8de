"""The up process: the Temporal server and the workers of this machine, kept alive."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from config.settings import Settings
from domain.errors import Unavailable
from starter.child import Family
from starter.hosting import HostKeeper
from starter.own_server import OwnServer
from starter.place import command, foreign_server
from starter.processes import adopt_orphans, birth, end, reap
from starter.server import Tell, connect, obtain, server_version, version_of
from starter.state import RunningServer, UpState, read_state, state_file, write_state
from starter.worker_pool import WORKERS, WorkerPool, worker_environment

_WORKERS_READY_SECONDS = 60
_REAP_SECONDS = 5

Announce = Callable[[UpState], None]
Work = Coroutine[Any, Any, None]


class Up:
    """One run of `slipway up`; `serve` returns when it was asked to stop and all is stopped."""

    def __init__(self, chosen: Settings, tell: Tell, workers: Sequence[str] = ()) -> None:
        self._settings = chosen
        self._tell = tell
        self._workers = workers or command("workers")
        self._logs = chosen.home / "logs"
        self._family = Family()
        self._foreign: dict[str, Any] | None = None
        self._own: OwnServer | None = None
        self._server = RunningServer(address="")
        self._client: Any = None
        self._pool: WorkerPool | None = None
        self._host = HostKeeper(chosen.home, tell, self._write)
        self._since_ms = int(time.time() * 1000)
        self._announced = False
        self._stop = asyncio.Event()

    def prepare(self) -> None:
        """Find or fetch the server binary; may take minutes, and needs no event loop.

        Raises `Misconfigured` or `Unavailable` where there is no way to a server.
        """
        self._foreign = foreign_server()
        if self._foreign is None:
            binary = obtain(self._settings, self._tell)
            version = version_of(binary.path, self._settings)
            self._own = OwnServer(
                self._family, binary.path, version, self._settings.home / "temporal", self._logs
            )

    async def serve(self, announce: Announce) -> None:
        """Start everything, say where it is, keep it alive until SIGINT or SIGTERM.

        The caller holds the home's up lock. Raises `Unavailable` or `Misconfigured` when
        something does not start; all that did is stopped then.
        """
        adopt_orphans()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        host = asyncio.create_task(self._host.keep())
        try:
            await self._unless_stopped(self._start())
            if not self._stop.is_set():
                self._announced = True
                self._write()
                announce(self._state())
                await self._unless_stopped(self._keep_alive())
        finally:
            host.cancel()
            await self._end()

    async def _unless_stopped(self, work: Work) -> None:
        """Do the work until it is done, fails, or we are asked to stop."""
        await _first_of(work, _until(self._stop))

    async def _start(self) -> None:
        _end_leftovers(read_state(self._settings.home))
        if self._own:
            await self._own.start()
            self._server = self._own.running
            self._client = await connect(self._server.address, seconds=10)
        else:
            await self._use_foreign()
        self._pool = WorkerPool(
            self._family,
            self._workers,
            worker_environment(self._server.address if self._own else None),
            self._logs,
            self._evict,
            self._tell,
            self._write,
        )
        self._pool.start()
        await _first_of(self._pool.failed(), self._all_poll(self._pool))
        self._pool.ready()

    async def _use_foreign(self) -> None:
        options = dict(self._foreign or {})
        address = options.pop("target_host")
        self._client = await connect(address, seconds=5, **options)
        self._server = RunningServer(
            address=address,
            namespace=self._client.namespace,
            version=await server_version(self._client),
        )

    async def _all_poll(self, pool: WorkerPool) -> None:
        """Wait until every queue is polled by the worker that we started for it."""
        deadline = time.monotonic() + _WORKERS_READY_SECONDS
        missing = [queue for queues in WORKERS for queue in queues]
        while missing:
            identities = {worker.identity for worker in pool.running}
            missing = [queue for queue in missing if not identities & await self._pollers(queue)]
            if missing and time.monotonic() > deadline:
                raise Unavailable(
                    f"No worker serves {', '.join(missing)} after {_WORKERS_READY_SECONDS} s",
                    code="workers_not_ready",
                    path=str(self._logs),
                    hint=f"Their logs are in {self._logs}.",
                )
            await asyncio.sleep(0.1)

    async def _pollers(self, queue: str) -> set[str]:
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.taskqueue.v1 import TaskQueue
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

        workflows, activities = (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        told = await self._client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=workflows if queue == "delivery" else activities,
            )
        )
        return {poller.identity for poller in told.pollers}

    async def _evict(self, identity: str) -> None:
        from starter.eviction import evict

        count = await evict(self._client, identity)
        self._tell(f"evicted {identity}: {count} activities start again")

    async def _keep_alive(self) -> None:
        assert self._pool is not None
        await _first_of(self._pool.failed(), self._keep_server(), self._reap_orphans())

    async def _keep_server(self) -> None:
        if self._own is None:
            await _until(asyncio.Event())
            return
        while True:
            code = await self._own.died()
            self._tell(f"the Temporal server ended ({code}); it starts again")
            await self._restart_server(self._own)

    async def _restart_server(self, own: OwnServer) -> None:
        """Start it again where it was, however often that takes."""
        pause = 0.25
        while True:
            try:
                await own.restart()
            except Unavailable as error:
                self._tell(f"{error}; tried again in {pause:.1f} s")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 15.0)
            else:
                break
        self._server = own.running
        self._write()

    async def _reap_orphans(self) -> None:
        """Take adopted orphans out of the process table once they have ended."""
        while True:
            await asyncio.sleep(_REAP_SECONDS)
            reap(await self._family.orphans())

    def _state(self) -> UpState:
        return UpState(
            pid=os.getpid(),
            born=birth(os.getpid()),
            nonce=self._own.nonce if self._own else "",
            since_ms=self._since_ms,
            server=self._server,
            workers=self._pool.running if self._pool else (),
            host=self._host.pid,
            logs=str(self._logs),
        )

    def _write(self) -> None:
        if self._announced:
            write_state(self._settings.home, self._state())

    async def _end(self) -> None:
        if self._pool:
            await self._pool.stop()
        if self._own:
            await self._own.stop()
        await self._host.end_idle()
        if self._announced:
            state_file(self._settings.home).unlink(missing_ok=True)


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _first_of(*works: Work) -> None:
    """Do these together until the first is done or fails; the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_leftovers(state: UpState | None) -> None:
    """End what an up process that was killed left running; the home's lock is ours by now."""
    if state is None:
        return
    for worker in state.workers:
        end(worker.pid, worker.born, patience=5)
    if state.server.pid:
        end(state.server.pid, state.server.born, patience=8)
