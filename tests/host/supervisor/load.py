"""Load on a public port while something is killed: every request is accounted for."""

import asyncio
import time
from types import TracebackType
from typing import NamedTuple, Self


class Sent(NamedTuple):
    """One request: when it was begun, how long it took, and what was wrong (empty: nothing)."""

    at: float
    seconds: float
    wrong: str


class Load:
    """Sends requests one after the other over `lanes` lanes, each over a connection of its own."""

    def __init__(self, port: int, lanes: int = 4, pause: float = 0.005) -> None:
        self._port = port
        self._lanes = lanes
        self._pause = pause
        self._tasks: list[asyncio.Task[None]] = []
        self._over = False
        self.sent: list[Sent] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._lane()) for _ in range(self._lanes)]
        await self.more(20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        if kind is None:
            await self.more(40)
        self._over = True
        await asyncio.gather(*self._tasks)

    @property
    def failed(self) -> list[Sent]:
        return [each for each in self.sent if each.wrong]

    async def more(self, count: int) -> None:
        """Wait until so many more requests were answered, well or badly."""
        goal = len(self.sent) + count
        deadline = time.monotonic() + 30
        while len(self.sent) < goal:
            assert time.monotonic() < deadline, "requests are not answered any more"
            await asyncio.sleep(0.01)

    async def _lane(self) -> None:
        while not self._over:
            begun = time.monotonic()
            wrong = await self._request()
            self.sent.append(Sent(begun, time.monotonic() - begun, wrong))
            await asyncio.sleep(self._pause)

    async def _request(self) -> str:
        try:
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        status = answer[9:12].decode()
        return "" if status == "200" else f"status {status or 'none'}"
