"""Rooms of gate commands go away, whatever becomes of who made them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from integrations.gates.rooms import Rooms

HOLDER = """
import asyncio, sys
from pathlib import Path
from integrations.gates.rooms import Rooms

async def stay():
    async with Rooms(Path(sys.argv[1])).room() as room:
        (room.path / "closed").mkdir()
        (room.path / "closed" / "file").touch()
        (room.path / "closed").chmod(0)
        print(room.folder, flush=True)
        await asyncio.Event().wait()

asyncio.run(stay())
"""


def left(folder: Path) -> list[Path]:
    return list(folder.glob("gates/*"))


async def test_a_room_has_tools_and_is_gone_afterwards(tmp_path):
    async with Rooms(tmp_path).room() as room:
        assert (room.path / "tools").is_dir()
        assert await Rooms(tmp_path).sweep() == 0
        assert room.path.is_dir()

    assert left(tmp_path) == []


async def test_a_cancelled_run_leaves_no_room(tmp_path):
    async def stay() -> None:
        async with Rooms(tmp_path).room():
            entered.set()
            await asyncio.Event().wait()

    entered = asyncio.Event()
    task = asyncio.create_task(stay())
    await entered.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(tmp_path) == []


def test_the_room_of_a_killed_worker_is_swept(tmp_path):
    root = str(Path(__file__).parents[3])
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert holder.stdout is not None
    with holder, holder.stdout:
        room = Path(holder.stdout.readline().strip())
        assert asyncio.run(Rooms(tmp_path).sweep()) == 0
        assert room.is_dir()
        os.kill(holder.pid, signal.SIGKILL)

    assert asyncio.run(Rooms(tmp_path).sweep()) == 1
    assert left(tmp_path) == []
