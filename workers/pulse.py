"""A sign of life in a file, for whoever watches a worker from outside its process.

`python -m workers.pulse FILE` exits 0 while the worker that touches FILE is alive; it is the health
check of a container, so it imports next to nothing.
"""

import asyncio
import sys
import time
from pathlib import Path

BEAT_SECONDS = 5.0
# Several beats: one that is late on a busy machine is no death.
STALE_SECONDS = 30.0


async def beat(file: Path) -> None:
    """Touch `file` for as long as the event loop turns; ends only by being cancelled."""
    while True:
        _touch(file)
        await asyncio.sleep(BEAT_SECONDS)


def _touch(file: Path) -> None:
    file.touch()


def alive(file: Path, now: float) -> bool:
    """Whether `file` was touched within the last `STALE_SECONDS` before `now` (since 1970)."""
    try:
        return now - file.stat().st_mtime <= STALE_SECONDS
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m workers.pulse FILE", file=sys.stderr)
        return 2
    if alive(Path(arguments[0]), time.time()):
        return 0
    print(f"{arguments[0]} shows no life: the worker has not started or hangs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
