"""What tests of the supervisor share: one supervisor per test, and nothing left of it after."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host.supervisor.house import House, holding


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running supervisor with its edge."""
    house = House(tmp_path / "home")
    await house.open()
    yield house
    await house.close()
    assert holding(str(tmp_path)) == []


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
