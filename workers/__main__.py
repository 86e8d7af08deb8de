"""Run the workers of the named queues in this process: `python -m workers QUEUE...`."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from config.settings import Settings
from domain.errors import Misconfigured, Refused, Rejected, Unavailable
from workers.pulse import beat
from workers.queues import activities, load, needs_hands, workflows
from workflows.names import QUEUES
from workflows.plugin import slipway_plugin

if TYPE_CHECKING:
    from workers.wiring import Hands

# Above the agents' own two seconds between TERM and KILL, so that none is left behind.
GRACE = timedelta(seconds=30)


async def run(queues: Sequence[str]) -> None:
    """Serve the queues until a signal asks to stop; running activities get `GRACE` to end."""
    settings = Settings()
    hands = await _hands(settings, queues)
    client = await _connect()
    workers = [_worker(client, queue, hands, settings) for queue in queues]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = [asyncio.create_task(worker.run()) for worker in workers]
    stopped = asyncio.create_task(stop.wait())
    pulse = asyncio.create_task(beat(settings.pulse)) if settings.pulse else None
    print(f"serving {', '.join(queues)}", flush=True)
    await asyncio.wait([*serving, stopped], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*(worker.shutdown() for worker in workers), return_exceptions=True)
    stopped.cancel()
    await asyncio.gather(*serving)
    if hands is not None:
        await hands.close()
    if pulse:
        pulse.cancel()


async def _hands(settings: Settings, queues: Sequence[str]) -> "Hands | None":
    """Return what the activities of these queues need.

    The worker of workflows needs nothing, and does without the vendors: it is there again in half
    the time when it was killed.
    """
    if not needs_hands(queues):
        return None
    from workers.wiring import Hands

    return await Hands.prepare(settings, queues)


async def _connect() -> Client:
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    try:
        return await Client.connect(
            **config,
            plugins=[slipway_plugin()],
            identity=os.environ.get("SLIPWAY_WORKER_IDENTITY")
            or f"slipway/{os.getpid()}@{socket.gethostname()}",
        )
    except RuntimeError as error:
        raise Unavailable(
            f"No Temporal server answers at {config['target_host']}: {error}",
            hint="Start one with `slipway up`, or set TEMPORAL_ADDRESS.",
        ) from error


def _worker(client: Client, queue: str, hands: "Hands | None", settings: Settings) -> Worker:
    limits = load(queue, settings)
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows(queue),
        activities=activities(queue, hands) if hands is not None else [],
        max_concurrent_activities=limits.activities,
        max_cached_workflows=limits.cached_workflows,
        # A killed worker costs up to this for each workflow it had in its cache.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        graceful_shutdown_timeout=GRACE,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=20, initial=4),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(minimum=1, maximum=20, initial=4),
    )


def main() -> int:
    """Return the exit code; every refusal is one sentence."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument(
        "queues", nargs="+", choices=QUEUES, metavar="QUEUE", help=", ".join(QUEUES)
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(run(arguments.queues))
    except (Unavailable, Misconfigured, Rejected) as error:
        print(f"slipway: {error} {error.problem.hint}".rstrip(), file=sys.stderr)
        return 1
    except Refused as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:
        print(f"slipway: wrong settings: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A process that used a client may abort at interpreter exit (temporalio/sdk-python#300).
    os._exit(code)
