"""All instances of this host: begun, found again, asked, ended; looked over every two seconds."""

import asyncio
import os
import re
import secrets
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from domain.deployment import Instance
from domain.errors import Rejected, Unavailable
from domain.hosting import StartProcess
from host.supervisor.census import Census
from host.supervisor.folder import Folder
from host.supervisor.kept import Kept, load, now_ms, save
from host.supervisor.ports import choose
from host.supervisor.supervised import Supervised, Tell

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_LOOK = 2.0  # seconds between two looks at everything
_OLD_LOG = 14 * 86_400  # seconds that the log of an ended instance is kept


class Fleet:
    """The instances, each with a task that looks after it."""

    def __init__(self, folder: Folder, tell: Tell, spared: Callable[[], int]) -> None:
        """`spared` names one more child of ours, which is not to be reaped here: the edge."""
        self._folder = folder
        self._tell = tell
        self._spared = spared
        self._census = Census()
        self._all: dict[str, Supervised] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def take_up(self) -> None:
        """Look after all that an earlier supervisor looked after."""
        found, bad = load(self._folder)
        for path in bad:
            self._tell(f"{path} cannot be read and was set aside; its processes are not known")
        for kept in found:
            self._look_after(kept)

    def seen(self, target: str = "") -> tuple[Instance, ...]:
        """Return the instances of a target, or all."""
        every = (each.seen() for each in self._all.values())
        return tuple(each for each in every if target in ("", each.target))

    def start(self, order: StartProcess) -> Instance:
        """Ensure an instance; one that is there already is answered as it is.

        Raises `Rejected`: `bad_instance`, `bad_command`, `other_digest`; `Unavailable` when it
        cannot be written down.
        """
        known = self._all.get(order.instance)
        if known is None:
            return self._begin(_checked(order)).seen()
        if known.kept.order.digest != order.digest:
            raise Rejected(
                f"instance {order.instance} runs another release than the one asked for",
                code="other_digest",
                hint="start it under another name, or stop the one that runs",
            )
        return known.seen()

    def _begin(self, order: StartProcess) -> Supervised:
        kept = Kept(
            order=order, port=choose(self._ports()), mark=secrets.token_hex(16), since_ms=now_ms()
        )
        try:
            save(self._folder, kept)
        except OSError as error:
            raise Unavailable(
                f"instance {order.instance} cannot be written down, so it is not started: {error}",
                code="disk",
                hint=f"make room for {self._folder.path}",
            ) from error
        return self._look_after(kept)

    def _look_after(self, kept: Kept) -> Supervised:
        name = kept.order.instance
        each = Supervised(kept, self._folder, self._census, self._tell, self._ports)
        self._all[name] = each
        self._tasks[name] = asyncio.create_task(self._keep(name, each))
        return each

    async def _keep(self, name: str, each: Supervised) -> None:
        """Look after one instance; a fault of ours must not leave it alone."""
        while True:
            try:
                await each.run()
                break
            except Exception:
                self._tell(f"{name}: fault of the supervisor: {traceback.format_exc()}")
                await asyncio.sleep(1)
        self._folder.instance(name).unlink(missing_ok=True)
        self._all.pop(name, None)
        self._tasks.pop(name, None)

    async def stop(self, name: str) -> Instance:
        """End an instance and wait until nothing is left; one that nobody knows is gone."""
        each = self._all.get(name)
        if each is None:
            return Instance(instance=name, target="", digest="", state="gone")
        each.stop()
        await asyncio.shield(self._tasks[name])
        return each.seen().but(state="gone", pid=0)

    def restart(self, name: str) -> Instance:
        """Ask for a new process of an instance; raises `Rejected` when nobody knows it."""
        each = self._all.get(name)
        if each is None:
            raise Rejected(
                f"there is no instance {name}",
                code="unknown_instance",
                hint="`slipway service status` lists them",
            )
        each.restart()
        return each.seen()

    async def end(self) -> None:
        """End the processes of all instances; they start again with the next supervisor."""
        tasks = dict(self._tasks)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await asyncio.gather(*(each.rest() for each in self._all.values()))

    async def leave(self) -> None:
        """Look after them no more; they go on."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for each in self._all.values():
            each.leave()

    async def look_over(self) -> None:
        """From time to time look at all processes: who belongs to whom, how big, who has ended."""
        while True:
            self.drop_old_logs()
            for _ in range(1_800):
                await asyncio.sleep(_LOOK)
                self.look()

    def look(self) -> None:
        if not self._all:
            return
        self._census.take()
        self._reap()
        for each in self._all.values():
            each.take_note()

    def _reap(self) -> None:
        """Take orphans of services, which come to us, out of the process table."""
        ours = {each.child for each in self._all.values()} | {self._spared()}
        for pid in self._census.orphans():
            if pid not in ours:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def drop_old_logs(self) -> None:
        """Remove the logs of instances that ended two weeks ago."""
        for log in self._folder.logs.glob("*.log*"):
            name = log.name.partition(".log")[0]
            if name in self._all or name in ("edge", "host"):
                continue
            with suppress(OSError):
                if time.time() - log.stat().st_mtime > _OLD_LOG:
                    log.unlink()

    def _ports(self) -> set[int]:
        return {each.kept.port for each in self._all.values()}


def _checked(order: StartProcess) -> StartProcess:
    if not _NAME.fullmatch(order.instance):
        raise Rejected(
            f"{order.instance[:80]!r} cannot name an instance: letters, digits, dots, dashes",
            code="bad_instance",
        )
    words = (*order.argv, *order.env, *order.env.values(), order.cwd)
    if not order.argv or any("\0" in word for word in words):
        raise Rejected(
            f"instance {order.instance} has no command that can be run", code="bad_command"
        )
    return order
