"""How long a command takes, and how much memory the service needs while it has nothing to do."""

import asyncio
import sys
import time
from pathlib import Path

from bench.ground import Load
from bench.row import Row, below
from bench.service import Home, home, order_of, up
from domain.delivery import Stage
from starter.lookup import open_reads
from starter.server import connect
from workflows.deliver import DeliverIdea
from workflows.plugin import slipway_plugin

_REST_SECONDS = 20


async def measure(load: Load) -> list[Row]:
    """Return the rows of commands and of memory."""
    async with home() as place, up(place):
        key = await _deliver(place)
        times = load.times(20, 5)
        help_ = [await _run(place, "--help") for _ in range(times)]
        show = [await _run(place, "idea", "show", key) for _ in range(times)]
        await asyncio.sleep(load.times(_REST_SECONDS, 5))
        memory = [_proportional_mib(place.state.pid) for _ in range(3)]
    return [
        below("slipway --help", help_, unit="s", limit=0.3),
        below("slipway idea show", show, unit="s", limit=0.7),
        below("memory of slipway up at rest", memory, unit="MiB", limit=400),
    ]


async def _deliver(place: Home) -> str:
    """Deliver one idea, so that the service has done some work before it rests."""
    client = await connect(place.state.server.address, seconds=10, plugins=[slipway_plugin()])
    order = await order_of(place, tasks=2)
    key = order.idea.key
    end = await client.execute_workflow(
        DeliverIdea.run, order, id=f"idea/{key}", task_queue="delivery"
    )
    if end.outcome.stage is not Stage.COMPLETED:
        raise AssertionError(f"the idea ended as {end.outcome}")
    async with open_reads(place.settings) as reads:
        if await reads.find(key) is None:
            raise AssertionError(f"{key} is not on record")
    return key


async def _run(place: Home, *arguments: str) -> float:
    """Run a command as a process of its own; return its seconds from start to end."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("slipway"),
        *arguments,
        env=place.environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    code = await process.wait()
    took = time.perf_counter() - began
    if code != 0:
        raise AssertionError(f"slipway {' '.join(arguments)} ended with {code}")
    return took


def _proportional_mib(pid: int) -> float:
    """Return the proportional set size of a process and all that descend from it."""
    return sum(_pss_kib(each) for each in _family(pid)) / 1024


def _family(pid: int) -> list[int]:
    """Return the process and its descendants, from the list of children in proc(5)."""
    found = [pid]
    for parent in found:
        for thread in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def _pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
