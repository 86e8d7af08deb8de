"""Servers that metrics are read from."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integrations.metric_sources.scene import Answers


@pytest_asyncio.fixture
async def answers() -> AsyncIterator[Answers]:
    server = Answers()
    await server.open()
    yield server
    await server.close()
