"""Reading records of this home, from commands that are not asynchronous."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from config.settings import Settings
    from starter.reads import Reads

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run in an event loop of its own."""
    import asyncio

    return asyncio.run(work)


def read(work: Callable[["Settings", "Reads"], Awaitable[T]]) -> T:
    """Open the records of this home for `work`, and close them."""
    from starter.lookup import open_reads
    from starter.place import settings

    async def reading(chosen: "Settings") -> T:
        async with open_reads(chosen) as reads:
            return await work(chosen, reads)

    return run(reading(settings()))
