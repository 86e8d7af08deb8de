"""The killer: ends workers, server, supervisor, edge and services with SIGKILL, and remembers."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from domain.deployment import Instance
from domain.errors import Unavailable
from domain.hosting import HostState
from integrations.host_sockets import Sockets
from starter.processes import lives
from starter.state import read_state

# What is killed, and how often against the others.
VICTIMS = {
    "delivery worker": 4,
    "other workers": 5,
    "server": 3,
    "supervisor": 4,
    "edge": 4,
    "instance": 6,
}
_BACK = 60.0  # seconds that what was killed may take to be back
_MOST_PER_INSTANCE = 2  # one that dies more often is given up, as it should be


class Kill(NamedTuple):
    """One kill; `back` is when its successor answered, both in monotonic seconds."""

    at: float
    what: str
    instance: Instance | None
    during: tuple[str, ...]  # the states of the rollouts under way
    back: float


class Killer:
    """Strikes every `every` seconds on average, until told that it is over."""

    def __init__(
        self, home: Path, seed: int, every: float, during: Callable[[], dict[str, str]]
    ) -> None:
        """`during` tells the state of the rollout under way, by target."""
        self._home = home
        self._sockets = Sockets(home / "host")
        self._dice = random.Random(seed)
        self._every = every
        self._during = during
        self._waiting: set[asyncio.Task[None]] = set()
        self._deaths: dict[str, int] = {}
        self.kills: list[Kill] = []
        self.stuck: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        """Kill until it is over; return when all that was killed is back."""
        while not over.is_set():
            pause = self._dice.uniform(0.2 * self._every, 1.8 * self._every)
            what = self._dice.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), pause)
            if not over.is_set():
                with suppress(Unavailable):  # the supervisor is away, who would name the victim
                    await self._strike(what)
        if self._waiting:
            await asyncio.wait(self._waiting)

    async def _strike(self, what: str) -> None:
        if what in ("supervisor", "edge"):
            await self._strike_host(what)
        elif what == "instance":
            await self._strike_instance()
        else:
            self._strike_up(what)

    def _strike_up(self, what: str) -> None:
        """Kill the server, or a worker."""
        state = read_state(self._home)
        if state is None:
            return
        if what == "server":
            victims = [(state.server.pid, state.server.born)]
        else:
            wanted = what == "delivery worker"
            found = (each for each in state.workers if ("delivery" in each.queues) is wanted)
            victims = [(each.pid, each.born) for each in found]
        for pid, born in victims:
            if lives(pid, born):
                self._kill(what, pid)

    async def _strike_host(self, what: str) -> None:
        state = await self._sockets.status()
        pid = state.pid if what == "supervisor" else state.edge_pid
        if pid:
            self._kill(what, pid)
            self._await_return(len(self.kills) - 1, what, pid)

    async def _strike_instance(self) -> None:
        """Kill the process of an instance, more often one of a rollout under way."""
        found = [
            each
            for each in await self._sockets.instances()
            if each.pid and self._deaths.get(each.instance, 0) < _MOST_PER_INSTANCE
        ]
        busy = [each for each in found if each.target in self._during()]
        if victims := busy or found:
            victim = self._dice.choice(victims)
            self._deaths[victim.instance] = self._deaths.get(victim.instance, 0) + 1
            self._kill("instance", victim.pid, victim)

    def _kill(self, what: str, pid: int, instance: Instance | None = None) -> None:
        during = tuple(sorted(self._during().values()))
        at = time.monotonic()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills.append(Kill(at, what, instance, during, 0.0))

    def _await_return(self, place: int, what: str, pid: int) -> None:
        task = asyncio.create_task(self._note_return(place, what, pid))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _note_return(self, place: int, what: str, pid: int) -> None:
        deadline = time.monotonic() + _BACK
        while time.monotonic() < deadline:
            with suppress(Unavailable):
                state = await self._sockets.status()
                if self._is_back(state, what, pid):
                    self.kills[place] = self.kills[place]._replace(back=time.monotonic())
                    return
            await asyncio.sleep(0.05)
        self.stuck.append(f"the {what} killed as process {pid} did not come back in {_BACK:g} s")

    def _is_back(self, state: HostState, what: str, pid: int) -> bool:
        now = state.pid if what == "supervisor" else state.edge_pid
        return now not in (0, pid)
