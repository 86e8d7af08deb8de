"""A worker with one workflow and one activity, to start, kill and evict in tests."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Worker


@workflow.defn
class HoldWork:
    """Runs one activity on queue `agents` until the file that it is given exists."""

    @workflow.run
    async def run(self, folder: str) -> str:
        return await workflow.execute_activity(
            hold,
            folder,
            task_queue="agents",
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=30)),
        )


@activity.defn
async def hold(folder: str) -> str:
    """Note who runs; the second run ends, the first one hangs."""
    me = os.environ["SLIPWAY_WORKER_IDENTITY"]
    runs = Path(folder) / "runs"
    with runs.open("a") as notes:
        notes.write(f"{me}\n")
    if activity.info().attempt == 1:
        await asyncio.Event().wait()
    return me


async def serve(queues: list[str]) -> None:
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], identity=os.environ["SLIPWAY_WORKER_IDENTITY"]
    )
    workers = [
        Worker(client, task_queue=queue, workflows=[HoldWork])
        if queue == "delivery"
        else Worker(client, task_queue=queue, activities=[hold])
        for queue in queues
    ]
    running = asyncio.gather(*(worker.run() for worker in workers))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await running


if __name__ == "__main__":
    if os.environ.get("STUB_FAILS"):
        sys.exit("the stub was told to fail")
    asyncio.run(serve(sys.argv[1:]))
