"""Registering our namespace and search attributes on a Temporal server that is not ours."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.record import Record
from starter.place import foreign_server
from starter.server import connect, search_attributes

# How long the server keeps ended workflows; what happened stays in our records.
_RETENTION = timedelta(days=3)
# A server shows what it was told only when its caches are fresh again (10 s by default).
_VISIBLE_SECONDS = 30.0
_PAUSE = 0.2

T = TypeVar("T")


class Registered(Record):
    """What was missing on that server, and is there now."""

    address: str
    namespace: str
    created: bool = False  # the namespace was missing too
    added: tuple[str, ...]


def register() -> Registered:
    """Register what is missing on the server of TEMPORAL_ADDRESS or temporal.toml.

    The namespace is that of TEMPORAL_NAMESPACE; what is there already stays as it is.
    Raises `Rejected` when there is no such server (ours gets them at its start),
    `Misconfigured` when that server keeps them elsewhere, as Temporal Cloud does.
    """
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
    created = not await _has_namespace(client) and await _create_namespace(client)
    missing = await _patiently(lambda: missing_attributes(client))
    if missing:
        await _patiently(lambda: _add(client, missing))
        await _shown(client, address)
    return Registered(
        address=address,
        namespace=client.namespace,
        created=created,
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


async def _has_namespace(client: Any) -> bool:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError, RPCStatusCode

    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        # Who may not look, as on Temporal Cloud, may still find it usable.
        return error.status != RPCStatusCode.NOT_FOUND
    return True


async def _create_namespace(client: Any) -> bool:
    """Return whether it was we who created it."""
    from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
    from temporalio.service import RPCError, RPCStatusCode

    request = RegisterNamespaceRequest(namespace=client.namespace, description="slipway")
    request.workflow_execution_retention_period.FromTimedelta(_RETENTION)
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return False
        raise Misconfigured(
            f"There is no namespace {client.namespace}, and we may not create it: {error}",
            code="no_namespace",
            hint="Create it, or name another in TEMPORAL_NAMESPACE.",
        ) from error
    return True


async def _add(client: Any, missing: tuple[tuple[str, str], ...]) -> None:
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
        raise _refused(client.namespace, error) from error


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do it again while the server does not know a namespace yet that it has just made."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while True:
        try:
            return await work()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE)


async def _shown(client: Any, address: str) -> None:
    """Wait until the server shows all attributes, so that workers can start."""

    async def all_there() -> None:
        if left := await missing_attributes(client):
            raise Unavailable(
                f"{address} took the search attributes, but does not show {left[0][0]} yet",
                code="not_yet_visible",
                hint="Run `slipway init` again in a minute.",
            )

    await _patiently(all_there)


def _refused(where: str, error: Any) -> Misconfigured | Unavailable:
    from temporalio.service import RPCStatusCode

    if error.status == RPCStatusCode.NOT_FOUND:
        return Unavailable(
            f"The server does not know the namespace {where}",
            code="no_namespace",
            hint="`slipway init` creates it; or name another in TEMPORAL_NAMESPACE.",
        )
    wanted = " ".join(f"--search-attribute {n}={kind}" for n, kind in search_attributes())
    return Misconfigured(
        f"{where} does not let us read or add search attributes: {error}",
        code="no_operator_service",
        hint=(
            "On Temporal Cloud add them with: tcld namespace search-attributes add "
            f"--namespace {where} {wanted}"
        ),
    )
