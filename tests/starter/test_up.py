"""The up process with a real Temporal server and stub workers: started, killed, mended, ended."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from config.settings import Settings
from domain.errors import Misconfigured, Unavailable
from starter.background import Started, end_up, run_up, start_up
from starter.doctor import examine
from starter.hosted import leave_or_end
from starter.processes import birth, gone_within, lives
from starter.state import UpState, read_state, running
from starter.worker_pool import WORKERS
from tests.conftest import temporal_binary
from tests.processes import until

pytestmark = pytest.mark.server

STUB = (sys.executable, str(Path(__file__).with_name("stub_worker.py")))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all, as on a real machine: the version of the binary is asked once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def chosen(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a home of its own, that child processes see too."""
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    binary = os.environ.get("SLIPWAY_TEMPORAL_BIN") or str(temporal_binary())
    monkeypatch.setenv("SLIPWAY_TEMPORAL_BIN", binary)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLIPWAY_CACHE", str(cache))
    return Settings()


async def begin(chosen: Settings) -> Started:
    return await asyncio.to_thread(start_up, chosen, lambda _: None, STUB)


@pytest_asyncio.fixture
async def up(chosen: Settings) -> AsyncIterator[UpState]:
    """A running up process; ended afterwards, whatever a test did to it."""
    started = await begin(chosen)
    assert started.state is not None
    yield started.state
    await asyncio.to_thread(end_up, chosen)
    await asyncio.to_thread(leave_or_end, chosen.home, end=True)


def everything(state: UpState) -> list[tuple[int, str]]:
    children = [(worker.pid, worker.born) for worker in state.workers]
    return [(state.pid, state.born), (state.server.pid, state.server.born), *children]


def log(chosen: Settings) -> str:
    return (chosen.home / "logs" / "up.log").read_text()


async def test_it_says_where_everything_is_and_a_second_one_says_it_runs(
    chosen: Settings, up: UpState
):
    again = await begin(chosen)

    assert all(lives(pid, born) for pid, born in everything(up))
    assert [w.queues for w in up.workers] == list(WORKERS)
    assert up.server.ui.startswith("http://127.0.0.1:")
    assert again.state is not None
    # The host may have answered only after the first one was ready.
    assert (False, up.but(host=0)) == (again.started, again.state.but(host=0))


async def test_down_leaves_no_process_and_no_state(chosen: Settings, up: UpState):
    ended = await asyncio.to_thread(end_up, chosen)
    again = await asyncio.to_thread(end_up, chosen)

    assert (up.pid, None) == (ended.pid if ended else 0, again)
    assert not any(lives(pid, born) for pid, born in everything(up))
    assert read_state(chosen.home) is None


async def test_what_a_killed_worker_held_runs_again_at_once(
    chosen: Settings, up: UpState, tmp_path: Path
):
    client = await Client.connect(up.server.address)
    handle = await client.start_workflow(
        "HoldWork", str(tmp_path), id="hold", task_queue="delivery"
    )
    await until((tmp_path / "runs").exists)
    victim = up.workers[1]

    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    second = await handle.result()

    # Without eviction the activity's own retry would come after its time-out of 60 seconds.
    assert time.monotonic() - killed < 5
    assert [victim.identity, second] == (tmp_path / "runs").read_text().splitlines()
    now = running(chosen.home)
    assert now is not None
    assert (second, 1) == (now.workers[1].identity, now.workers[1].restarts)


async def test_a_killed_server_comes_back_where_it_was_with_what_it_knew(
    chosen: Settings, up: UpState, tmp_path: Path
):
    client = await Client.connect(up.server.address)
    handle = await client.start_workflow(
        "HoldWork", str(tmp_path), id="hold", task_queue="delivery"
    )
    await until((tmp_path / "runs").exists)

    os.kill(up.server.pid, signal.SIGKILL)
    await until(lambda: "the Temporal server ended (-9)" in log(chosen))
    await until(lambda: _server_pid(chosen) != up.server.pid)

    now = running(chosen.home)
    assert now is not None
    assert (up.server.address, up.server.ui) == (now.server.address, now.server.ui)
    assert (await handle.describe()).id == "hold"


def _server_pid(chosen: Settings) -> int:
    state = running(chosen.home)
    return state.server.pid if state else 0


async def test_nothing_outlives_a_killed_up_process_and_the_next_one_starts(
    chosen: Settings, up: UpState
):
    os.kill(up.pid, signal.SIGKILL)
    assert gone_within(up.pid, up.born, 10)
    again = await begin(chosen)

    assert again.started
    assert all(gone_within(pid, born, 10) for pid, born in everything(up))


async def test_a_worker_that_does_not_start_is_an_error_with_its_words(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STUB_FAILS", "1")

    with pytest.raises(Unavailable, match="3 times in a row: the stub was told to fail") as caught:
        await begin(chosen)

    assert caught.value.problem.code == "worker_died"
    assert read_state(chosen.home) is None


async def test_a_database_of_another_server_version_is_not_opened(chosen: Settings, up: UpState):
    await asyncio.to_thread(end_up, chosen)
    mark = chosen.home / "temporal" / "server.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "version": "1.99.0"}))

    with pytest.raises(Misconfigured, match=r"made by Temporal server 1\.99\.0") as caught:
        await begin(chosen)

    assert caught.value.problem.code == "server_version"


async def test_a_stranger_is_not_taken_for_our_server(chosen: Settings, up: UpState):
    # The namespace that answers carries another secret than the one we remember.
    await asyncio.to_thread(end_up, chosen)
    mark = chosen.home / "temporal" / "server.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "nonce": "0" * 32}))

    with pytest.raises(Unavailable, match="not the one that was started there") as caught:
        await begin(chosen)

    assert caught.value.problem.code == "stranger"


async def test_with_another_server_it_starts_none(
    chosen: Settings, up: UpState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEMPORAL_ADDRESS", up.server.address)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "other"))
    other = Settings()
    try:
        started = await begin(other)

        assert started.state is not None
        assert (up.server.address, 0, "") == (
            started.state.server.address,
            started.state.server.pid,
            started.state.server.ui,
        )
    finally:
        await asyncio.to_thread(end_up, other)


async def test_a_host_comes_up_with_it_and_goes_with_it_when_it_has_nothing_to_do(
    chosen: Settings, up: UpState
):
    await until(lambda: _host_pid(chosen) != 0)
    host = _host_pid(chosen)
    born = birth(host)
    await asyncio.to_thread(end_up, chosen)

    assert born
    assert gone_within(host, born, 5)


def _host_pid(chosen: Settings) -> int:
    state = running(chosen.home)
    return state.host if state else 0


async def test_the_doctor_looks_at_the_running_server(chosen: Settings, up: UpState):
    report = await asyncio.to_thread(examine, chosen)

    found = {check.name: check for check in report.checks}
    assert report.healthy
    assert up.server.address in found["server"].found
    assert found["search attributes"].found == "all registered"


def test_one_that_is_starting_is_waited_for_and_not_for_ever(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
):
    from starter import background
    from starter.files import locked

    monkeypatch.setattr(background, "_STARTING_SECONDS", 0.1)

    with locked(chosen.home / "up.lock", wait=False), pytest.raises(Unavailable) as caught:
        run_up(chosen, lambda _: None, lambda _: None, STUB)

    assert caught.value.problem.code == "up_busy"
