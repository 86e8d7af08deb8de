"""Ending what an instance started: all of it, asked first, then killed."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from host.supervisor.census import Identity, Seen, boot_id, lives

_STUCK = 30.0  # seconds that killed processes may take to vanish (uninterruptible I/O)
_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.2  # seconds between two looks

Find = Callable[[], list[Seen]]


async def end_all(find: Find, patience: float) -> bool:
    """End what `find` finds until it finds nothing; whether that succeeded.

    TERM goes to whole groups, so that a fork in between does not escape; KILL to what is left
    after `patience` seconds.
    """
    left = find()
    _send(left, signal.SIGTERM)
    if await _vanish(find, patience, None):
        return True
    return await _vanish(find, _STUCK, signal.SIGKILL)


async def _vanish(find: Find, seconds: float, number: signal.Signals | None) -> bool:
    """Look until nothing is left, sending a signal before each look if one is given.

    Nothing is left when two looks in a row see nothing: a look takes its time, and what is forked
    meanwhile by a process that then ends is seen by the next one only.
    """
    deadline = time.monotonic() + seconds
    look = _FIRST_LOOK
    while left := find() or find():
        if number:
            _send(left, number)
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(look)
        look = min(look * 1.5, _LONGEST_LOOK)
    return True


def _send(found: Iterable[Seen], number: signal.Signals) -> None:
    ours = os.getpgrp()
    groups = {seen.group for seen in found if seen.group == seen.pid and seen.group != ours}
    for group in groups:
        with suppress(OSError):
            os.killpg(group, number)
    for seen in found:
        if seen.group not in groups and lives(Identity(boot_id(), seen.pid, seen.start)):
            with suppress(OSError):  # gone, or (setuid) not ours to signal
                os.kill(seen.pid, number)
