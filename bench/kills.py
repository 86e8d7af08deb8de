"""What kill -9 of all workers costs an idea of tasks of 0.5 s, without and with `slipway up`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from bench.ground import Ground, Load, ground
from bench.row import Row, interval, percentile_95
from bench.service import Home, home, kill, order_of, up
from domain.delivery import Stage, StartDelivery, TaskState
from starter.server import connect
from starter.worker_pool import WORKERS
from workflows.deliver import DeliverIdea, DeliveryEnd
from workflows.names import task_id
from workflows.plugin import slipway_plugin

TASKS, SOME = 8, 2
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


async def _lateness(server: Ground, place: Home, load: Load) -> list[float]:
    """Return by how many seconds an idea ended later with a kill than without one."""
    async with _workers(server, place) as workers:
        await _timed(server.ours, place)
        late = []
        for _ in range(load.times(20, 3)):
            plain = await _timed(server.ours, place)
            killed = await _timed(server.ours, place, workers)
            late.append(killed - plain)
    return late


async def _timed(client: Client, place: Home, workers: Workers | None = None) -> float:
    """Deliver an idea, with a kill of the workers if given; return its seconds."""
    order = await order_of(place, TASKS)
    began = time.time()
    handle = await _start(client, order)
    killed = 0.0
    if workers:
        await _half_way(handle)
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
    await _ended(await _start(client, await order_of(place, TASKS)))
    return [await _restart(client, place) for _ in range(load.times(20, 3))]


async def _restart(client: Client, place: Home) -> float:
    order = await order_of(place, TASKS)
    handle = await _start(client, order)
    await _half_way(handle)
    workers = place.state.workers
    killed = time.time()
    for worker in workers:
        kill(worker.pid)
    await _ended(handle)
    again = [started for started in await _runs(client, order, killed) if started > killed]
    if not again:
        raise AssertionError("the kill has interrupted no task")
    return min(again) - killed


# Both -------------------------------------------------------------------------------------


async def _start(client: Client, order: StartDelivery) -> Handle:
    return await client.start_workflow(
        DeliverIdea.run, order, id=f"idea/{order.idea.key}", task_queue="delivery"
    )


async def _half_way(handle: Handle) -> None:
    """Wait until some tasks are finished, while others run and wait."""
    async with asyncio.timeout(120):
        while True:
            board = await handle.query(DeliverIdea.board)
            if sum(task.state is TaskState.MERGED for task in board.tasks) >= SOME:
                return
            await asyncio.sleep(0.02)


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
                if not killed:
                    raise AssertionError(f"{task} ran {started.attempt} times without a kill")
                again.append(event.event_time.ToMicroseconds() / 1e6)
    return again
