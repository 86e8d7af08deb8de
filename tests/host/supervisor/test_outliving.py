"""What is killed comes back, and what it looked after goes on meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domain.errors import Unavailable
from domain.hosting import HostState
from host.supervisor.census import identity, look, working_in
from tests.host.supervisor.house import TARGET, House, until
from tests.host.supervisor.load import Load


async def edge_pid(house: House) -> int:
    return (await house.sockets.status()).edge_pid


async def another_edge(house: House, old: int) -> HostState:
    async def serves() -> bool:
        try:
            await house.sockets.ping()
        except Unavailable:
            return False
        return await edge_pid(house) not in (0, old)

    await until(serves)
    return await house.sockets.status()


async def test_a_killed_supervisor_finds_everything_again_and_no_request_fails(
    house: House, port: int
):
    await house.start()
    before = await house.ready()
    await house.publish(port, before)
    edge = await edge_pid(house)

    async with Load(port) as load:
        await house.kill()
        await load.more(40)
        await house.open()
        after = await house.ready()

    assert load.failed == []
    assert (after.pid, after.address, after.restarts) == (before.pid, before.address, 0)
    assert (await house.sockets.status()).edge_pid == edge
    assert (await house.sockets.status()).targets == {TARGET: f"127.0.0.1:{port}"}


async def test_a_supervisor_that_is_ended_leaves_everything_running(house: House, port: int):
    await house.start()
    before = await house.ready()
    await house.publish(port, before)

    async with Load(port) as load:
        await house.leave()
        await load.more(40)
        await house.open()

    assert load.failed == []
    assert (await house.ready()).pid == before.pid


async def test_with_a_killed_edge_only_requests_in_flight_fail_and_new_ones_wait(
    house: House, port: int
):
    await house.start()
    await house.publish(port, await house.ready())
    edge = await edge_pid(house)

    async with Load(port, lanes=8) as load:
        os.kill(edge, signal.SIGKILL)
        killed = time.monotonic()
        await another_edge(house, edge)

    assert len(load.failed) <= 8
    assert all(each.at <= killed for each in load.failed)
    assert max(each.seconds for each in load.sent) < 5


async def test_an_edge_killed_after_the_supervisor_was_loses_no_connection_either(
    house: House, port: int
):
    # The new supervisor must hold the socket that the old one had bound.
    await house.start()
    await house.publish(port, await house.ready())
    await house.kill()
    await house.open()
    edge = await edge_pid(house)

    async with Load(port, lanes=8) as load:
        os.kill(edge, signal.SIGKILL)
        killed = time.monotonic()
        await another_edge(house, edge)

    assert all(each.at <= killed for each in load.failed)


async def test_an_edge_of_another_version_hands_over_and_no_request_fails(house: House, port: int):
    await house.start()
    await house.publish(port, await house.ready())
    old = await edge_pid(house)
    path = house.folder / "edge.json"

    async with Load(port, lanes=8) as load:
        await house.kill()
        path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "older"}))
        await house.open()
        now = await edge_pid(house)
        await until(ended(old))
        await load.more(40)

    assert now != old
    assert load.failed == []
    await house.kill()
    await house.open()
    assert await edge_pid(house) == now


@pytest.mark.parametrize("noted", [None, "{}", "of one that is gone"])
async def test_an_edge_that_was_not_written_down_is_found_by_who_answers(
    house: House, port: int, noted: str | None
):
    await house.start()
    await house.publish(port, await house.ready())
    edge, path = await edge_pid(house), house.folder / "edge.json"
    await house.kill()
    known = path.read_text()
    path.unlink()
    if noted is not None:
        path.write_text(known.replace(str(edge), "4194303") if noted != "{}" else noted)
    async with Load(port) as load:
        await house.open()
        await load.more(20)

    # It was of an unknown version, so another one has taken over; nobody noticed.
    assert load.failed == []
    await until(ended(edge))
    assert working_in(house.folder, "host.edge")[0].pid == await edge_pid(house)


async def test_an_edge_that_nobody_looks_after_is_ended(house: House):
    # The supervisor was killed as it had just started another one.
    words = [sys.executable, "-P", "-m", "host.edge", "--state", "edge", "--admin", "stray.sock"]
    stray = await asyncio.to_thread(subprocess.Popen, words, cwd=house.folder)
    await until(lambda: asyncio.to_thread((house.folder / "stray.sock").exists))
    edge = await edge_pid(house)
    await house.kill()
    await house.open()

    assert await asyncio.to_thread(stray.wait, 20) is not None
    assert await edge_pid(house) == edge


async def test_an_edge_that_cannot_be_replaced_stays(house: House, port: int):
    await house.start()
    await house.publish(port, await house.ready())
    old = await edge_pid(house)
    path = house.folder / "edge.json"

    async with Load(port) as load:
        await house.kill()
        path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "older"}))
        (house.folder / "logs" / "edge.log").rename(house.folder / "logs" / "away")
        (house.folder / "logs" / "edge.log").mkdir()  # its log cannot be opened
        await house.open()

    assert await edge_pid(house) == old
    assert load.failed == []
    assert "stays that of another version" in house.log("host")


async def test_an_edge_that_was_killed_while_no_supervisor_ran_is_started_with_its_ports(
    house: House, port: int
):
    await house.start()
    await house.publish(port, await house.ready())
    edge = await edge_pid(house)
    await house.kill()
    os.kill(edge, signal.SIGKILL)
    await until(ended(edge))

    await house.open()
    await another_edge(house, edge)

    async with Load(port) as load:
        await load.more(1)
    assert load.failed == []


def ended(pid: int):
    async def over() -> bool:
        return identity(pid) is None

    return over


async def test_a_service_that_died_while_no_supervisor_ran_is_started_again(house: House):
    await house.start()
    before = await house.ready()
    await house.kill()
    os.kill(before.pid, signal.SIGKILL)
    await until(ended(before.pid))
    await house.open()
    after = await house.ready()

    assert (after.restarts, after.address) == (1, before.address)
    assert "ended while no supervisor ran" in house.log("r1.0")


async def test_a_service_found_again_is_watched_as_before(house: House):
    await house.start()
    before = await house.ready()
    await house.kill()
    await house.open()
    os.kill(before.pid, signal.SIGKILL)
    after = await house.becomes(lambda each: each.state == "ready" and each.pid != before.pid)

    assert after.restarts == 1
    assert "an exit code that nobody could read" in house.log("r1.0")


async def test_a_service_found_again_can_be_stopped_with_all_its_children(
    house: House, tmp_path: Path
):
    word = f"child-of-{tmp_path.name}"
    await house.start(f"children={word}")
    before = await house.ready()
    await house.kill()
    await house.open()
    await house.sockets.stop("r1.0")

    assert look(before.pid) is None or identity(before.pid) is None


async def test_a_process_that_was_not_written_down_any_more_is_found_by_its_mark(house: House):
    await house.start()
    before = await house.ready()
    await house.kill()
    path = house.folder / "instances" / "r1.0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": 0, "boot": "", "start": 0}))
    await house.open()
    after = await house.ready()

    assert (after.pid, after.restarts) == (before.pid, 0)


async def test_another_process_with_the_number_of_ours_is_left_alone(house: House):
    await house.start()
    before = await house.ready()
    await house.kill()
    os.killpg(before.pid, signal.SIGKILL)
    await until(ended(before.pid))
    stranger = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    try:
        path = house.folder / "instances" / "r1.0.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": stranger.pid}))
        await house.open()
        after = await house.ready()
        await house.sockets.stop("r1.0")

        assert after.pid not in (before.pid, stranger.pid)
        assert stranger.returncode is None
        assert identity(stranger.pid) is not None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_after_a_reboot_everything_is_started_again_and_no_crash_is_counted(house: House):
    await house.start()
    before = await house.ready()
    await house.kill()
    os.killpg(before.pid, signal.SIGKILL)
    await until(ended(before.pid))
    path = house.folder / "instances" / "r1.0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "another boot"}))
    await house.open()
    after = await house.ready()

    assert (after.restarts, after.address) == (0, before.address)


async def test_a_stop_that_was_cut_short_is_finished_by_the_next_supervisor(house: House):
    await house.start("deaf=1", drain_s=2)
    before = await house.ready()
    stopping = asyncio.create_task(house.sockets.stop("r1.0"))
    await house.becomes(lambda each: each.state == "stopping")
    await house.kill()
    with pytest.raises(Unavailable):
        await stopping
    await house.open()

    async def none_left() -> bool:
        return await house.sockets.instances() == ()

    await until(none_left)
    assert identity(before.pid) is None


async def test_a_crash_loop_stays_one(house: House):
    await house.start("exit=78")
    await house.becomes(lambda each: each.state == "crash_loop")
    await house.kill()
    await house.open()

    assert (await house.see()).state == "crash_loop"


async def test_a_state_that_cannot_be_read_is_set_aside_and_the_others_are_kept(house: House):
    await house.start()
    await house.start(name="r2.0")
    kept = await house.ready("r2.0")
    lost = await house.ready("r1.0")
    await house.kill()
    (house.folder / "instances" / "r1.0.json").write_text('{"half": ')
    await house.open()

    assert [each.instance for each in await house.sockets.instances()] == ["r2.0"]
    assert (await house.ready("r2.0")).pid == kept.pid
    assert "was set aside" in house.log("host")
    os.killpg(lost.pid, signal.SIGKILL)


async def test_the_log_goes_on_while_no_supervisor_runs(house: House):
    await house.start("chatter=2000")
    await house.ready()
    await house.kill()

    async def all_written() -> bool:
        return "line 001999" in house.log("r1.0")

    await until(all_written)
    await house.open()
    assert (await house.ready()).restarts == 0
