"""A worker's sign of life, as the health check of a container reads it."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.processes import until
from workers.pulse import STALE_SECONDS, alive, beat, main


async def test_a_worker_that_beats_is_alive_until_its_beat_is_old(tmp_path: Path):
    file = tmp_path / "pulse"
    before = alive(file, time.time())
    beating = asyncio.create_task(beat(file))
    await until(file.exists)
    beating.cancel()
    touched = file.stat().st_mtime

    assert not before
    assert alive(file, touched + STALE_SECONDS)
    assert not alive(file, touched + STALE_SECONDS + 1)


def test_the_health_check_says_by_its_exit_code_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    fresh, old = tmp_path / "fresh", tmp_path / "old"
    fresh.touch()
    old.touch()
    os.utime(old, (0, 0))

    assert (main([str(fresh)]), main([str(old)]), main([])) == (0, 1, 2)
    assert "shows no life" in capsys.readouterr().err
