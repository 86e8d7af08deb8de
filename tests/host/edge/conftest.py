"""What tests of the edge share: edges and apps, all ended with their test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

from tests.host.edge.ground import Answer, App, Edge

MakeApp = Callable[..., Awaitable[App]]
MakeEdge = Callable[..., Awaitable[Edge]]


@pytest_asyncio.fixture
async def make_app() -> AsyncIterator[MakeApp]:
    """Return a function that starts an app: name, then how it answers."""
    apps: list[App] = []

    async def make(name: str, answer: Answer | None = None, **more: object) -> App:
        app = App(name, answer, **more)  # type: ignore[arg-type]
        await app.open()
        apps.append(app)
        return app

    yield make
    for app in apps:
        await app.close()


@pytest_asyncio.fixture
async def make_edge(tmp_path: Path) -> AsyncIterator[MakeEdge]:
    """Return a function that starts an edge with other limits."""
    edges: list[Edge] = []

    async def make(*limits: str) -> Edge:
        edge = Edge(tmp_path, *limits)
        edges.append(edge)
        await edge.start()
        return edge

    yield make
    for edge in edges:
        await edge.close()


@pytest_asyncio.fixture
async def edge(make_edge: MakeEdge) -> Edge:
    """An edge with the limits that users get."""
    return await make_edge()


@pytest_asyncio.fixture
async def app(make_app: MakeApp, edge: Edge) -> App:
    """An app that gets all traffic of `edge`."""
    app = await make_app("blue")
    await edge.route({app: 10_000})
    return app
