"""Ground: the server and the workers on which slipway and its rivals run side by side."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from config.settings import Settings
from domain.record import Record
from starter.server import connect, free_port, obtain, search_attributes, start_argv
from workflows.names import DELIVERY, QUEUES
from workflows.plugin import slipway_plugin

RIVAL_QUEUE = "rival"


class Ground:
    """A server of our own, a client of slipway, a plain client of the SDK, and a folder."""

    def __init__(self, ours: Client, bare: Client, folder: Path) -> None:
        self.ours = ours
        self.bare = bare
        self.folder = folder


class Load(Record):
    """How often to measure; `quick` gives a first impression only."""

    quick: bool = False

    def times(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Start the server exactly as `slipway up` does, in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        binary = await asyncio.to_thread(obtain, Settings(), print)
        port = free_port()
        argv = start_argv(
            binary.path,
            port=port,
            ui_port=free_port(),
            database=folder / "temporal.db",
            attributes=search_attributes(),
        )
        sink = asyncio.subprocess.DEVNULL  # under load it warns often
        server = await asyncio.create_subprocess_exec(*argv, stdout=sink, stderr=sink)
        try:
            address = f"127.0.0.1:{port}"
            ours = await connect(address, seconds=20, plugins=[slipway_plugin()])
            yield Ground(ours, await connect(address, seconds=20), folder)
        finally:
            server.kill()
            await server.wait()


@asynccontextmanager
async def serving(
    client: Client, workflows: Sequence[type], activities: Sequence[Callable[..., Any]]
) -> AsyncIterator[None]:
    """Serve slipway's queues, each with a worker as `python -m workers` has it."""
    async with AsyncExitStack() as stack:
        for queue in QUEUES:
            mine = queue == DELIVERY
            await stack.enter_async_context(
                worker(client, queue, workflows if mine else (), () if mine else activities)
            )
        yield


def worker(
    client: Client,
    queue: str,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., Any]],
) -> Worker:
    """Return a worker with the same options for slipway and for its rivals."""
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        max_cached_workflows=2_000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=20, initial=4),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=20, initial=4),
    )
