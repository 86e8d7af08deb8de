"""What kill -9 of all workers costs an idea of tasks of 0.5 s, without and with `slipway up`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from bench.ground import Ground, Load, ground
from bench.row import Row, interval, percentile_95
from bench.service import Home, home, kill, order_of, up
from domain.delivery import StartDelivery, Stage
from starter.server import connect
from starter.worker_pool import WORKERS
from workflows.deliver import DeliverIdea, DeliveryEnd
from workflows.names import task_id
from workflows.plugin import slipway_plugin

TASKS = 8
LATE, AGAIN = 5.0, 1.5  # seconds
Handle = WorkflowHandle[DeliverIdea, DeliveryEnd]


async def measure(load: Load) -> list[Row]:
    """Return the row of plain worker processes and the row of `slipway up`."""
    async with ground() as server, home() as place:
        late = await _lateness(server, place, load)
    async with home() as place, up(place):
        again = await _restarts(place, load)
    return [
        _row("kill -9 of all workers: done later by", late, LATE),
        _row("kill -9 under slipway up: first task runs again after", again, AGAIN),
    ]


def _row(name: str, values: list[float], limit: float) -> Row:
    value = percentile_95(values)
    low, high = interval(values)
    return Row(
        name=name,
        value=round(value, 3),
        unit="s",
        goal=f"95th percentile <= {limit:g} s, no finished task ran again",
        met=value <= limit,
        low=round(low, 3),
        high=round(high, 3),
        runs=len(values),
        note=f"median {median(values):.2f} s",
    )


# Plain worker processes -------------------------------------------------------------------


class Workers:
    """The two worker processes of a host, started again by nobody but us."""

    def __init__(self, server: Ground, place: Home) -> None:
        address = server.ours.service_client.config.target_host
        self._env = place.environment(TEMPORAL_ADDRESS=address, PYTHONUNBUFFERED="1")
        self._running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Start them; their output goes nowhere."""
        for queues in WORKERS:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "workers", *queues, env=self._env,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            self._running.append(process)

    async def kill(self) -> None:
        """Kill all of them at once."""
        for process in self._running:
            process.kill()
        await asyncio.gather(*(process.wait() for process in self._running))
        self._running = []


@asynccontextmanager
async def _workers(server: Ground, place: Home) -> AsyncIterator[Workers]:
    workers = Workers(server, place)
    await workers.start()
    try:
        yield workers
    finally:
        await workers.kill()


async def _lateness(server: Ground, place: Home, load: Load) -> list[float]:
    """Return by how many seconds an idea ended later with a kill than without one."""
    async with _workers(server, place) as workers:
        await _timed(server.ours, place)
        late = []
        for _ in range(load.times(20, 3)):
            plain = await _timed(server.ours, place)
            killed = await _timed(server.ours, place, plain / 2, workers)
            late.append(killed - plain)
    return late


async def _timed(
    client: Client, place: Home, kill_after: float = 0, workers: Workers | None = None
) -> float:
    """Deliver an idea; return its seconds from start to end."""
    order = await order_of(place, TASKS)
    began = time.time()
    handle = await _start(client, order)
    killed = 0.0
    if workers:
        await asyncio.sleep(kill_after)
        killed = time.time()
        await workers.kill()
        await workers.start()
    await _ended(handle)
    took = time.time() - began
    await _runs(client, order, killed)
    return took


# Under `slipway up` ----------------------------------------------------------------------


async def _restarts(place: Home, load: Load) -> list[float]:
    """Return how many seconds after each kill the first task that had run ran again."""
    client = await connect(place.state.server.address, seconds=10, plugins=[slipway_plugin()])
    warm = await order_of(place, TASKS)
    began = time.time()
    await _ended(await _start(client, warm))
    half = (time.time() - began) / 2
    return [await _restart(client, place, half) for _ in range(load.times(20, 3))]


async def _restart(client: Client, place: Home, kill_after: float) -> float:
    order = await order_of(place, TASKS)
    handle = await _start(client, order)
    await asyncio.sleep(kill_after)
    await _until(lambda: _some_work(client, order))
    workers = place.state.workers
    killed = time.time()
    for worker in workers:
        kill(worker.pid)
    await _ended(handle)
    again = [started for started in await _runs(client, order, killed) if started > killed]
    return min(again) - killed


async def _some_work(client: Client, order: StartDelivery) -> bool:
    """Whether an agent works right now."""
    for task in _ids(order):
        described = await client.get_workflow_handle(task).describe()
        for pending in described.raw_description.pending_activities:
            if pending.activity_type.name == "implement_task" and pending.state == 2:  # started
                return True
    return False


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


# Both -------------------------------------------------------------------------------------


async def _start(client: Client, order: StartDelivery) -> Handle:
    return await client.start_workflow(
        DeliverIdea.run, order, id=f"idea/{order.idea.key}", task_queue="delivery"
    )


async def _ended(handle: Handle) -> None:
    async with asyncio.timeout(180):
        end = await handle.result()
    if end.outcome.stage is not Stage.COMPLETED:
        raise AssertionError(f"the idea ended as {end.outcome}")


def _ids(order: StartDelivery) -> list[str]:
    idea = order.idea
    return [task_id(idea.key, 1, task.id) for task in idea.spec.tasks]


async def _runs(client: Client, order: StartDelivery, killed: float) -> list[float]:
    """Return when tasks that a kill had interrupted ran again (seconds since 1970).

    Raises `AssertionError` when a task ran again that had been finished.
    """
    again: list[float] = []
    for task in _ids(order):
        history = await client.get_workflow_handle(task).fetch_history()
        scheduled = [
            event.event_id
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
            and event.activity_task_scheduled_event_attributes.activity_type.name
            == "implement_task"
        ]
        if len(scheduled) != 1:
            raise AssertionError(f"{task} ran {len(scheduled)} times, one was enough")
        for event in history.events:
            started = event.activity_task_started_event_attributes
            if started.scheduled_event_id == scheduled[0] and started.attempt > 1:
                at = event.event_time.ToMicroseconds() / 1e6
                if not killed:
                    raise AssertionError(f"{task} ran {started.attempt} times without a kill")
                again.append(at)
    return again
