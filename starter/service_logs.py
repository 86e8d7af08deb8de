"""The logs of deployed services: the host writes files, one per instance, and turns them."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from domain.errors import Unavailable
from domain.record import Record
from starter.running_services import chosen, look

_LOOK = 0.2  # seconds between two looks at a file that is followed
_CHUNK = 65_536


class LogLine(Record):
    """One line of an instance's log; `several` when more than one instance is read."""

    instance: str
    text: str
    several: bool = False


def read_logs(home: Path, which: str, lines: int, *, follow: bool) -> Iterator[LogLine]:
    """Yield the last lines of each instance that a word names, then those that are added.

    Raises `Rejected` when neither an instance nor a log has that name.
    """
    paths = _paths(home, which)
    several = len(paths) > 1
    ends = {}
    for name, path in paths.items():
        ends[name] = path.stat().st_size if path.exists() else 0
        for text in _last(path, lines):
            yield LogLine(instance=name, text=text, several=several)
    while follow:
        time.sleep(_LOOK)
        for name, path in paths.items():
            fresh, ends[name] = _added(path, ends[name])
            for text in fresh:
                yield LogLine(instance=name, text=text, several=several)


def _paths(home: Path, which: str) -> dict[str, Path]:
    """Return the log of each instance; an ended one is found by its exact name."""
    folder = home / "host" / "logs"
    exact = folder / f"{which}.log"
    if exact.parent == folder and exact.is_file():
        return {which: exact}
    try:
        found = look(home).services
    except Unavailable as error:
        raise Unavailable(
            str(error),
            code=error.problem.code,
            hint=f"{error.problem.hint}; the logs themselves are in {folder}",
        ) from error
    named = chosen(tuple(line.instance for line in found), which)
    return {each.instance: folder / f"{each.instance}.log" for each in named}


def _last(path: Path, count: int) -> list[str]:
    """Return the last lines, also of the part that was turned away before."""
    found: list[str] = []
    for part in (path, path.with_name(f"{path.name}.1")):
        if len(found) < count:
            found = _tail(part, count - len(found)) + found
    return found


def _tail(path: Path, count: int) -> list[str]:
    data = b""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            while at > 0 and data.count(b"\n") <= count:
                step = min(_CHUNK, at)
                at = file.seek(at - step)
                data = file.read(step) + data
    except OSError:
        return []
    return data.decode("utf-8", "replace").splitlines()[-count:] if count else []


def _added(path: Path, since: int) -> tuple[list[str], int]:
    """Return the whole lines after a position, and where they end; a turned file begins anew."""
    with suppress(OSError), path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(since if since <= end else 0)
        whole, _, rest = file.read().rpartition(b"\n")
        return whole.decode("utf-8", "replace").splitlines(), file.tell() - len(rest)
    return [], 0
