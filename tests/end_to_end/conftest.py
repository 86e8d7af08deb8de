"""One real `slipway up` for all tests of this folder: its own server, workers, records."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.console import Slipway, install_agent, processes_with

HERE = Path(__file__).parent
AGENTS = (HERE.parent / "fixtures" / "obedient", HERE.parents[1] / "docs/examples/ten-lines/agents")


@pytest.fixture(scope="session")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipway]:
    """A running slipway; at the end it stops, and nothing of it is left running."""
    slipway = Slipway(tmp_path_factory.mktemp("slipway") / "home")
    for agent in AGENTS:
        install_agent(slipway.home, agent)
    slipway.up()
    try:
        yield slipway
    finally:
        slipway.down()
    assert not processes_with(str(slipway.home))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the repositories and idea files of one module."""
    return tmp_path_factory.mktemp("place")
