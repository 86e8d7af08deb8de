"""Cancelling: what a cancel must not stop half-way, and what has to be over before it counts."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do this to its end; a cancel that comes meanwhile comes too late."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


async def over_before_cancel(handle: workflow.ActivityHandle[T]) -> T:
    """Wait for an activity; at a cancel first until it has stopped, so that nothing comes later.

    The activity needs the cancellation type WAIT_CANCELLATION_COMPLETED.
    """
    try:
        return await asyncio.shield(handle)
    except asyncio.CancelledError:
        handle.cancel()
        with suppress(ActivityError):
            await handle
        raise
