"""Registering our search attributes on a Temporal server that is not ours."""

from typing import Any

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.record import Record
from starter.place import foreign_server
from starter.server import connect, search_attributes


class Registered(Record):
    """What was missing on that server, and is there now."""

    address: str
    namespace: str
    added: tuple[str, ...]


def register() -> Registered:
    """Register what is missing on the server of TEMPORAL_ADDRESS or temporal.toml.

    Raises `Rejected` when there is no such server (ours gets them at its start),
    `Misconfigured` when that server keeps them elsewhere, as Temporal Cloud does.
    """
    import asyncio

    options = foreign_server()
    if options is None:
        raise Rejected(
            "No server to register on: neither TEMPORAL_ADDRESS nor temporal.toml names one",
            code="no_foreign_server",
            hint="The server of `slipway up` needs no `init`; name another in TEMPORAL_ADDRESS.",
        )
    return asyncio.run(_register(options))


async def _register(options: dict[str, Any]) -> Registered:
    options = dict(options)
    address = options.pop("target_host")
    client = await connect(address, seconds=5, **options)
    missing = await missing_attributes(client)
    if missing:
        await _add(client, address, missing)
    return Registered(
        address=address,
        namespace=client.namespace,
        added=tuple(f"{name}={kind}" for name, kind in missing),
    )


async def missing_attributes(client: Any) -> tuple[tuple[str, str], ...]:
    """Return names and types of our search attributes that the namespace does not have."""
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
    from temporalio.service import RPCError

    try:
        told = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        raise _refused(client.namespace, error) from error
    return tuple(pair for pair in search_attributes() if pair[0] not in told.custom_attributes)


async def _add(client: Any, address: str, missing: tuple[tuple[str, str], ...]) -> None:
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
    from temporalio.service import RPCError

    from workflows.names import SEARCH_ATTRIBUTES

    kinds = {key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES}
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for name, _ in missing:
        request.search_attributes[name] = kinds[name].value  # type: ignore[assignment]
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        raise _refused(address, error) from error
    if left := await missing_attributes(client):
        raise Unavailable(
            f"{address} took the search attributes, but does not show {left[0][0]} yet",
            code="not_yet_visible",
            hint="Run `slipway init` again in a minute.",
        )


def _refused(where: str, error: Exception) -> Misconfigured:
    wanted = " ".join(f"--search-attribute {n}={kind}" for n, kind in search_attributes())
    return Misconfigured(
        f"{where} does not let us read or add search attributes: {error}",
        code="no_operator_service",
        hint=(
            "On Temporal Cloud add them with: tcld namespace search-attributes add "
            f"--namespace {where} {wanted}"
        ),
    )
