"""Customers: the load generator as a process of its own, from its start to its account."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from domain.errors import Unavailable
from starter.demo.account import Account
from starter.files import tail
from starter.place import command

T = TypeVar("T")

_ENDING = 30.0  # seconds for answers that are missing at the end


class Customers:
    """Sends requests until it is ended; everything is accounted for then."""

    def __init__(self, process: asyncio.subprocess.Process, report: Path, errors: Path) -> None:
        self._process = process
        self._report = report
        self._errors = errors

    async def serve(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` while they ask; raises `Unavailable` as soon as they are gone.

        Without requests a release proves nothing: it would wait, and we with it.
        """
        working, gone = asyncio.create_task(work), asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise self._failed(gone.result())
        finally:
            working.cancel()
            gone.cancel()
            await asyncio.gather(working, gone, return_exceptions=True)

    async def end(self) -> Account:
        """Send no more, wait for the answers, return the account; may be called again.

        Raises `Unavailable` when the process failed.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        async with asyncio.timeout(_ENDING):
            code = await self._process.wait()
        if code:
            raise self._failed(code)
        return Account.model_validate_json(self._report.read_text())

    def _failed(self, code: int) -> Unavailable:
        return Unavailable(
            f"the load generator ended with exit code {code}: {tail(self._errors, 1)}",
            code="no_load",
            path=str(self._errors),
        )

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
