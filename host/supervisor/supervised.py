"""One instance: started, watched, restarted, ended; what is decided about it is on disk first."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, NamedTuple

from domain.deployment import Instance, State
from host.supervisor import logs, restarts
from host.supervisor.census import MARK, Census, Identity, Seen, boot_id, proportional
from host.supervisor.ending import end_all
from host.supervisor.folder import Folder
from host.supervisor.health import Health
from host.supervisor.kept import Kept, save
from host.supervisor.ports import choose, holder
from host.supervisor.running import Running, clean_environment, spawn
from host.supervisor.tasks import first_of

_BRIEF = 1.0  # seconds from TERM to KILL for what a dead process left
_VERDICT = 5.0  # at most, for a process that is ended because it is not well
_MB = 1_000_000

Tell = Callable[[str], None]


class Failure(NamedTuple):
    """Why a process is not, or must not be, any more.

    `died`: by itself, or by another hand; `final`: another try will not help.
    """

    reason: str
    final: bool = False
    patience: float = _BRIEF
    died: bool = False


class Supervised:
    """Keeps one instance running until it is asked to stop; `run` returns when nothing is left."""

    def __init__(
        self,
        kept: Kept,
        folder: Folder,
        census: Census,
        tell: Tell,
        taken: Callable[[], Collection[int]],
    ) -> None:
        """`taken` names the ports that all instances were given."""
        self.kept = kept
        self.log = folder.log(kept.order.instance)
        self._folder = folder
        self._census = census
        self._tell = tell
        self._taken = taken
        self._process: Running | None = None
        self._known: frozenset[Identity] = frozenset()
        self._health: Health | None = None
        self._wish = asyncio.Event()
        self._unsaved = False
        self._words_from = 0

    @property
    def child(self) -> int:
        """The process that we look after now; 0: none."""
        return self._process.who.pid if self._process else 0

    def seen(self) -> Instance:
        """Return how it is, for those who ask."""
        found = self.kept.seen(self._health.failures if self._health else 0)
        if found.state in ("starting", "ready") and self._health and self._health.word:
            return found.but(reason=self._health.word)
        return found

    def stop(self) -> None:
        """Ask it to end; `run` returns when it has."""
        self._turn("stopping", "it was asked to stop", ended=True)
        self._wish.set()

    def restart(self) -> None:
        """Ask for a new process, also in a crash loop; what was counted is forgotten."""
        if not self.kept.ended:
            self._turn("starting", "a restart was asked for", recent=())
            self._wish.set()

    def leave(self) -> None:
        """Look after it no more; its processes go on."""
        if self._process:
            self._process.forget()

    async def rest(self) -> None:
        """End its processes; the next supervisor starts it again, unless it was in a crash loop."""
        if self.kept.state not in ("stopping", "crash_loop"):
            self._turn("starting", "the host was ended")
        await self._end(self.kept.order.drain_s)

    async def run(self) -> None:
        """Keep it running until it is asked to stop, then end all of it."""
        failure = self._resume()
        while not self.kept.ended:
            if failure is None:
                failure = await self._live()
            if failure is not None:
                await self._mend(failure)
            failure = None
        await self._end(self.kept.order.drain_s)

    # The life of one process.

    async def _live(self) -> Failure | None:
        """Live one process to its end, or to our verdict; None: somebody wished otherwise."""
        if self.kept.state == "crash_loop":
            await self._wish.wait()
        if self._wish.is_set():
            await self._obey()
            return None
        try:
            process = self._process = self._process or self._start()
        except OSError as error:
            return Failure(f"cannot be started: {error}", final=_hopeless(error))
        except _PortTaken as error:
            return Failure(str(error))
        health = self._health = Health(self.kept.order, self.kept.port, self.members)
        verdict = await first_of(
            process.ended(), self._watch(health), health.complaint(), self._wish.wait()
        )
        if process.over:
            return self._death(await process.ended())
        if self._wish.is_set():
            await self._obey()
            return None
        return Failure(str(verdict), patience=min(_VERDICT, self.kept.order.drain_s))

    async def _obey(self) -> None:
        """Do what was wished: at a restart end the process here, the next one starts after."""
        self._wish.clear()
        if not self.kept.ended:
            await self._end(self.kept.order.drain_s)

    async def _watch(self, health: Health) -> str:
        """Watch until there is something to complain about; return it."""
        if self.kept.state != "ready":
            if late := await health.become_ready():
                return late
            self._turn("ready", was_ready=True)
        return await health.stay_well()

    def _death(self, code: int | None) -> Failure:
        words = logs.last_words(self.log, self._words_from)
        said = f"; its last words: {words}" if words else ""
        if code is None:
            return Failure(f"ended, with an exit code that nobody could read{said}", died=True)
        if code < 0:
            return Failure(f"was ended by signal {-code}{said}", died=True)
        if code == restarts.CONFIG_ERROR:
            return Failure(f"exit code {code}, a configuration error{said}", final=True)
        return Failure(f"ended with exit code {code}{said}", died=True)

    # Starting and starting again.

    def _start(self) -> Running:
        """Start a process; mark and port are on disk before."""
        order = self.kept.order
        self._have_port()
        own = {name: _filled(value, self.kept.port) for name, value in order.env.items()}
        with suppress(OSError):
            self._words_from = self.log.stat().st_size
        process = spawn(
            [_filled(word, self.kept.port) for word in order.argv],
            cwd=order.cwd,
            env=clean_environment({"PORT": str(self.kept.port), **own, MARK: self.kept.mark}),
            log=self.log,
            files=order.limits.files,
        )
        self._note(f"process {process.who.pid} started, port {self.kept.port}")
        self._point_at(process.who)
        return process

    def _have_port(self) -> None:
        """Make sure that nobody listens on our port; raises `_PortTaken`."""
        if not (who := holder(self.kept.port)):
            return
        if self.kept.was_ready:  # traffic may be routed to it
            raise _PortTaken(f"its port {self.kept.port} is taken by {who}")
        self._change(port=choose(self._taken()))

    async def _mend(self, failure: Failure) -> None:
        """End what is left, and wait for the time of the next process, if there will be one."""
        now = time.monotonic()
        before = restarts.recent(self.kept.recent, now)
        limit = self.kept.order.limits.restarts
        hopeless = failure.final or len(before) >= limit
        reason = failure.reason
        if hopeless and not failure.final:
            reason += f"; {len(before)} restarts within ten minutes are enough"
        if not self.kept.ended:
            # One death may be chance, and is mended at once: only what goes on is called down.
            once = failure.died and not before and not hopeless
            self._turn("starting" if once else "down", reason)
        await self._end(failure.patience)
        if self.kept.ended or self._wish.is_set():
            return
        if hopeless:
            self._turn("crash_loop", reason)
            return
        self._change(recent=(*before, now), restarts=self.kept.restarts + 1)
        pause = restarts.pause(len(before), restarts.chance())
        self._note(f"starts again in {pause:.1f} s")
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wish.wait()

    async def _end(self, patience: float) -> None:
        """End all processes of it."""
        if not await end_all(self.members, patience):
            self._note("some of its processes cannot be ended")
        if self._process:
            self._process.forget()
        self._process = None
        self._change(boot="", pid=0, start=0)
        self._known = frozenset()

    # What is left of it, and found again.

    def _resume(self) -> Failure | None:
        """Find the process that an earlier supervisor started for it."""
        if self._process or self.kept.ended or self.kept.state == "crash_loop":
            return None
        if self.kept.boot not in ("", boot_id()):
            self._turn("starting", "the machine was started anew", boot="", pid=0, recent=())
            return None
        who = self.kept.process or self._marked()
        if who is None:
            return None
        try:
            self._process = Running(who)
        except ProcessLookupError:
            return Failure("ended while no supervisor ran", died=True)
        self._point_at(who)
        self._note(f"a new supervisor looks after process {who.pid}")
        return None

    def _marked(self) -> Identity | None:
        """Return a process that was started, but not yet written down when we were killed."""
        leaders = (seen for seen in self.members() if seen.pid == seen.session)
        return next((Identity(boot_id(), each.pid, each.start) for each in leaders), None)

    def members(self) -> list[Seen]:
        """Return all living processes of this instance, looked up now."""
        self._census.take()
        return self._family()

    def _family(self) -> list[Seen]:
        return self._census.family(self.kept.process, self.kept.mark, self._known)

    def take_note(self) -> None:
        """Remember who belongs to it by the last census, weigh it, turn its log, save it."""
        found = self._family()
        self._known = frozenset(Identity(boot_id(), seen.pid, seen.start) for seen in found)
        self._weigh(found)
        try:
            logs.turn(self.log)
        except OSError as error:
            self._tell(f"{self.kept.order.instance}: its log was emptied, not copied: {error}")
        if self._unsaved:
            self._change()

    def _weigh(self, found: Collection[Seen]) -> None:
        limit = self.kept.order.limits.memory_mb
        if not limit or not self._health or sum(seen.rss for seen in found) <= limit * _MB:
            return
        used = proportional(seen.pid for seen in found)  # without what its processes share
        if used > limit * _MB:
            self._health.complain(f"memory: {used // _MB} MB used, {limit} MB allowed")

    # What is written down.

    def _point_at(self, who: Identity) -> None:
        self._change(boot=who.boot, pid=who.pid, start=who.start)

    def _turn(self, state: State, reason: str = "", **changes: object) -> None:
        if state != self.kept.state or reason != self.kept.reason:
            self._note(f"{state}: {reason}" if reason else state)
        self.kept = self.kept.turned(state, reason)
        self._change(**changes)

    def _change(self, **changes: Any) -> None:
        """Change what is kept; what a full disk refuses is written later."""
        self.kept = self.kept.but(**changes)
        try:
            save(self._folder, self.kept)
        except OSError as error:
            if not self._unsaved:
                self._tell(f"{self.kept.order.instance}: cannot be written down: {error}")
            self._unsaved = True
        else:
            self._unsaved = False

    def _note(self, line: str) -> None:
        logs.note(self.log, line)
        self._tell(f"{self.kept.order.instance}: {line}")


class _PortTaken(Exception):
    """Somebody else listens where traffic is sent to."""


def _filled(word: str, port: int) -> str:
    return word.replace("{port}", str(port))


def _hopeless(error: OSError) -> bool:
    """Whether a program will not be there at the next try either."""
    return isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
