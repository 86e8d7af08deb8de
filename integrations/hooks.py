"""Hooks: run a service's own shell lines in its release folder, in the sandbox of builds."""

import tempfile
from pathlib import Path

from domain.command import CommandLimits, CommandOrder
from domain.record import Record
from integrations.process import Processes

_TAIL = 600  # characters of output that travel with a result


class HookOutcome(Record):
    ok: bool
    reason: str = ""


class Hooks:
    """Each line gets the network, for it migrates databases and asks instances."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    async def run_hook(
        self, line: str, folder: str, env: dict[str, str], seconds: float
    ) -> HookOutcome:
        """Run the line; what it did wrong is in the outcome, with the end of its output."""
        with tempfile.TemporaryDirectory(prefix="slipway-hook-") as scratch:
            home = Path(scratch) / "home"
            home.mkdir()
            output = Path(scratch) / "output"
            outcome = await self._processes.run(
                CommandOrder(
                    argv=("sh", "-c", line),
                    folder=folder,
                    home=str(home),
                    env=env,
                    network=True,
                    output=str(output),
                    limits=CommandLimits(wall_seconds=seconds),
                )
            )
            said = output.read_text(errors="replace")[-_TAIL:].strip() if output.exists() else ""
        if outcome.ended == "exited" and outcome.exit_code == 0:
            return HookOutcome(ok=True, reason=said)
        how = f"exit code {outcome.exit_code}" if outcome.ended == "exited" else outcome.ended
        return HookOutcome(ok=False, reason=f"{how}: {said}" if said else how)
