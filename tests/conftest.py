"""What all tests share: a real Temporal server for the whole run."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from workflows.names import SEARCH_ATTRIBUTES
from workflows.plugin import slipway_plugin

# What runs in the background of a shell ignores SIGINT and leaves that to its children; some tests
# press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The server as `slipway up` starts it (one shard: see docs/decisions).
TUNED = {
    "history.transferProcessorMaxPollRPS": "2000",
    "matching.useNewMatcher": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}


def temporal_binary() -> Path:
    """Return the Temporal server binary; a missing one fails the run, it skips nothing."""
    from config.settings import Settings
    from starter.server import find_temporal

    return find_temporal(Settings())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(tmp_path_factory) -> AsyncIterator[WorkflowEnvironment]:
    """A development server with a file, tuned as ours, with our search attributes."""
    arguments = [f"--dynamic-config-value={key}={value}" for key, value in TUNED.items()]
    arguments += ["--sqlite-pragma=journal_mode=wal", "--sqlite-pragma=synchronous=1"]
    folder = tmp_path_factory.mktemp("temporal")
    binary = os.environ.get("SLIPWAY_TEMPORAL_BIN") or str(temporal_binary())
    env = await WorkflowEnvironment.start_local(
        plugins=[slipway_plugin()],
        dev_server_existing_path=binary,
        dev_server_database_filename=str(folder / "t.db"),
        dev_server_extra_args=arguments,
        search_attributes=list(SEARCH_ATTRIBUTES),
    )
    async with env:
        yield env
