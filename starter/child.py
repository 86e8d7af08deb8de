"""A process that the up process started: its output goes to a capped log, its end is awaited."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping, Sequence

from starter.files import CappedLog
from starter.processes import birth, children, die_with_parent, reap


class Child:
    """Owns the process until it is reaped; ends with us, however we end."""

    def __init__(self, process: asyncio.subprocess.Process, log: CappedLog) -> None:
        self._process = process
        self._log = log
        self._end = asyncio.create_task(self._run_to_end())
        self.pid = process.pid
        self.born = birth(process.pid)

    @property
    def running(self) -> bool:
        """Whether it has not been reaped yet."""
        return not self._end.done()

    async def ended(self) -> int:
        """Wait until it is reaped; its exit code, negative for the signal that ended it."""
        return await asyncio.shield(self._end)

    async def stop(self, patience: float) -> None:
        """Ask it to end, insist after so many seconds, and reap it."""
        self._send(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.ended()
        self._send(signal.SIGKILL)
        await self.ended()

    def _send(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _run_to_end(self) -> int:
        pump = asyncio.create_task(self._pump())
        code = await self._process.wait()
        # What it left behind may hold the pipe open; its own last words are already in it.
        await asyncio.wait((pump,), timeout=0.2)
        pump.cancel()
        return code

    async def _pump(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(65_536):
            self._log.write(data)


class Family:
    """All children of this process: those it started, and the orphans that it adopted."""

    def __init__(self) -> None:
        self._started: set[int] = set()
        self._spawning = asyncio.Lock()

    async def spawn(
        self,
        argv: Sequence[str],
        log: CappedLog,
        *,
        env: Mapping[str, str],
        inherit: tuple[int, ...] = (),
    ) -> Child:
        """Start a process in a session of its own, so that Ctrl-C reaches only us.

        Raises OSError when it cannot be started.
        """
        async with self._spawning:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=inherit,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            self._started.add(process.pid)
        return Child(process, log)

    async def orphans(self) -> frozenset[int]:
        """Return the children that dead children left to us."""
        async with self._spawning:  # one that is just being started is not yet known by its pid
            return children() - self._started


async def gone(orphans: frozenset[int], seconds: float) -> bool:
    """Wait until these adopted processes have ended, and reap them; whether they have."""
    deadline = time.monotonic() + seconds
    while left := orphans & children():
        reap(left)
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
