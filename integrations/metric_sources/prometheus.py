"""Prometheus: one instant query per instance (HTTP API, `/api/v1/query`)."""

from typing import Any

import httpx2

from domain.deployment import Instance
from domain.service import MetricSource
from integrations.metric_sources.reading import CannotRead, Reading, filled, sound
from integrations.metric_sources.web import get_json


async def ask_prometheus(
    source: MetricSource, instance: Instance, client: httpx2.AsyncClient
) -> Reading:
    """Return what the query gives for an instance; it has to be one series or a scalar."""
    query = filled(source.query, instance)
    address = f"{source.url.rstrip('/')}/api/v1/query"
    status, answer = await get_json(client, address, {"query": query})
    if not isinstance(answer, dict) or answer.get("status") != "success":
        said = answer.get("error") if isinstance(answer, dict) else answer
        raise CannotRead(f"is refused by {source.url} with status {status}: {str(said)[:300]}")
    try:
        return _read(answer["data"]["resultType"], answer["data"]["result"], query)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise CannotRead(f"is answered by {source.url} in a shape that is not known") from error


def _read(kind: str, result: Any, query: str) -> Reading:
    if kind == "scalar":
        return sound(float(result[1]))
    if kind != "vector":
        raise CannotRead(f"is a {kind}, and must be one number: {query[:200]}")
    if not result:
        raise CannotRead(f"has no value now: {query[:200]}")
    if len(result) > 1:
        raise CannotRead(f"is {len(result)} series, and must be one, as by avg(): {query[:200]}")
    unit = result[0]["metric"].get("unit", "")
    return sound(float(result[0]["value"][1]), unit)
