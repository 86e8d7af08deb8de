"""Heartbeats in the background, so that a long activity can be cancelled and its loss is seen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity


class Beat:
    """The newest progress of a running activity; sent with each heartbeat."""

    def __init__(self) -> None:
        self.details: tuple[object, ...] = ()

    def __call__(self, *details: object) -> None:
        """Remember `details` and send them now."""
        self.details = details
        activity.heartbeat(*details)


@asynccontextmanager
async def beating() -> AsyncIterator[Beat]:
    """Heartbeat at 0.4 of the activity's heartbeat timeout until the block ends."""
    timeout = activity.info().heartbeat_timeout
    beat = Beat()
    if timeout is None:
        yield beat
        return
    pulse = asyncio.create_task(_pulse(beat, timeout.total_seconds() * 0.4))
    try:
        yield beat
    finally:
        pulse.cancel()


async def _pulse(beat: Beat, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)  # first: what is over sooner needs no call to the server
        activity.heartbeat(*beat.details)
