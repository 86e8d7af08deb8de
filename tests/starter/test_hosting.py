"""The host beside `slipway up`: kept, found again, left running with services, ended without."""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from domain.deployment import FULL, Route
from domain.errors import Rejected
from domain.hosting import RouteTraffic
from host.supervisor.census import look as look_at
from starter.entry import run
from starter.hosted import leave_or_end
from starter.hosting import Host, HostKeeper, gone
from starter.processes import adopt_orphans, birth
from starter.running_services import forget_all, look, restart_all
from starter.service_logs import read_logs
from tests.host.supervisor.house import TARGET, House, holding, until
from tests.host.supervisor.load import Load

OTHER = "other.shop/production"
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A home whose host is started by `slipway`, and ended after the test."""
    house = House(tmp_path / "home")
    yield house
    await Host(house.home).end_services()
    assert holding(str(tmp_path)) == []


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def kept(home: Path) -> AsyncIterator[list[str]]:
    """Keep a host as the up process does; yields what is told."""
    told: list[str] = []
    keeper = HostKeeper(home, told.append, lambda: None)
    task = asyncio.create_task(keeper.keep())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await keeper.end_idle()


async def running(home: Path) -> int:
    """Wait until a supervisor answers; return its process."""
    host = Host(home)

    async def answers() -> bool:
        return await host.status() is not None

    await until(answers)
    state = await host.status()
    assert state is not None
    return state.pid


async def test_without_services_nothing_outlives_up(house: House):
    async with kept(house.home):
        pid = await running(house.home)

    assert birth(pid) == ""
    assert await Host(house.home).status() is None


async def test_it_is_nobodys_child_though_up_adopts_orphans(house: House):
    adopt_orphans()
    try:
        async with kept(house.home):
            pid = await running(house.home)
            seen = look_at(pid)
    finally:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0)

    assert seen is not None
    assert seen.parent != os.getpid()


async def test_a_killed_supervisor_is_started_again(house: House):
    async with kept(house.home) as told:
        pid = await running(house.home)
        os.kill(pid, signal.SIGKILL)
        assert await gone(pid, 5)
        again = await running(house.home)

    assert again != pid
    assert told == ["the host's supervisor ended; it starts again"]


async def test_one_that_is_just_starting_when_up_ends_is_ended_too(house: House):
    async def begun() -> bool:
        return holding(str(house.home)) != []

    async with kept(house.home):
        await until(begun)

    assert holding(str(house.home)) == []


async def test_a_supervisor_of_another_version_is_replaced_and_services_go_on(
    house: House, port: int, monkeypatch: pytest.MonkeyPatch
):
    old = (await Host(house.home).ensure()).pid
    await house.start()
    before = await house.ready()
    await house.publish(port, before)
    monkeypatch.setattr("starter.hosting.version", lambda _: "99")
    async with Load(port) as load:
        host = Host(house.home)
        state = await host.renew(await host.ensure())

    assert state.pid != old
    assert load.failed == []
    assert (await house.ready()).pid == before.pid


async def test_one_that_cannot_start_is_told_and_up_goes_on(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "host").write_text("in the way")
    told: list[str] = []
    keeper = HostKeeper(home, told.append, lambda: None)
    task = asyncio.create_task(keeper.keep())
    try:

        async def complained() -> bool:
            return bool(told)

        await until(complained)
        assert "services are not looked after" in told[0]
        assert "the folder of the host cannot be used" in told[0]
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_services_go_on_when_up_ends_and_when_it_comes_back(house: House, port: int):
    async with kept(house.home) as told:
        await running(house.home)
        await house.start()
        before = await house.ready()
        await house.publish(port, before)
    assert told == [f"{TARGET} goes on; `slipway down --services` ends it"]

    async with Load(port) as load:
        left = await asyncio.to_thread(leave_or_end, house.home, end=False)
        await load.more(20)
        async with kept(house.home):
            await running(house.home)
            await load.more(20)

    assert load.failed == []
    assert left.going_on == (f"{TARGET} (r1.0)",)
    assert left.addresses == {TARGET: f"127.0.0.1:{port}"}
    assert (await house.ready()).pid == before.pid


async def test_down_with_services_ends_them_and_the_next_host_starts_them(house: House, port: int):
    await Host(house.home).ensure()
    await house.start()
    before = await house.ready()
    await house.publish(port, before)
    left = await asyncio.to_thread(leave_or_end, house.home, end=True)

    assert left.ended == (f"{TARGET} (r1.0)",)
    assert birth(before.pid) == ""
    assert holding(str(house.home)) == []
    await Host(house.home).ensure()
    assert (await house.ready()).address == before.address


async def test_services_of_a_killed_supervisor_are_ended_too(house: House):
    pid = (await Host(house.home).ensure()).pid
    await house.start()
    before = await house.ready()
    os.kill(pid, signal.SIGKILL)
    assert await gone(pid, 5)
    unwatched = await asyncio.to_thread(leave_or_end, house.home, end=False)
    left = await asyncio.to_thread(leave_or_end, house.home, end=True)

    assert unwatched.unwatched
    assert left.ended == (f"{TARGET} (r1.0)",)
    assert birth(before.pid) == ""


def test_down_where_nothing_ever_ran_ends_nothing(tmp_path: Path):
    assert leave_or_end(tmp_path / "home", end=True).lines() == ()
    assert leave_or_end(tmp_path / "home", end=False).lines() == ()


async def test_status_tells_each_instance_and_its_share(house: House, port: int):
    await Host(house.home).ensure()
    await house.start()
    await house.start(name="r2.0", version="v2")
    await house.publish(port, await house.ready("r1.0"))
    await house.ready("r2.0")
    seen = await asyncio.to_thread(look, house.home)

    assert [(line.instance.instance, line.weight) for line in seen.services] == [
        ("r1.0", 10_000),
        ("r2.0", 0),
    ]
    assert seen.host.targets == {TARGET: f"127.0.0.1:{port}"}
    one = await asyncio.to_thread(look, house.home, "r2")
    assert [line.instance.version for line in one.services] == ["v2"]
    with pytest.raises(Rejected) as caught:
        await asyncio.to_thread(look, house.home, "nothing-like-it")
    assert TARGET in caught.value.problem.hint


async def test_status_tells_the_shares_of_several_targets(
    house: House, port: int, unused_tcp_port: int
):
    sockets = Host(house.home).sockets
    await Host(house.home).ensure()
    await house.start()
    await house.start(name="other.0", target=OTHER)
    await house.publish(port, await house.ready("r1.0"))
    other = await house.ready("other.0")
    await sockets.declare(OTHER, "127.0.0.1", unused_tcp_port)
    await sockets.route(
        RouteTraffic(
            target=OTHER,
            routes=(
                Route(
                    instance="other.0", address=other.address, version="v1", digest="d", weight=FULL
                ),
            ),
            expected_generation=0,
            op_id="first",
        )
    )

    seen = await asyncio.to_thread(look, house.home)

    assert {line.instance.instance: line.weight for line in seen.services} == {
        "r1.0": FULL,
        "other.0": FULL,
    }


async def test_restart_brings_one_after_the_other_back(house: House):
    await Host(house.home).ensure()
    before = []
    for name in ("r1.0", "r1.1"):
        await house.start(name=name)
        before.append(await house.ready(name))
    told: list[str] = []
    after = await asyncio.to_thread(restart_all, house.home, "shop", told.append)

    assert [each.state for each in after] == ["ready", "ready"]
    assert told == ["restarting r1.0", "restarting r1.1"]
    assert not {each.pid for each in after} & {each.pid for each in before}


async def test_a_forgotten_service_is_gone_and_its_port_is_free(house: House):
    await Host(house.home).ensure()
    await house.start(name="r1.0")
    before = await house.ready("r1.0")
    told: list[str] = []
    target = await asyncio.to_thread(forget_all, house.home, "shop", told.append)
    seen = await asyncio.to_thread(look, house.home)

    assert target == before.target
    assert told == ["stopping r1.0"]
    assert seen.services == ()
    assert seen.host.targets == {}


async def test_restart_stops_at_the_first_that_does_not_come_back(house: House, tmp_path: Path):
    await Host(house.home).ensure()
    sick = tmp_path / "sick"
    patient = house.start("starts=" + str(tmp_path / "starts"), f"sick={sick}", name="r1.0")
    await patient
    await house.start(name="r1.1")
    await house.ready("r1.0")
    kept_on = await house.ready("r1.1")
    sick.write_text("500")
    after = await asyncio.to_thread(restart_all, house.home, "r1", lambda _: None)

    assert [each.state for each in after] == ["down"]
    assert (await house.ready("r1.1")).pid == kept_on.pid


async def test_logs_tell_what_was_written_and_what_happened(house: House):
    await Host(house.home).ensure()
    await house.start("exit=78")
    await house.becomes(lambda each: each.state == "crash_loop")
    lines = await asyncio.to_thread(lambda: list(read_logs(house.home, "r1", 10, follow=False)))

    texts = [line.text for line in lines]
    assert "the last words" in texts
    assert any("exit code 78, a configuration error" in text for text in texts)
    assert not lines[0].several


async def test_logs_of_an_ended_instance_are_still_read(house: House):
    await Host(house.home).ensure()
    await house.start("chatter=30")
    await house.ready()

    async def written() -> bool:
        return "line 000029" in house.log("r1.0")

    await until(written)
    await house.sockets.stop("r1.0")
    lines = await asyncio.to_thread(lambda: list(read_logs(house.home, "r1.0", 3, follow=False)))

    assert len(lines) == 3
    assert "stopping" in lines[-1].text


async def test_followed_logs_show_what_is_added(house: House):
    await Host(house.home).ensure()
    await house.start()
    await house.ready()
    following = read_logs(house.home, "r1.0", 1, follow=True)
    first = await asyncio.to_thread(next, following)
    waiting = asyncio.create_task(asyncio.to_thread(next, following))
    await house.sockets.restart("r1.0")
    second = await waiting
    following.close()

    assert "ready" in first.text
    assert "a restart was asked for" in second.text


def test_without_a_host_the_commands_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    codes = [
        run(["service", "status"]), run(["service", "logs", "x"]), run(["service", "restart", "x"])
    ]  # fmt: skip

    told = capsys.readouterr().err
    assert codes == [5, 5, 5]
    assert told.count("`slipway up` starts it") == 3


async def test_the_command_line_shows_services(
    house: House, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SLIPWAY_HOME", str(house.home))
    await Host(house.home).ensure()
    await house.start()
    await house.publish(port, await house.ready())
    codes = [
        await asyncio.to_thread(run, ["service", "status"]),
        await asyncio.to_thread(run, ["service", "status", "--json"]),
        await asyncio.to_thread(run, ["service", "restart", "r1.0", "--json"]),
        await asyncio.to_thread(run, ["service", "logs", "r1.0", "-n", "1", "--json"]),
        await asyncio.to_thread(run, ["down"]),
        await asyncio.to_thread(run, ["down", "--services"]),
    ]

    told = capsys.readouterr().out
    assert codes == [0] * 6
    for word in (TARGET, f"127.0.0.1:{port}", "r1.0", "100 %", "ready", '"restarted"'):
        assert word in told
    assert f"what was deployed goes on (1 instance):\n  {TARGET} at 127.0.0.1:{port}\n" in told
    assert "1 instance ended; the next `slipway up` starts what was ended" in told


def test_a_supervisor_asked_for_by_hand_says_where_it_can_not_run(tmp_path: Path):
    (tmp_path / "host").write_text("in the way")
    told = subprocess.run(
        [sys.executable, "-P", "-m", "host", "--home", str(tmp_path)],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert told.returncode == 1
    assert "cannot be used" in told.stderr
    assert "Traceback" not in told.stderr


async def test_without_an_edge_shares_are_not_known(house: House, tmp_path: Path):
    await Host(house.home).ensure()
    await house.start()
    await house.ready()
    half = tmp_path / "half" / "host"
    half.mkdir(parents=True)
    (half / "host.sock").symlink_to(house.folder / "host.sock")
    seen = await asyncio.to_thread(look, tmp_path / "half")

    assert [line.weight for line in seen.services] == [None]
