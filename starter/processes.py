"""Processes of this machine: who one is beyond its number, how one is ended, whom one adopts."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


def birth(pid: int) -> str:
    """Return what tells this process from a later one with the same number; empty: none lives.

    Boot id and start time from /proc where there is one (proc(5)), else what ps(1) says.
    A process that has ended but was not yet reaped counts as gone.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _birth_by_ps(pid)
    try:
        # The name may hold spaces and brackets; the fields begin after the last bracket.
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    if fields[0] in ("Z", "X"):
        return ""
    return f"{_boot()}/{fields[19]}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def _birth_by_ps(pid: int) -> str:
    told = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "" if not told or told.startswith("Z") else told.partition(" ")[2].strip()


def lives(pid: int, born: str) -> bool:
    """Whether the process that was born then still runs."""
    return bool(born) and birth(pid) == born


def end(pid: int, born: str, *, patience: float) -> bool:
    """Ask a process that is not our child to end, then insist; whether it is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if lives(pid, born):
                os.kill(pid, number)
        if gone_within(pid, born, patience if number == signal.SIGTERM else 5):
            return True
    return False


def gone_within(pid: int, born: str, seconds: float) -> bool:
    """Wait until the process is gone, at most this long."""
    deadline = time.monotonic() + seconds
    while lives(pid, born):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def die_with_parent() -> None:
    """Run in a new child: end it when its parent is killed, so that nothing is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> None:
    """Become the parent of what dead children leave behind (prctl(2), Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextlib.contextmanager
def leaving_orphans() -> Iterator[None]:
    """For the block, adopt nobody: what is started in it and orphaned goes to init."""
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None)
    before = ctypes.c_int()
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, before.value)


def reap(pids: frozenset[int]) -> None:
    """Take the exit codes of those that have ended, so that they leave the process table."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def children() -> frozenset[int]:
    """Return the process numbers of all our children; empty where /proc does not say."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(int(pid) for pid in listing.read_text().split())
    return frozenset(found)
