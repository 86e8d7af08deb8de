"""Both databases, and the ideas and facts that the tests of the records tell."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from integrations.database import Database
from tests.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/slipway.db"
    return request.getfixturevalue("postgres").new()


@pytest_asyncio.fixture
async def database(url) -> AsyncIterator[Database]:
    database = Database(url, busy_seconds=1, clock=lambda: 5_000)
    yield database
    await database.close()
