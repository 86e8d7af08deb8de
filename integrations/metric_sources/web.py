"""GET requests for metrics: short answers, no redirects, and every failure in one sentence."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2

from integrations.metric_sources.reading import CannotRead

_MOST = 1024 * 1024  # bytes of an answer


def client() -> httpx2.AsyncClient:
    """Return a client that asks exactly who is named; time limits are the caller's."""
    return httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None)


async def get_json(
    client: httpx2.AsyncClient, address: str, query: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Return status and JSON of an answer; raises `CannotRead`."""
    try:
        async with client.stream("GET", address, params=query) as answer:
            text = await _text(answer)
            status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise CannotRead(f"cannot be read from {address[:200]}: {_reason(error)}") from error
    try:
        return status, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotRead(
            f"cannot be read from {address[:200]}: status {status}, and no JSON"
        ) from error


async def _text(answer: httpx2.Response) -> bytes:
    text = b""
    async for part in answer.aiter_bytes():
        text += part
        if len(text) > _MOST:
            raise ValueError(f"the answer is longer than {_MOST} bytes")
    return text


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
