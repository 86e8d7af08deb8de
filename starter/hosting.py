"""The host beside `slipway up`: started when none runs, listed, left alone, or ended."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from domain.deployment import Instance
from domain.errors import Misconfigured, Unavailable
from domain.hosting import HostState
from integrations.host_sockets import Sockets
from starter.files import tail
from starter.place import command
from starter.processes import birth, leaving_orphans

_STARTING = 10.0  # seconds until it answers
_ENDING = 3_700.0  # seconds until all services have ended; the longest drain time is an hour
_LOOK = 0.05

Tell = Callable[[str], None]


class Host:
    """The supervisor of one home, as those see it who start and end it."""

    def __init__(self, home: Path) -> None:
        self.sockets = Sockets(home / "host")
        self._folder = home / "host"
        self._errors = home / "logs" / "host.err"
        self._words = command("host", "--home", str(home))
        self._started = 0

    async def status(self) -> HostState | None:
        """Return what it says of itself; None when it does not answer."""
        with contextlib.suppress(Unavailable):
            return await self.sockets.status()
        return None

    async def services(self) -> tuple[Instance, ...]:
        """Return what it looks after; nothing when it does not answer."""
        with contextlib.suppress(Unavailable):
            return await self.sockets.instances()
        return ()

    def left_something(self) -> bool:
        """Whether a supervisor that does not run now looked after anything."""
        return any(self._folder.glob("instances/*.json"))

    async def ensure(self) -> HostState:
        """Start it unless it answers; return what it says when it does.

        Raises `Unavailable` when it does not come up, `Misconfigured` where there can be none.
        """
        if sys.platform != "linux":
            raise Misconfigured("services run on Linux only", code="no_host")
        if state := await self.status():
            return state
        self._started = self._start()
        return await self._answer()

    async def _answer(self) -> HostState:
        """Wait until the one that was started answers."""
        deadline = time.monotonic() + _STARTING
        while not (state := await self.status()):
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the host's supervisor does not come up: {tail(self._errors, 1)}",
                    code="host_away",
                    path=str(self._errors),
                    hint=f"`{' '.join(self._words)}` shows what happens.",
                )
            await asyncio.sleep(_LOOK)
        return state

    def _start(self) -> int:
        """Start it as a child of nobody; return its process."""
        self._errors.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("wb") as sink, leaving_orphans():
            said = subprocess.run(
                ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *self._words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                start_new_session=True,
                check=True,
            )
        return int(said.stdout)

    async def renew(self, state: HostState) -> HostState:
        """Replace a supervisor of another version of slipway; what it looks after goes on."""
        if state.version == version("slipway"):
            return state
        await self.sockets.shutdown(services=False)
        await gone(state.pid, _STARTING)
        return await self.ensure()

    async def end_idle(self) -> None:
        """End it if it has nothing to look after; one that is just starting is waited for."""
        with contextlib.suppress(Unavailable):
            waited = birth(self._started) if self._started else ""
            state = await self._answer() if waited else await self.status()
            if state and not state.instances and not state.targets:
                await self.sockets.shutdown(services=False)
                await gone(state.pid, _STARTING)

    async def end_services(self) -> tuple[Instance, ...]:
        """End services, edge and supervisor; return the services that were ended.

        A supervisor that was killed is started once more, so that nothing stays. Raises
        `Unavailable` when it does not end.
        """
        if not self._folder.is_dir():
            return ()
        state = await self.ensure()
        ended = await self.sockets.instances()
        await self.sockets.shutdown(services=True)
        if not await gone(state.pid, _ENDING):
            raise Unavailable(
                f"the host's supervisor (process {state.pid}) does not end",
                code="down_stuck",
                hint=f"Its log is {self._folder}/logs/host.log.",
            )
        return ended


class HostKeeper:
    """Keeps a supervisor running for as long as `slipway up` runs; it goes on after.

    It is a child of nobody: nothing that happens to us or our workers reaches it.
    """

    def __init__(self, home: Path, tell: Tell, changed: Callable[[], None]) -> None:
        self._host = Host(home)
        self._tell = tell
        self._changed = changed
        self.pid = 0

    async def keep(self) -> None:
        """Start it whenever it is away; what goes wrong is told, and never stops us."""
        pause = 0.5
        while True:
            try:
                state = await self._host.renew(await self._host.ensure())
            except (Unavailable, Misconfigured, OSError, subprocess.SubprocessError) as error:
                self._tell(f"services are not looked after: {error}")
            else:
                pause = 0.5
                self._point_at(state.pid)
                await gone(state.pid)
                self._tell("the host's supervisor ended; it starts again")
                self._point_at(0)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60.0)

    def _point_at(self, pid: int) -> None:
        self.pid = pid
        self._changed()

    async def end_idle(self) -> None:
        """End it if it has nothing to look after, else say that this goes on."""
        await self._host.end_idle()
        if left := sorted({each.target for each in await self._host.services()}):
            self._tell(f"{', '.join(left)} goes on; `slipway down --services` ends it")


async def gone(pid: int, seconds: float | None = None) -> bool:
    """Wait for the end of a process that is not ours (pidfd_open(2)); whether it came in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _ended(pid)
            return True
    return False


async def _ended(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
