"""What kill -9 of all workers costs an idea, when they are simply started again."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.ground import Ground, Load, ground
from bench.row import Row
from bench.service import Home, home
from bench.sleeping import Sleeper, row_of
from starter.worker_pool import WORKERS


async def measure(load: Load) -> list[Row]:
    """Return the row of the seconds by which an idea ended later than without the kill."""
    late: list[float] = []
    async with ground() as server, home() as place, _workers(server, place) as workers:
        await _plain(server, place)
        for _ in range(load.times(20, 3)):
            without = await _plain(server, place)
            late.append(await _killed(server, place, workers) - without)
    return [row_of("kill -9 of all workers: done later by", late, 5)]


async def _plain(server: Ground, place: Home) -> float:
    """Return the seconds of an idea from start to end."""
    began = time.perf_counter()
    sleeper = await Sleeper.start(server.ours, place)
    await sleeper.ended()
    took = time.perf_counter() - began
    if await sleeper.ran_again():
        raise AssertionError("a task ran again without a kill")
    return took


async def _killed(server: Ground, place: Home, workers: "Workers") -> float:
    """Return the seconds of an idea with a kill half way; the restart is in the time."""
    began = time.perf_counter()
    sleeper = await Sleeper.start(server.ours, place)
    await sleeper.half_way()
    await workers.kill()
    await workers.start()
    await sleeper.ended()
    took = time.perf_counter() - began
    await sleeper.ran_again()
    return took


class Workers:
    """The two worker processes of a host, started again by nobody but us."""

    def __init__(self, server: Ground, place: Home) -> None:
        address = server.ours.service_client.config.target_host
        self._env = place.environment(TEMPORAL_ADDRESS=address, PYTHONUNBUFFERED="1")
        self._log = place.folder / "workers.log"
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Start them; what they say goes to a log."""
        for queues in WORKERS:
            with self._log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "workers", *queues, env=self._env, stdout=log, stderr=log
                )
            self._running.append(process)

    async def kill(self) -> None:
        """Kill all of them at once; raise `AssertionError` when one has ended by itself."""
        running, self._running = self._running, []
        living = [process for process in running if process.returncode is None]
        for process in living:
            process.kill()
        await asyncio.gather(*(process.wait() for process in living))
        if len(living) < len(running):
            raise AssertionError(f"a worker ended: {self._log.read_text()[-2_000:]}")


@asynccontextmanager
async def _workers(server: Ground, place: Home) -> AsyncIterator[Workers]:
    workers = Workers(server, place)
    await workers.start()
    try:
        yield workers
    finally:
        await workers.kill()
