"""Log files that programs write by themselves: cut when they grow, never closed under them."""

import os
import time
from pathlib import Path

CAP = 8 * 1024 * 1024  # bytes
KEEP = 3  # older parts


def open_log(path: Path) -> int:
    """Open for a program's output: it outlives us, and each write goes to the present end."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def turn(path: Path, cap: int = CAP, keep: int = KEEP) -> bool:
    """Move a log that has grown past `cap` away by copying, and empty it; whether it was done.

    At most the last `cap` bytes are copied; what is written between copy and cut is lost. Raises
    OSError when the disk is full: then the log is emptied without a copy.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    if size <= cap:
        return False
    try:
        _shift(path, keep)
        _copy_end(path, path.with_name(f"{path.name}.1"), cap)
    finally:
        os.truncate(path, 0)
    return True


def _shift(path: Path, keep: int) -> None:
    for number in range(keep - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))


def _copy_end(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as taken, target.open("wb") as given:
        end = taken.seek(0, os.SEEK_END)
        at = max(0, end - size)
        while at < end:
            sent = os.sendfile(given.fileno(), taken.fileno(), at, end - at)
            if sent == 0:
                return
            at += sent


def note(path: Path, line: str) -> None:
    """Add a line of ours to a log; a full disk loses the line."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    try:
        descriptor = open_log(path)
    except OSError:
        return
    try:
        os.write(descriptor, f"{stamp} slipway: {line}\n".encode())
    except OSError:
        return
    finally:
        os.close(descriptor)


def last_words(path: Path, since: int = 0) -> str:
    """Return the last line that a program wrote after byte `since`; empty: none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            begin = since if since <= end else 0  # it was turned meanwhile
            file.seek(max(begin, end - 4_096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    words = [line.strip() for line in lines if line.strip() and " slipway: " not in line]
    return words[-1][:200] if words else ""
