"""An HTTP endpoint that answers with a JSON number, or with an object that holds one."""

from typing import Any

import httpx2

from domain.deployment import Instance
from domain.service import MetricSource
from integrations.metric_sources.reading import CannotRead, Reading, filled, sound
from integrations.metric_sources.web import get_json


async def ask_endpoint(
    source: MetricSource, instance: Instance, client: httpx2.AsyncClient
) -> Reading:
    """Ask `url` followed by `query`; a fragment is a JSON pointer (RFC 6901) to the number.

    The number stands alone, or as `value` beside its `unit`.
    """
    address, _, pointer = filled(source.url + source.query, instance).partition("#")
    status, answer = await get_json(client, address)
    if not 200 <= status < 300:
        raise CannotRead(f"is answered by {address[:200]} with status {status}")
    found = _at(answer, pointer)
    if isinstance(found, dict):
        return sound(found.get("value"), found.get("unit", ""))
    return sound(found)


def _at(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(name)] if isinstance(document, list) else document[name]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise CannotRead(f"is not in the answer at {pointer}") from error
    return document
