"""Following an idea: read what happened, show it, until it ends or waits for a person."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from config.settings import Settings
from domain.errors import Unavailable
from domain.record_view import EventView, IdeaRecord
from starter.lookup import ended, for_a_person, ui_url
from starter.reads import Reads
from starter.state import UpState, running

_PAUSE = 0.15
_LOOK_SECONDS = 3

Ends = Callable[[IdeaRecord], bool]


class View(Protocol):
    """Shows an idea while it is followed."""

    def update(self, record: IdeaRecord, events: tuple[EventView, ...]) -> None:
        """Show where it is now, and what has happened since the last time."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def at_end(record: IdeaRecord) -> bool:
    """Follow until the idea has ended."""
    return ended(record)


def at_first_wait(record: IdeaRecord) -> bool:
    """Follow until the idea has ended or waits for a person or for input."""
    return ended(record) or bool(for_a_person(record.waits))


async def follow(chosen: Settings, reads: Reads, key: str, view: View, ends: Ends) -> IdeaRecord:
    """Show an idea until `ends`; its record then.

    Raises `Unavailable` when slipway, which ran here, runs no more: nothing would happen.
    """
    page = ui_url(chosen, key)
    watched = Watched(chosen)
    seen, record = 0, None
    try:
        while True:
            events = await reads.events_after(key, seen)
            if events:
                seen = events[-1].idea_seq
                record = await reads.record(key, page)
                view.update(record, events)
                if ends(record):
                    return record
            watched.refuse_if_gone(key, f"slipway idea watch {key}")
            await asyncio.sleep(_PAUSE)
    finally:
        view.close()


class Watched:
    """Notices that the up process, which ran at first, is gone."""

    def __init__(self, chosen: Settings) -> None:
        self._home = chosen.home
        self._first: UpState | None = running(chosen.home)
        self._next = time.monotonic() + _LOOK_SECONDS

    def refuse_if_gone(self, what: str, again: str) -> None:
        """Raise `Unavailable` with the command that comes back to what is followed."""
        if self._first is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LOOK_SECONDS
        if running(self._home) is None:
            raise Unavailable(
                f"slipway was stopped; {what} goes on where it is when it runs again",
                code="not_running",
                path=what,
                hint=f"`slipway up --detach`, then `{again}`.",
            )
