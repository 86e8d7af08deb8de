"""A process that was started here, or found again after the supervisor was: its start, its end."""

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from host.supervisor.census import Identity, boot_id, identity, look
from host.supervisor.logs import open_log

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED = ("LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "HOME", "TMPDIR")


class Running:
    """One living process; its pidfd tells the end, also where it is not our child (pidfd_open(2)).

    Nothing of it ends with us: it has its own session, and writes to its log by itself.
    """

    def __init__(self, who: Identity, child: subprocess.Popen[bytes] | None = None) -> None:
        """Raises ProcessLookupError when it is gone."""
        self.who = who
        self._child = child
        self._over: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(who.pid)
        if child is None and identity(who.pid) != who:
            os.close(self._pidfd)
            raise ProcessLookupError(f"process {who.pid} is gone")
        asyncio.get_running_loop().add_reader(self._pidfd, self._notice_end)

    async def ended(self) -> int | None:
        """Wait for its end; the exit code (negative: a signal), None where it was not our child."""
        return await asyncio.shield(self._over)

    @property
    def over(self) -> bool:
        return self._over.done()

    def forget(self) -> None:
        """Look after it no more; it goes on."""
        if not self._over.done():
            self._over.cancel()
            self._close()
        if self._child and self._child.returncode is None:
            self._child.returncode = 0  # it is left alone, not lost: no warning

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process alone; one that has ended is fine."""
        if not self._over.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _notice_end(self) -> None:
        code = self._child.wait() if self._child else None
        self._close()
        if not self._over.done():
            self._over.set_result(code)

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)


def spawn(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], log: Path, files: int
) -> Running:
    """Start a program in a session of its own, its output appended to `log`.

    Raises OSError when it cannot be started.
    """
    output = open_log(log)
    try:
        child = subprocess.Popen(
            list(argv),
            cwd=cwd or "/",
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_prepared(files),
        )
    finally:
        os.close(output)
    seen = look(child.pid)
    assert seen is not None  # our own child is there until we reap it
    return Running(Identity(boot_id(), child.pid, seen.start), child)


def _prepared(files: int) -> Callable[[], None]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)

    def prepare() -> None:
        """Run in the child, before its program; only limits and signals."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return prepare


def clean_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return a complete environment: nothing of ours but where and who the user is."""
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return {"PATH": _PATH, "HOME": "/", "LANG": "C.UTF-8", **passed, **own}
