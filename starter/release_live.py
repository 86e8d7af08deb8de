"""The live view of a rollout: a board that is redrawn on a terminal, plain lines elsewhere."""

import sys
from typing import TYPE_CHECKING

from domain.tick import Tick
from domain.timeline import percent
from starter.release_watch import Look, View
from starter.telling import console, emit, note
from starter.words import clock

_MANY = 5  # new ticks at once: the view begins in the middle

if TYPE_CHECKING:
    from rich.console import RenderableType


class Board:
    """Redraws traffic, counts, evidence and waits in place, on stderr."""

    def __init__(self) -> None:
        from rich.live import Live

        self._look: Look | None = None
        self._lines: list[str] = []
        self._live = Live(
            get_renderable=self._draw, console=console(stderr=True), refresh_per_second=4,
            transient=True,
        )  # fmt: skip
        self._live.start()

    def update(self, look: Look) -> None:
        """Show it as it is now."""
        self._look = look
        told = [f"{clock(event.at_ms)}  {event.text}" for event in look.events]
        self._lines = [*self._lines, *told][-5:]

    def close(self) -> None:
        """Take the board off the terminal; the final one is printed by the command."""
        self._live.stop()

    def _draw(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        from starter.release_board import board
        from starter.render import now_ms

        if self._look is None:
            return Text("…")
        lines = (
            Text(f"  {line}", "dim", no_wrap=True, overflow="ellipsis") for line in self._lines
        )
        return Group(board(self._look, now_ms()), Text(""), *lines)


class Lines:
    """One line on stderr for each thing that happens, and for each tick."""

    def update(self, look: Look) -> None:
        """Tell what is new."""
        for event in look.events:
            note(f"{clock(event.at_ms)}  {event.text}")
        for tick in look.ticks if len(look.ticks) <= _MANY else look.ticks[-1:]:
            if tick.ms:
                note(f"{clock(tick.at_ms)}  {_counts(tick)}")
        if look.ticks and look.verdict:
            note(f"{clock(look.ticks[-1].at_ms)}  {_evidence(look)}")

    def close(self) -> None:
        """Nothing to put back."""


def _counts(tick: Tick) -> str:
    new, old = tick.canary, tick.control
    return (
        f"step {tick.step + 1}, {percent(tick.weight)}: new {new.errors} bad of {new.done:,}, "
        f"before {old.errors} of {old.done:,}"
    )


def _evidence(look: Look) -> str:
    from starter.release_board import against

    verdict = look.verdict
    if verdict is None:
        return ""
    classes = ", ".join(f"{found.name} {against(found)}" for found in verdict.classes)
    return f"{verdict.verdict}: {verdict.reason}" + (f" [{classes}]" if classes else "")


class Documents:
    """One JSON document per line on stdout for each thing that happens, and for each tick."""

    def update(self, look: Look) -> None:
        """Tell what is new."""
        record = look.record
        place = {"rollout": record.rollout, "target": record.target, "state": record.state}
        for event in look.events:
            emit({**place, "kind": event.kind, "event": event.model_dump(mode="json")})
        for tick in look.ticks:
            emit(
                {**place, "kind": "tick", "tick": tick.model_dump(mode="json", exclude={"cursor"})}
            )
        if look.ticks and look.verdict:
            verdict = look.verdict.model_dump(mode="json")
            emit({**place, "kind": "judged", "waits": look.waits, "verdict": verdict})

    def close(self) -> None:
        """Nothing to put back."""


def view() -> View:
    """Return the view that fits the terminal that we write progress to."""
    return Board() if sys.stderr.isatty() else Lines()
