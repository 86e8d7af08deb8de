"""The edge's log: one line per problem, and no more of one kind than a person can read."""

import os
import sys
import time
from pathlib import Path

LINES = 5  # of one kind in one stretch
STRETCH_S = 10.0
LARGEST = 4_194_304  # bytes, then the file is set aside as `.1`


class Problems:
    """Writes lines `time kind: what happened` to a file; it never raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, tuple[float, int]] = {}
        self._file = -1

    def tell(self, kind: str, text: str) -> None:
        """Write a line, unless there were `LINES` of this kind within `STRETCH_S` seconds."""
        now = time.monotonic()
        since, count = self._seen.get(kind, (now, 0))
        if now - since >= STRETCH_S:
            if count > LINES:
                self._write(f"{kind}: {count - LINES} further lines of this kind were left out")
            since, count = now, 0
        self._seen[kind] = (since, count + 1)
        if count < LINES:
            self._write(f"{kind}: {text}")

    def _write(self, text: str) -> None:
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {one_line(text)}\n".encode()
        try:
            self._open()
            os.write(self._file, line)
            if os.fstat(self._file).st_size > LARGEST:
                self._path.replace(self._path.with_suffix(".log.1"))
                os.close(self._file)
                self._file = -1
        except OSError:
            sys.stderr.buffer.write(line)  # a full disk must not stop traffic

    def _open(self) -> None:
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def one_line(text: str) -> str:
    """Return the text without what would end or colour a line."""
    return "".join(char if char.isprintable() else " " for char in text)[:2_000]
