"""Load on a public port: requests at their time, each accounted for with what became of it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import NamedTuple

PATIENCE = 30.0  # seconds for an answer
CLIENTS = 199  # addresses that the requests say they come from

REFUSED, CUT, LATE = "refused", "cut", "late"
BAD, BROKE_OFF, NOBODY, OWN = "bad", "broke off", "nobody reached", "of the edge"


class Sent(NamedTuple):
    """One request; `outcome` is empty when it was answered well. Times are monotonic seconds."""

    begun: float
    ended: float
    outcome: str
    version: str  # of the release that answered, or was asked last


class Load:
    """Sends `rate` requests per second, half of them over kept connections, until it is closed."""

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self._gap = 1 / rate
        self._kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Task[None] | None = None
        self.sent: list[Sent] = []

    def open(self) -> None:
        self._sending = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Send no more, and wait for what is on its way."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        await asyncio.gather(*self._running)
        for _, writer in self._kept:
            writer.close()

    async def _send(self) -> None:
        due, number = time.monotonic(), 0
        while True:
            due = max(due + self._gap, time.monotonic() - 0.2)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number += 1
            task = asyncio.create_task(self._one(number))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _one(self, number: int) -> None:
        begun = time.monotonic()
        outcome, version = await self._outcome(number)
        self.sent.append(Sent(begun, time.monotonic(), outcome, version))

    async def _outcome(self, number: int) -> tuple[str, str]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._asked(number)
        except ConnectionRefusedError:
            return REFUSED, ""
        except TimeoutError:
            return LATE, ""
        except (OSError, EOFError, ValueError) as error:
            return f"{CUT}: {error!r}", ""

    async def _asked(self, number: int) -> tuple[str, str]:
        keep = number % 2 == 0
        line = self._kept_line() if keep else None
        reader, writer = line or await asyncio.open_connection("127.0.0.1", self._port)
        good = False
        try:
            client = f"10.0.{number % CLIENTS}.1"
            close = "" if keep else "Connection: close\r\n"
            writer.write(
                f"GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: {client}\r\n{close}\r\n".encode()
            )
            answer = await _answer(reader)
            good = keep
            return answer
        finally:
            if good:
                self._kept.append((reader, writer))
            else:
                writer.close()

    def _kept_line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        while self._kept:
            reader, writer = self._kept.pop()
            if not (reader.at_eof() or reader.exception() or writer.is_closing()):
                return reader, writer
            writer.close()
        return None


async def _answer(reader: asyncio.StreamReader) -> tuple[str, str]:
    """Read an answer; return what is wrong with it, and whose it is."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    body = (await reader.readexactly(int(fields["content-length"]))).decode()
    return _wrong(int(lines[0].split()[1]), body), fields.get("x-slipway-version", "")


def _wrong(status: int, body: str) -> str:
    if status == 200:
        return ""
    if status == 500:
        return BAD
    if "broke off" in body:
        return BROKE_OFF
    if "no instance can be reached" in body:
        return NOBODY
    return f"{OWN}: {body.strip()}"


async def closed(loads: list[Load]) -> None:
    endings: list[Awaitable[None]] = [load.close() for load in loads]
    await asyncio.gather(*endings)
