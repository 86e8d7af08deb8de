"""The supervisor: one per home; carries out what is said at its door."""

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from domain.errors import Rejected, Unavailable
from domain.hosting import (
    Declare,
    Forget,
    HostState,
    HostStatus,
    ListProcesses,
    Ping,
    RestartProcess,
    Shutdown,
    StartProcess,
    StopProcess,
)
from domain.record import Record
from host.supervisor.edge import Edge
from host.supervisor.fleet import Fleet
from host.supervisor.folder import Folder
from host.supervisor.kept import now_ms
from host.supervisor.public import Public
from host.supervisor.supervised import Tell

_EDGE_PATIENCE = 30.0  # seconds for what is in flight when everything is ended
_AGAIN = 1.0  # seconds from a fault of ours to the next try
_BIND_AGAIN = 5.0  # seconds between two tries to bind a port that was taken at our start

Answer = dict[str, Any]


class Supervisor:
    """Looks after edge, ports and instances from `take_up` to `shut`."""

    def __init__(self, folder: Folder, tell: Tell, version: str) -> None:
        self._tell = tell
        self._version = version
        self._since_ms = now_ms()
        self._public = Public(folder)
        self._edge = Edge(folder, self._public, tell, version)
        self._fleet = Fleet(folder, tell, lambda: self._edge.pid)
        self._tasks: list[asyncio.Task[None]] = []
        self._with_services = False
        self.ending = asyncio.Event()
        self.words: Mapping[type[Record], Callable[[Any], Awaitable[Answer]]] = {
            Declare: self._declare,
            Forget: self._forget,
            StartProcess: self._start,
            StopProcess: self._stop,
            RestartProcess: self._restart,
            ListProcesses: self._list,
            HostStatus: self._status,
            Shutdown: self._shutdown,
            Ping: self._ping,
        }

    async def take_up(self) -> None:
        """Find again what an earlier supervisor left running, and keep all of it alive."""
        await self._edge.take_up()
        self._bind_missing()
        self._fleet.take_up()
        works = (self._edge.run, self._fleet.look_over, self._mind_ports)
        self._tasks = [asyncio.create_task(self._always(work)) for work in works]

    async def shut(self) -> None:
        """Let go of everything; what was asked to end has ended when this returns."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._with_services or not (len(self._public) or len(self._fleet)):
            await self._edge.end(_EDGE_PATIENCE)
            await self._fleet.end()
        else:
            self._edge.leave()
            await self._fleet.leave()

    async def _always(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do this until cancelled; a fault of ours must not leave anything alone."""
        while True:
            try:
                await work()
            except Exception:
                self._tell(f"fault of the supervisor: {traceback.format_exc()}")
            await asyncio.sleep(_AGAIN)

    def _bind_missing(self) -> None:
        for target in self._public.missing:
            try:
                self._public.bind(target)
            except Rejected as error:
                self._tell(f"{error}; tried again every {_BIND_AGAIN:g} s")

    async def _mind_ports(self) -> None:
        """Bind what was taken when we started, and look after the edge's log."""
        while True:
            await asyncio.sleep(_BIND_AGAIN)
            self._edge.look()
            for target in self._public.missing:
                with suppress(Rejected, Unavailable):
                    self._public.bind(target)
                    await self._hand_over(target)

    async def _hand_over(self, target: str) -> None:
        await self._edge.serving()
        for name, public in self._public:
            if name == target:
                await self._edge.listen(name, public)

    # What can be said.

    async def _declare(self, order: Declare) -> Answer:
        if self._public.declare(order.target, order.host, order.port):
            self._tell(f"{order.target} is reached at {order.host}:{order.port}")
        await self._hand_over(order.target)
        return {}

    async def _forget(self, order: Forget) -> Answer:
        if left := [each.instance for each in self._fleet.seen(order.target)]:
            raise Rejected(
                f"{order.target} still has {', '.join(left)}",
                code="has_instances",
                hint="stop its instances first",
            )
        if self._public.forget(order.target):
            await self._edge.close(order.target)
            self._tell(f"{order.target} is not reached any more")
        return {}

    async def _start(self, order: StartProcess) -> Answer:
        return self._fleet.start(order).model_dump()

    async def _stop(self, order: StopProcess) -> Answer:
        return (await self._fleet.stop(order.instance)).model_dump()

    async def _restart(self, order: RestartProcess) -> Answer:
        return self._fleet.restart(order.instance).model_dump()

    async def _list(self, order: ListProcesses) -> Answer:
        return {"instances": [each.model_dump() for each in self._fleet.seen(order.target)]}

    async def _status(self, _: HostStatus) -> Answer:
        return HostState(
            pid=os.getpid(),
            edge_pid=self._edge.pid,
            since_ms=self._since_ms,
            targets=self._public.named(),
            instances=len(self._fleet),
            version=self._version,
        ).model_dump()

    async def _shutdown(self, order: Shutdown) -> Answer:
        self._with_services = order.services
        self.ending.set()
        return {}

    async def _ping(self, _: Ping) -> Answer:
        return {}
