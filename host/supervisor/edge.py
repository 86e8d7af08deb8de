"""The edge as a process: started, adopted, given its sockets again each time it is new."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from domain.errors import Rejected, Unavailable
from domain.hosting import Forget, GiveBack, Listen, Ping
from domain.record import Record
from host.supervisor import logs, restarts
from host.supervisor.census import Identity, lives, working_in
from host.supervisor.edge_words import EdgeWords
from host.supervisor.folder import Folder, write_whole
from host.supervisor.public import Public
from host.supervisor.running import Running, clean_environment, spawn
from host.supervisor.tasks import first_of

_READY = 15.0  # seconds from its start to its first answer
_ASK = 5.0  # seconds between two questions whether it lives
_DEAF = 3  # such questions without an answer in time, then it is killed
_FAREWELL = 120.0  # seconds for what an edge of another version has begun
_SOUND = 10.0  # seconds: one that lived so long starts again at once
_LONGEST = 5.0  # seconds between two starts: all traffic waits for it
_FILES = 65_536
_MODULE = "host.edge"

Tell = Callable[[str], None]


class Known(Record):
    """What is written down of the edge."""

    boot: str
    pid: int
    start: int
    version: str = ""  # of slipway


class Edge:
    """Keeps the edge alive and its ports served."""

    def __init__(self, folder: Folder, public: Public, tell: Tell, version: str) -> None:
        self._version = version
        self._folder = folder
        self._public = public
        self._tell = tell
        self._words = EdgeWords(folder.edge_door)
        self._process: Running | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self._serving = asyncio.Event()
        self._log = folder.log("edge")

    @property
    def pid(self) -> int:
        """Its process; 0: none runs now."""
        return self._process.who.pid if self._process and not self._process.over else 0

    async def take_up(self) -> None:
        """Find the edge that an earlier supervisor started, and hold its sockets again."""
        found = working_in(self._folder.path, _MODULE)
        known = self._known() or await self._at_door(found)
        if known is not None:
            with suppress(ProcessLookupError):
                self._process = Running(Identity(known.boot, known.pid, known.start))
                self._tell(f"a new supervisor looks after the edge, process {self.pid}")
        self._end_strays(found)
        if self._process and known:
            await self._hold_sockets()
        if self._process and known and known.version != self._version:
            await self._renew(self._process)

    async def _at_door(self, found: list[Identity]) -> Known | None:
        """Return who answers at the edge's door, where that was not written down."""
        for who in found:
            if await self._is(who.pid):
                return Known(boot=who.boot, pid=who.pid, start=who.start)
        return None

    def _end_strays(self, found: list[Identity]) -> None:
        """Let others end that were on their way, in or out, as the supervisor was killed."""
        for who in found:
            if who.pid != self.pid:
                with suppress(ProcessLookupError):
                    self._part_from(Running(who))

    async def _hold_sockets(self) -> None:
        try:
            await self._words.ask(Ping())
            for target in self._public.missing:
                await self._ask_back(target)
        except Unavailable as error:
            self._tell(f"the edge is ended: {error}")
            await self._kill()

    async def _renew(self, old: Running) -> None:
        """Let an edge of our version take over; both accept until the old one is told to end."""
        try:
            new = self._start()
        except OSError as error:
            self._tell(f"the edge stays that of another version: {error}")
            return
        self._process = new
        try:
            await self._make_serve(new)
        except (Unavailable, Rejected) as error:
            self._tell(f"the edge stays that of another version: {error}")
            await self._kill()
            self._process = old
            self._write(old.who, "")
            return
        self._part_from(old)

    def _part_from(self, old: Running) -> None:
        farewell = asyncio.create_task(self._bid_farewell(old))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    async def _bid_farewell(self, old: Running) -> None:
        """Let an edge answer what it has begun, for as long as that may take."""
        old.send(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await old.ended()
        old.send(signal.SIGKILL)

    async def _ask_back(self, target: str) -> None:
        try:
            _, sockets = await self._words.ask(GiveBack(target=target))
        except Rejected:
            return  # it never got that one: it is bound anew
        for public in sockets[:1]:
            self._public.adopt(target, public)

    async def run(self) -> None:
        """Keep it running, until cancelled."""
        tries = 0
        while True:
            began = time.monotonic()
            reason = await self._live()
            self._serving.clear()
            await self._kill()
            tries = 0 if time.monotonic() - began > _SOUND else tries
            pause = min(_LONGEST, restarts.pause(tries, restarts.chance()))
            tries += 1
            self._tell(f"the edge {reason}; starts again in {pause:.1f} s")
            await asyncio.sleep(pause)

    async def _live(self) -> str:
        """Live one process of it; return why that ended."""
        try:
            process = self._process = self._process or self._start()
        except OSError as error:
            return f"cannot be started: {error}"
        why = await first_of(process.ended(), self._watch(process))
        if process.over:
            words = logs.last_words(self._log)
            return f"ended with {await process.ended()}{f': {words}' if words else ''}"
        return str(why)

    async def _make_serve(self, process: Running) -> None:
        """Hand all sockets over; raises `Unavailable` or `Rejected`."""
        await self._answers(process)
        for target, public in self._public:
            await self.listen(target, public)

    async def _watch(self, process: Running) -> str:
        """Make it serve, then ask from time to time; return what is wrong with it."""
        try:
            await self._make_serve(process)
        except (Unavailable, Rejected) as error:
            return f"does not serve: {error}"
        self._serving.set()
        deaf = 0
        while deaf < _DEAF:
            await asyncio.sleep(_ASK)
            try:
                await self._words.ask(Ping())
            except (Unavailable, Rejected):
                deaf += 1
            else:
                deaf = 0
        return f"gave no answer {_DEAF} times"

    async def _answers(self, process: Running) -> None:
        """Wait for the first answer of this very process; raises `Unavailable` if it is late."""
        deadline = time.monotonic() + _READY
        while not await self._is(process.who.pid):
            if process.over or time.monotonic() > deadline:
                raise Unavailable("it does not come up", code="edge_away")
            await asyncio.sleep(0.02)

    async def _is(self, pid: int) -> bool:
        """Whether it is this process that answers at the edge's door."""
        with suppress(Unavailable, Rejected):
            answer, _ = await self._words.ask(Ping())
            return answer.get("pid") == pid
        return False

    async def listen(self, target: str, public: socket.socket) -> None:
        """Hand a public socket over; raises `Unavailable` or `Rejected`."""
        await self._words.ask(Listen(target=target), [public])

    async def serving(self, patience: float = _READY) -> None:
        """Wait until it serves; raises `Unavailable` when that takes too long."""
        try:
            async with asyncio.timeout(patience):
                await self._serving.wait()
        except TimeoutError as error:
            raise Unavailable(
                "the edge does not run", code="edge_away", hint=f"its log is {self._log}"
            ) from error

    async def close(self, target: str) -> None:
        """Let it close a public socket; one that is away holds none."""
        with suppress(Unavailable):
            await self._words.ask(Forget(target=target))

    def _start(self) -> Running:
        command = [sys.executable, "-P", "-m", _MODULE]
        # Relative to its folder: the path of a UNIX socket must be short.
        folder = ["--state", self._folder.edge_state.name, "--admin", self._folder.edge_door.name]
        path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        process = spawn(
            [*command, *folder],
            cwd=str(self._folder.path),
            env=clean_environment(path),
            log=self._log,
            files=_FILES,
        )
        self._tell(f"the edge started, process {process.who.pid}")
        self._write(process.who, self._version)
        return process

    def _write(self, who: Identity, version: str) -> None:
        known = Known(boot=who.boot, pid=who.pid, start=who.start, version=version)
        try:
            write_whole(self._folder.edge_identity, known.model_dump_json())
        except OSError as error:
            self._tell(f"the edge's process cannot be written down: {error}")

    def _known(self) -> Known | None:
        """Return the edge that was started last; None when that was not written down, or ended."""
        try:
            known = Known.model_validate_json(self._folder.edge_identity.read_text())
        except (OSError, ValueError):
            return None
        return known if lives(Identity(known.boot, known.pid, known.start)) else None

    async def end(self, patience: float) -> None:
        """End it: asked first, so that what is in flight can be answered."""
        if self._process is None:
            return
        self._process.send(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._process.ended()
        await self._kill()
        self._folder.edge_identity.unlink(missing_ok=True)

    async def _kill(self) -> None:
        if self._process is None:
            return
        self._process.send(signal.SIGKILL)
        await self._process.ended()
        self._process = None

    def leave(self) -> None:
        """Look after it no more; it goes on."""
        if self._process:
            self._process.forget()

    def look(self) -> None:
        """Cut its log when it has grown."""
        with suppress(OSError):
            logs.turn(self._log)
