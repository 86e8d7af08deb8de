"""Addresses of UNIX sockets: a path of any length."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 100  # bytes; sun_path of unix(7) holds 107


@contextmanager
def at(path: Path) -> Iterator[str]:
    """Yield an address that leads to `path`, also where that is too long for one."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def bind_door(path: Path) -> socket.socket:
    """Listen on a path that only its owner may open; what an ended process left is replaced."""
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        with at(path) as address:
            door.bind(address)
    finally:
        os.umask(before)
    door.listen(64)
    return door
