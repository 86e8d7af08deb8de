"""How soon work goes on under `slipway up`, which evicts the workers that it has reaped."""

import os
import signal
import time

from temporalio.client import Client

from bench.ground import Load
from bench.row import Row
from bench.service import Home, home, up
from bench.sleeping import Sleeper, row_of
from starter.server import connect
from workflows.plugin import slipway_plugin


async def measure(load: Load) -> list[Row]:
    """Return the row of the seconds from a kill to the first task that runs again."""
    async with home() as place, up(place):
        client = await connect(place.state.server.address, seconds=10, plugins=[slipway_plugin()])
        await (await Sleeper.start(client, place)).ended()
        again = [await _first_again(client, place) for _ in range(load.times(20, 3))]
    return [row_of("kill -9 under slipway up: a task runs again after", again, 1.5)]


async def _first_again(client: Client, place: Home) -> float:
    sleeper = await Sleeper.start(client, place)
    await sleeper.half_way()
    workers = place.state.workers
    killed = time.time()
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    await sleeper.ended()
    again = await sleeper.ran_again()
    if not again:
        raise AssertionError("the kill has interrupted no task")
    return min(again) - killed
