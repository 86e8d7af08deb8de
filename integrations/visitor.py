"""Visitor: sends requests to a service as a client would, where no user does."""

import asyncio
import contextlib

import httpx2

_TIMEOUT_SECONDS = 5
AGENT = "slipway-visitor"  # so that a service can tell these requests from those of people


class Visitor:
    """Plain GET requests over kept-alive connections."""

    async def visit(self, url: str, count: int, rate: float) -> int:
        """Send `count` requests, `rate` per second (0: one after the other); the good ones."""
        good = 0
        async with self._client() as client:
            for _ in range(count):
                good += await self._get(client, url)
                if rate:
                    await asyncio.sleep(1 / rate)
        return good

    async def keep_visiting(self, url: str, rate: float) -> None:
        """Send `rate` requests per second until cancelled; a slow answer delays no other."""
        async with self._client() as client, asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._get(client, url))
                await asyncio.sleep(1 / rate)

    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            timeout=_TIMEOUT_SECONDS, headers={"User-Agent": AGENT}, trust_env=False
        )

    async def _get(self, client: httpx2.AsyncClient, url: str) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            answer = await client.get(url)
            return answer.status_code < 400
        return False
