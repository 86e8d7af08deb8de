"""Customers: the load generator as a process of its own, from its start to its account."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from domain.errors import Unavailable
from starter.demo.account import Account
from starter.files import tail
from starter.place import command

_ENDING = 30.0  # seconds for answers that are missing at the end


class Customers:
    """Sends requests until it is ended; everything is accounted for then."""

    def __init__(self, process: asyncio.subprocess.Process, report: Path, errors: Path) -> None:
        self._process = process
        self._report = report
        self._errors = errors

    async def end(self) -> Account:
        """Send no more, wait for the answers, return the account; may be called again.

        Raises `Unavailable` when the process failed.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        async with asyncio.timeout(_ENDING):
            code = await self._process.wait()
        if code:
            raise Unavailable(
                f"the load generator ended with exit code {code}: {tail(self._errors, 1)}",
                code="no_load",
                path=str(self._errors),
            )
        return Account.model_validate_json(self._report.read_text())

    async def kill(self) -> None:
        """End it if it still runs, whatever is on its way."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def customers(folder: Path, port: int, rate: float) -> AsyncIterator[Customers]:
    """Send `rate` requests per second to a port of this machine for the length of the block.

    The process has a session of its own, and ends when its input does: with us at the latest.
    """
    report, errors = folder / "load.json", folder / "load.err"
    words = ("--port", str(port), "--rate", f"{rate:g}", "--report", str(report))
    with errors.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *command("starter.demo.load", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    running = Customers(process, report, errors)
    try:
        yield running
    finally:
        await running.kill()
