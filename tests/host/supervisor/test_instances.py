"""Instances under a real supervisor: started once, watched, restarted, ended with all they left."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from domain.errors import Rejected
from domain.service import Limits, Probe, Ready
from host.supervisor.census import identity
from tests.host.supervisor.house import PROGRAM, House, holding, until


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_an_instance_becomes_ready_at_the_port_that_was_chosen_for_it(house: House):
    begun = await house.start("say=hello")
    seen = await house.ready()

    assert begun.state == "starting"
    assert begun.address == seen.address
    host, port = seen.address.split(":")
    assert host == "127.0.0.1"
    assert 20_000 <= int(port) < 30_000
    assert (seen.digest, seen.version, seen.restarts) == ("d1", "v1", 0)
    assert alive(seen.pid)


async def test_a_repeated_start_answers_the_present_state_and_starts_nothing(
    house: House, tmp_path: Path
):
    await house.start(f"starts={tmp_path / 'starts'}")
    seen = await house.ready()
    again = await house.start(f"starts={tmp_path / 'starts'}")

    assert again == seen
    assert len((tmp_path / "starts").read_text().splitlines()) == 1


async def test_the_same_instance_with_another_release_is_refused(house: House):
    await house.start()

    with pytest.raises(Rejected) as caught:
        await house.start(digest="d2")

    assert caught.value.problem.code == "other_digest"


@pytest.mark.parametrize("name", ["", "../r1", "a/b", "a b", "." * 3, "r" * 200])
async def test_a_name_that_could_leave_the_folder_is_refused(house: House, name: str):
    with pytest.raises(Rejected) as caught:
        await house.start(name=name)

    assert caught.value.problem.code == "bad_instance"


async def test_nothing_of_ours_is_in_its_environment(house: House, tmp_path: Path):
    await house.start(
        argv=("/bin/sh", "-c", f"env > {tmp_path / 'env'}; sleep 600"),
        env={"COLOUR": "blue", "AT": "127.0.0.1:{port}"},
    )
    await filled(tmp_path / "env")
    seen = await house.see()

    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    port = seen.address.split(":")[1]
    own = {name: found[name] for name in ("COLOUR", "AT", "PORT")}
    assert own == {"COLOUR": "blue", "AT": f"127.0.0.1:{port}", "PORT": port}
    ours = {name for name in found if name.startswith(("SLIPWAY_", "TEMPORAL_", "PYTEST", "PIP_"))}
    assert ours == {"SLIPWAY_MARK"}


async def filled(path: Path) -> None:
    """Wait until a file is there and has text."""

    async def has_text() -> bool:
        return bool(await asyncio.to_thread(lambda: path.exists() and path.read_text()))

    await until(has_text)


async def test_one_that_never_is_ready_says_so_and_starts_again(house: House):
    await house.start("silent=1", ready=Ready(interval=0.1, timeout=0.2, deadline=0.6))
    seen = await house.becomes(lambda each: each.state == "down")

    assert "not ready within 0.6 s: no answer within" in seen.reason
    again = await house.becomes(lambda each: each.restarts >= 1 and each.pid != 0)
    assert again.state == "down"


async def test_one_that_listens_on_another_port_is_told_which(house: House, port: int):
    await house.start(f"port={port}", ready=Ready(interval=0.1, timeout=0.2, deadline=1))
    seen = await house.becomes(lambda each: each.state == "down")

    assert f"it listens on {port} instead" in seen.reason


async def test_one_that_always_exits_ends_in_a_crash_loop_with_its_last_words(house: House):
    await house.start("exit=3", limits=Limits(restarts=1))
    seen = await house.becomes(lambda each: each.state == "crash_loop")

    assert seen.restarts == 1
    assert "ended with exit code 3; its last words: the last words" in seen.reason
    assert "1 restarts within ten minutes are enough" in seen.reason


async def test_a_configuration_error_is_not_tried_again(house: House, tmp_path: Path):
    await house.start("exit=78", f"starts={tmp_path / 'starts'}")
    seen = await house.becomes(lambda each: each.state == "crash_loop")

    assert "a configuration error" in seen.reason
    assert (seen.restarts, len((tmp_path / "starts").read_text().splitlines())) == (0, 1)


async def test_a_program_that_is_not_there_is_not_tried_again(house: House):
    await house.start(argv=("/nowhere/program", "{port}"))
    seen = await house.becomes(lambda each: each.state == "crash_loop")

    assert "cannot be started" in seen.reason
    assert "/nowhere/program" in seen.reason


async def test_a_restart_that_is_asked_for_ends_a_crash_loop(house: House, tmp_path: Path):
    starts = tmp_path / "starts"
    await house.start("exit=78", f"starts={starts}")
    await house.becomes(lambda each: each.state == "crash_loop")
    await house.sockets.restart("r1.0")

    async def tried_again() -> bool:
        return len(starts.read_text().splitlines()) == 2

    await until(tried_again)


async def test_a_killed_service_is_there_again_within_a_second_at_the_same_port(house: House):
    await house.start()
    before = await house.ready()
    os.kill(before.pid, signal.SIGKILL)
    killed = time.monotonic()
    after = await house.becomes(lambda each: each.state == "ready" and each.pid != before.pid)

    assert time.monotonic() - killed < 1.5
    assert (after.address, after.restarts) == (before.address, 1)


async def test_only_one_that_dies_again_is_called_down(house: House):
    # A judge takes a release back whose instance is down; a single kill is no evidence.
    await house.start()
    before = await house.ready()
    os.kill(before.pid, signal.SIGKILL)
    once = await house.becomes(lambda each: each.state != "ready")
    again = await house.ready()
    os.kill(again.pid, signal.SIGKILL)
    twice = await house.becomes(lambda each: each.state != "ready")

    assert (once.state, twice.state) == ("starting", "down")
    assert twice.reason == "was ended by signal 9"


async def test_one_that_answers_badly_is_restarted(house: House, tmp_path: Path):
    sick = tmp_path / "sick"
    await house.start(f"sick={sick}")
    before = await house.ready()
    sick.write_text("500")
    ill = await house.becomes(lambda each: each.state == "down")
    sick.unlink()
    after = await house.ready()

    assert "3 probes in a row failed: GET / is answered with 500" in ill.reason
    assert after.pid != before.pid
    assert after.failures == 0


async def test_one_that_hangs_is_restarted(house: House, tmp_path: Path):
    sick = tmp_path / "sick"
    await house.start(f"sick={sick}", health=Probe(interval=0.1, timeout=0.2, failures=2))
    await house.ready()
    sick.write_text("hang")
    ill = await house.becomes(lambda each: each.state == "down")

    assert "2 probes in a row failed: no answer within 0.2 s" in ill.reason


async def test_failed_probes_are_counted_before_it_is_called_down(house: House, tmp_path: Path):
    sick = tmp_path / "sick"
    await house.start(f"sick={sick}", health=Probe(interval=0.1, timeout=0.2, failures=100))
    await house.ready()
    sick.write_text("500")
    seen = await house.becomes(lambda each: each.failures >= 3)

    assert seen.state == "ready"
    assert "answered with 500" in seen.reason


async def test_one_that_uses_too_much_memory_is_restarted(house: House):
    await house.start("leak=1", limits=Limits(memory_mb=100))
    seen = await house.becomes(lambda each: each.restarts == 1)

    assert seen.reason.startswith("memory: ")
    assert "100 MB allowed" in seen.reason


async def test_one_that_ignores_the_request_to_end_is_killed(house: House):
    await house.start("deaf=1", drain_s=0.3)
    seen = await house.ready()
    begun = time.monotonic()
    ended = await house.sockets.stop("r1.0")

    assert 0.3 <= time.monotonic() - begun < 5
    assert ended.state == "gone"
    assert not alive(seen.pid)


async def test_nothing_that_it_started_outlives_it(house: House, tmp_path: Path):
    word = f"child-of-{tmp_path.name}"
    await house.start(f"children={word}")
    await house.ready()
    assert len(holding(word)) == 4  # three, and the service that named them
    await house.sockets.stop("r1.0")

    assert holding(word) == []


async def test_children_of_a_killed_service_are_gone_before_it_starts_again(
    house: House, tmp_path: Path
):
    word = f"child-of-{tmp_path.name}"
    await house.start(f"children={word}")
    before = await house.ready()
    os.kill(before.pid, signal.SIGKILL)
    await house.becomes(lambda each: each.state == "ready" and each.pid != before.pid)

    assert len(holding(word)) == 4


async def test_a_stop_of_what_is_not_there_is_fine_and_a_restart_is_refused(house: House):
    ended = await house.sockets.stop("r9.0")
    with pytest.raises(Rejected) as caught:
        await house.sockets.restart("r9.0")

    assert ended.state == "gone"
    assert caught.value.problem.code == "unknown_instance"


async def test_stopping_while_it_waits_to_start_again_ends_it(house: House):
    await house.start("exit=1")
    await house.becomes(lambda each: each.restarts >= 2)
    await asyncio.wait_for(house.sockets.stop("r1.0"), 3)

    assert await house.sockets.instances() == ()


async def test_a_log_is_turned_when_it_has_grown_and_old_parts_are_dropped(house: House):
    await house.start("chatter=40000")

    async def turned() -> bool:
        return (house.folder / "logs" / "r1.0.log.1").exists()

    await until(turned)
    parts = sorted((house.folder / "logs").glob("r1.0.log*"))
    assert len(parts) <= 4
    assert all(part.stat().st_size <= 8 * 1024 * 1024 + 45_000_000 for part in parts)
    assert b"line " in (house.folder / "logs" / "r1.0.log.1").read_bytes()


async def test_files_are_limited(house: House, tmp_path: Path):
    await house.start(
        argv=("/bin/sh", "-c", f"ulimit -n > {tmp_path / 'files'}; sleep 600"),
        limits=Limits(files=123),
    )
    await filled(tmp_path / "files")

    assert (tmp_path / "files").read_text().strip() == "123"


async def _say_well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


async def test_another_program_on_its_port_does_not_make_it_ready(house: House, tmp_path: Path):
    begun = await house.start(
        argv=("/bin/sh", "-c", f"echo up > {tmp_path / 'up'}; sleep 600"),
        ready=Ready(interval=0.1, timeout=1, deadline=60),
    )
    await filled(tmp_path / "up")
    port = int(begun.address.split(":")[1])
    async with await asyncio.start_server(_say_well, "127.0.0.1", port):
        seen = await house.becomes(lambda each: "not by this instance" in each.reason)

    assert seen.state == "starting"
    assert f"process {os.getpid()}" in seen.reason


async def test_it_waits_for_its_port_when_another_program_took_it(house: House):
    # Traffic may be routed to the port that it was ready at, so it gets no other one.
    await house.start()
    before = await house.ready()
    await house.kill()
    os.killpg(before.pid, signal.SIGKILL)

    async def gone() -> bool:
        return identity(before.pid) is None

    await until(gone)
    port = int(before.address.split(":")[1])
    async with await asyncio.start_server(_say_well, "127.0.0.1", port, reuse_address=True):
        await house.open()
        waiting = await house.becomes(lambda each: "is taken by" in each.reason)
    after = await house.ready()

    assert waiting.state == "down"
    assert f"its port {port} is taken by process {os.getpid()}" in waiting.reason
    assert after.address == before.address


async def test_its_first_start_avoids_a_port_that_was_taken_meanwhile(house: House):
    begun = await house.start("exit=1", limits=Limits(restarts=50))
    port = int(begun.address.split(":")[1])
    await house.becomes(lambda each: each.restarts >= 1)
    async with await asyncio.start_server(_say_well, "127.0.0.1", port, reuse_address=True):
        moved = await house.becomes(lambda each: each.address != begun.address)

    assert moved.address.startswith("127.0.0.1:2")


async def test_a_slow_start_within_its_time_is_no_failure(house: House, tmp_path: Path):
    await house.start(
        argv=("/bin/sh", "-c", f"sleep 1; exec {sys.executable} {PROGRAM} $PORT"),
    )
    seen = await house.ready()

    assert (seen.restarts, seen.reason) == (0, "")


async def test_a_full_disk_for_its_log_does_not_stop_it(house: House):
    (house.folder / "logs" / "r1.0.log").symlink_to("/dev/full")
    await house.start()
    seen = await house.ready()
    await house.sockets.restart("r1.0")
    again = await house.becomes(lambda each: each.state == "ready" and each.pid != seen.pid)

    assert again.restarts == 0
