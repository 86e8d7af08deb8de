"""The stage of the driver tests, set up once per test and driver."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from integrations.git import Git
from tests.integrations.drivers.more_sites import CommandSite, HaproxySite
from tests.integrations.drivers.site import SITES, Stage

SITES.update(haproxy=HaproxySite, command=CommandSite)


@pytest_asyncio.fixture(params=sorted(SITES))
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """A repository with a service, and a driver that can deploy it."""
    git = Git(tmp_path / "objects")
    site = SITES[request.param](tmp_path, git)
    await site.open()
    try:
        stage = Stage(tmp_path, site, git)
        await stage.prepare()
        yield stage
    finally:
        await site.close()
