"""The live view of an idea: a board that is redrawn on a terminal, plain lines elsewhere."""

import sys
from typing import TYPE_CHECKING

from domain.record_view import EventView, IdeaRecord
from starter.telling import console, emit, note
from starter.words import clock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starter.following import View


class Board:
    """Redraws stages, tasks, gates and waits in place, on stderr."""

    def __init__(self) -> None:
        from rich.live import Live

        self._record: IdeaRecord | None = None
        self._lines: list[str] = []
        self._live = Live(
            get_renderable=self._draw, console=console(stderr=True), refresh_per_second=4,
            transient=True,
        )  # fmt: skip
        self._live.start()

    def update(self, record: IdeaRecord, events: tuple[EventView, ...]) -> None:
        """Show it as it is now."""
        self._record = record
        told = [f"{clock(event.at_ms)}  {event.text}" for event in events]
        self._lines = [*self._lines, *told][-5:]

    def close(self) -> None:
        """Take the board off the terminal; the final one is printed by the command."""
        self._live.stop()

    def _draw(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        from starter.render import board

        if self._record is None:
            return Text("…")
        lines = (
            Text(f"  {line}", "dim", no_wrap=True, overflow="ellipsis") for line in self._lines
        )
        return Group(board(self._record), Text(""), *lines)


class Lines:
    """One line on stderr for each thing that happens."""

    def update(self, record: IdeaRecord, events: tuple[EventView, ...]) -> None:
        """Tell what is new."""
        for event in events:
            note(f"{clock(event.at_ms)}  {event.text}")

    def close(self) -> None:
        """Nothing to put back."""


class Documents:
    """One JSON document per line on stdout for each thing that happens."""

    def update(self, record: IdeaRecord, events: tuple[EventView, ...]) -> None:
        """Tell what is new."""
        for event in events:
            emit({"key": record.key, "state": record.state, **event.model_dump(mode="json")})

    def close(self) -> None:
        """Nothing to put back."""


def view() -> "View":
    """Return the view that fits the terminal that we write progress to."""
    return Board() if sys.stderr.isatty() else Lines()
