"""A short-lived command that talks to a live server never crashes at its exit."""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from config.settings import Settings
from tests.facts import KEY
from tests.starter.test_records import chosen as chosen
from tests.starter.test_records import told

RUNS = 100
AT_ONCE = 4


@pytest.mark.server
@pytest.mark.slow
async def test_a_hundred_short_commands_end_with_their_own_code(
    chosen: Settings, temporal: WorkflowEnvironment
):
    # The idea is on record, but nothing runs: each command connects, asks, and is refused.
    # Without `leave` 3 to 10 of them would end with 134 or 139 after their output.
    await told(chosen)
    env = os.environ | {"TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host}
    slots = asyncio.Semaphore(AT_ONCE)

    async def run() -> tuple[int, bytes]:
        async with slots:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "starter.entry", "idea", "pause", KEY, "--json",
                env=env, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await process.communicate()
            return process.returncode or 0, out

    ended = await asyncio.gather(*(run() for _ in range(RUNS)))

    assert Counter(code for code, _ in ended) == {2: RUNS}
    assert all(b'"code": "not_open"' in out for _, out in ended)
