"""A shell line that prints a number, in the sandbox of builds, with the network."""

import tempfile
from pathlib import Path

from domain.command import CommandLimits, CommandOrder
from domain.deployment import Instance
from domain.service import MetricSource
from integrations.gates.ports import Commands
from integrations.metric_sources.reading import PLACEHOLDERS, CannotRead, Reading, filled, sound

_TAIL = 300


async def ask_command(
    source: MetricSource,
    instance: Instance,
    commands: Commands,
    folder: Path | None,
    seconds: float,
) -> Reading:
    """Run the line in the release's folder; its last line is a number, or number and unit.

    The instance is in the variables `SLIPWAY_INSTANCE`, `_ADDRESS`, `_VERSION` and `_SHA` too.
    """
    line = filled(source.query, instance)
    with tempfile.TemporaryDirectory(prefix="slipway-metric-") as scratch:
        home = tempfile.mkdtemp(dir=scratch)
        order = CommandOrder(
            argv=("/bin/sh", "-c", line),
            folder=str(folder or home),
            home=home,
            env={f"SLIPWAY_{name.upper()}": str(getattr(instance, name)) for name in PLACEHOLDERS},
            network=True,
            output=f"{scratch}/output",
            limits=CommandLimits(wall_seconds=seconds),
        )
        outcome = await commands.run(order)
        said = _said(order.output)
    if outcome.ended != "exited" or outcome.exit_code:
        how = f"exit code {outcome.exit_code}" if outcome.ended == "exited" else outcome.ended
        raise CannotRead(f"is not told by its command: {how}: {said[-_TAIL:]}")
    return _read(said)


def _said(output: str) -> str:
    """Return the output; a command that never began has left none."""
    try:
        return Path(output).read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""


def _read(said: str) -> Reading:
    last = said.rpartition("\n")[2]
    words = last.split()
    if not 1 <= len(words) <= 2:
        raise CannotRead(f"is no number and unit in its command's last line: {last[-_TAIL:]!r}")
    try:
        number = float(words[0])
    except ValueError as error:
        raise CannotRead(f"is no number in its command's last line: {last[-_TAIL:]!r}") from error
    return sound(number, words[1] if len(words) == 2 else "")
