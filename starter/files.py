"""Small files of the state folder: written whole or not at all, locked, capped."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace a file so that a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock file for the block; yields whether it is held (flock(2), ends with us)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _lock(descriptor, wait=wait)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


class CappedLog:
    """A log file that never grows past its cap: the newest part and the one before are kept."""

    def __init__(self, path: Path, cap: int = 8 * 1024 * 1024) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._cap = cap
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Append; a full disk loses log lines, not the process that is logged."""
        with contextlib.suppress(OSError):
            if self._file.tell() + len(data) > self._cap:
                self._turn()
            self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _turn(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # somebody has cleaned up
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        fresh = self._path.open("ab", buffering=0)
        self._file.close()
        self._file = fresh


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log; empty where there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
