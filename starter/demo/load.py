"""Load: sends the customers' requests to the sample service, and accounts for each of them.

It is open: requests are sent when they are due, however long the answers take, and none is sent
twice. Run as a process, it goes on until its input ends or it is told TERM.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import uvloop

from starter.demo.account import Account
from starter.demo.connection import Connection
from starter.demo.tally import Tally
from starter.demo.traffic import Ask, asks
from starter.files import write_whole

SEED = 20_260_302
_PATIENCE = 10.0  # seconds for an answer, and for those that are missing at the end
_IDLE = 30.0  # seconds; well below those after which the edge closes
_TELL = 0.5  # seconds between two reports


class Load:
    """Begins requests at their time, one task each."""

    def __init__(self, host: str, port: int, rate: float, asked: Iterator[Ask]) -> None:
        self._host, self._port, self._rate = host, port, rate
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._running: set[asyncio.Task[None]] = set()
        self._tally = Tally(rate)

    async def run(self, over: asyncio.Event, report: Path) -> Account:
        """Send until `over`, wait for what is on its way, write `report` now and then."""
        telling = asyncio.create_task(self._tell(report))
        try:
            await self._send(over)
            if self._running:
                await asyncio.wait(self._running)
        finally:
            telling.cancel()
            for connection in tuple(self._idle):
                connection.close()
        account = self._tally.account(over=True)
        write_whole(report, account.model_dump_json())
        return account

    async def _send(self, over: asyncio.Event) -> None:
        due = self._loop.time()
        for ask in self._asked:
            due += ask.gap
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), max(0.0, due - self._loop.time()))
            if over.is_set():
                return
            task = self._loop.create_task(self._one(ask, due))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _one(self, ask: Ask, due: float) -> None:
        self._tally.start()
        try:
            connection = await self._connection()
        except OSError:
            self._tally.abort(sent=False)
            return
        try:
            answer = await asyncio.wait_for(connection.ask(_written(ask)), _PATIENCE)
        except (OSError, TimeoutError):
            connection.close()
            self._tally.abort(sent=True)
            return
        ms = (self._loop.time() - due) * 1_000
        self._tally.complete(answer.version, answer.status, ms)
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    async def _connection(self) -> Connection:
        """Return a connection that is free, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and self._loop.time() - connection.idle_since < _IDLE:
                return connection
            connection.close()
        _, made = await self._loop.create_connection(
            lambda: Connection(self._loop, self._forget), self._host, self._port
        )
        return made

    def _forget(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    async def _tell(self, report: Path) -> None:
        while True:
            write_whole(report, self._tally.account().model_dump_json())
            await asyncio.sleep(_TELL)


def _written(ask: Ask) -> bytes:
    """Return the request; the edge believes who the client is, since it comes from this machine."""
    return (
        f"GET {ask.path} HTTP/1.1\r\nHost: parcels.localhost\r\n"
        f"X-Forwarded-For: {ask.client}\r\nUser-Agent: parcels-customers\r\n\r\n"
    ).encode()


async def _until_told(host: str, port: int, rate: float, report: Path) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    # The end of its input is the end of whoever started it.
    await loop.connect_read_pipe(lambda: _Input(over), sys.stdin)
    await Load(host, port, rate, asks(SEED, rate)).run(over, report)


class _Input(asyncio.Protocol):
    def __init__(self, over: asyncio.Event) -> None:
        self._over = over

    def connection_lost(self, error: Exception | None) -> None:
        self._over.set()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m starter.demo.load", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=150, help="requests per second")
    parser.add_argument("--report", type=Path, required=True, help="where the account is written")
    wanted = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(wanted.host, wanted.port, wanted.rate, wanted.report))


if __name__ == "__main__":
    main()
