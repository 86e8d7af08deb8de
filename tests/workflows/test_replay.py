"""Recorded histories replay on today's code, whatever the hash seed, and without a cache."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from workers.queues import WORKFLOWS
from workflows.plugin import slipway_plugin

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))


def recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text(encoding="utf-8"))


async def replay(history: WorkflowHistory) -> None:
    """Raise what the SDK raises when the commands differ from those recorded."""
    await Replayer(workflows=WORKFLOWS, plugins=[slipway_plugin()]).replay_workflow(history)


def test_there_is_a_history_of_each_workflow():
    found = {path.stem.split("-")[0] for path in HISTORIES}

    assert {workflow.__name__ for workflow in WORKFLOWS} == found


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_replays(path):
    await replay(recorded(path))


@pytest.mark.parametrize("seed", ["1", "2"])
def test_replays_under_another_hash_seed(seed):
    done = subprocess.run(
        [sys.executable, "-m", "tests.workflows.test_replay"],
        env=os.environ | {"PYTHONHASHSEED": seed},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, f"{len(HISTORIES)} replayed") == (done.returncode, done.stdout.strip()), done.stderr


async def _all() -> None:
    for path in HISTORIES:
        await replay(recorded(path))


if __name__ == "__main__":
    asyncio.run(_all())
    print(f"{len(HISTORIES)} replayed", flush=True)
    os._exit(0)
