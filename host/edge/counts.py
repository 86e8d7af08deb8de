"""Counts of one instance in a mapped file, which survive the death of the edge.

A file has `SLOTS` rows of numbers. Each edge process writes one row alone, so that an edge that
still finishes requests and its successor can count side by side; a count is the sum of the rows.
"""

import mmap
import os
import secrets
from bisect import bisect_left
from pathlib import Path

BOUNDS_MS = tuple(round(0.1 * 10 ** (k / 7), 4) for k in range(39))  # domain.deployment.BUCKETS_MS
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "connect", "timeout", "reset", "aborted")
BAD = frozenset((4, 5, 6, 7))  # indexes of the classes that are an instance's fault

SERVER_ERROR, CONNECT, TIMEOUT, RESET, ABORTED = 4, 5, 6, 7, 8
STARTED = 0
DONE = 1
BAD_CLIENTS = 10
PASSED_ON = 11
HISTOGRAM = 16
CELLS = 64  # of a row; HISTOGRAM + 40 are used

SLOTS = 4
HEADER = 512  # bytes: magic, epoch, boot id
MAGIC = b"SLIPWAY-COUNTS-1"
SIZE = 4_096
BOOT = Path("/proc/sys/kernel/random/boot_id")


class CountFile:
    """The numbers of one instance; raises `OSError` when its file can not be made."""

    def __init__(self, path: Path, slot: int) -> None:
        boot = BOOT.read_bytes().strip()
        if not _is_whole(path, boot):
            _create(path, boot)
        file = os.open(path, os.O_RDWR)
        try:
            self._map = mmap.mmap(file, SIZE)
        finally:
            os.close(file)
        self.path = path
        self.epoch = self._map[16:32].decode()
        self._cells = memoryview(self._map).cast("Q")
        self._row = self._row_of(slot)

    def start(self) -> None:
        self._row[STARTED] += 1

    def end(self, kind: int, ms: float) -> None:
        """Count the end of a request: an index of `CLASSES`, and what its answer took."""
        row = self._row
        row[DONE + kind] += 1
        row[HISTOGRAM + bisect_left(BOUNDS_MS, ms)] += 1

    def bad_client(self) -> None:
        self._row[BAD_CLIENTS] += 1

    def pass_on(self) -> None:
        """Count a request that another instance took, because this one could not be reached."""
        self._row[PASSED_ON] += 1

    def bury(self, slot: int) -> None:
        """End what was in flight in the row of a dead process: its clients lost their answer."""
        row = self._row_of(slot)
        done = sum(row[DONE : DONE + len(CLASSES)])
        row[DONE + ABORTED] += max(0, row[STARTED] - done)

    def read(self) -> dict[str, object]:
        """Return the sums over all processes, in the words of `domain.deployment.Counts`."""
        rows = [self._row_of(slot).tolist() for slot in range(SLOTS)]
        sums = [sum(cells) for cells in zip(*rows, strict=True)]
        done = sums[DONE : DONE + len(CLASSES)]
        return {
            "epoch": self.epoch,
            "started": sums[STARTED],
            "done": dict(zip(CLASSES, done, strict=True)),
            "bad_clients": sums[BAD_CLIENTS],
            "passed_on": sums[PASSED_ON],
            "histogram": sums[HISTOGRAM : HISTOGRAM + len(BOUNDS_MS) + 1],
        }

    def _row_of(self, slot: int) -> memoryview:
        first = HEADER // 8 + slot * CELLS
        return self._cells[first : first + CELLS]

    def close(self) -> None:
        self._row.release()
        self._cells.release()
        self._map.close()


def _is_whole(path: Path, boot: bytes) -> bool:
    """Whether there is a file of this boot; after a power cut its numbers may have fallen."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return False
    return size == SIZE and header.startswith(MAGIC) and header[32:].rstrip(b"\0") == boot


def _create(path: Path, boot: bytes) -> None:
    """Make the file with all its bytes on disk: a mapped hole kills the process on a full disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(file, 0, SIZE)
        os.pwrite(file, MAGIC + secrets.token_hex(8).encode() + boot, 0)
    finally:
        os.close(file)
    fresh.replace(path)
