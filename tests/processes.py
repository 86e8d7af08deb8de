"""What tests of running commands share: finding processes of this host, waiting for a fact."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

KEEPER = str(Path(__file__).parent.parent / "workers" / "keeper.py")


def running(token: str) -> list[int]:
    """Return the ids of living processes whose command line holds `token`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if token.encode() in words:
            found.append(int(folder.name))
    return found


async def until(fact: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until `fact` holds; a test that waits in vain fails here."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
