"""Short commands that have talked to a live server end cleanly, every time."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.console import PROGRAM, Slipway
from tests.end_to_end.projects import bare, idea

pytestmark = [pytest.mark.server, pytest.mark.slow]

RUNS, TALKS, AT_ONCE = 100, 20, 3


def many(runs: int, slipway: Slipway, *words: str) -> list["subprocess.CompletedProcess[bytes]"]:
    """Run a command so often, a few at once."""

    def run(_: int) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [str(PROGRAM), *words, "--json"], env=slipway.env, capture_output=True, check=False
        )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(runs)))


def test_a_hundred_looks_at_an_idea_end_well(slipway: Slipway, place: Path):
    started = slipway.begin(idea(place, "Look at me"), "--repo", bare(place / "look.git"))
    started.completed()

    ends = many(RUNS, slipway, "idea", "show", started.key)

    assert {end.returncode for end in ends} == {0}
    assert {end.stderr for end in ends} == {b""}
    assert len({end.stdout for end in ends}) == 1


def test_so_do_commands_that_the_server_refuses(slipway: Slipway, place: Path):
    started = slipway.begin(idea(place, "Leave me"), "--repo", bare(place / "leave.git"))
    started.completed()

    ends = many(TALKS, slipway, "idea", "pause", started.key)

    assert {end.returncode for end in ends} == {2}
    assert {end.stderr for end in ends} == {b""}
