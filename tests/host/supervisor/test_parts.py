"""The supervisor's parts alone: pauses, logs, ports, probes, who belongs to whom."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from host.supervisor import logs, restarts
from host.supervisor.census import MARK, Census, Identity, boot_id, identity, lives, look
from host.supervisor.ending import end_all
from host.supervisor.fleet import Fleet
from host.supervisor.folder import Folder, hold, write_whole
from host.supervisor.ports import choose, holder, holders, ports_of
from host.supervisor.probing import probe
from host.supervisor.running import Running, spawn
from tests.host.supervisor.house import order, until


def test_pauses_double_up_to_a_minute_and_the_first_restart_is_at_once():
    assert restarts.pause(0, 0.5) == 0
    assert [restarts.pause(tries, 0.5) for tries in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [restarts.pause(3, chance) for chance in (0, 1)] == [3.2, pytest.approx(4.8)]
    assert restarts.pause(100_000, 0.5) == 60


def test_a_restart_is_forgotten_after_ten_minutes():
    assert restarts.recent((0.0, 100.0, 500.0), 650.0) == (100.0, 500.0)


def test_a_log_is_turned_keeping_its_end_and_few_old_parts(tmp_path: Path):
    log = tmp_path / "a.log"
    for number in range(6):
        log.write_bytes(b"x" * 50 + str(number).encode() * 60)
        assert logs.turn(log, cap=100, keep=3)
    assert not logs.turn(log, cap=100, keep=3)

    assert log.read_bytes() == b""
    parts = {path.name: path.read_bytes() for path in tmp_path.glob("a.log.*")}
    assert sorted(parts) == ["a.log.1", "a.log.2", "a.log.3"]
    assert parts["a.log.1"] == b"x" * 40 + b"5" * 60
    assert parts["a.log.3"] == b"x" * 40 + b"3" * 60


def test_who_writes_a_log_writes_on_after_it_was_turned(tmp_path: Path):
    log = tmp_path / "a.log"
    descriptor = logs.open_log(log)
    os.write(descriptor, b"y" * 200)
    logs.turn(log, cap=100)
    os.write(descriptor, b"more")
    os.close(descriptor)

    assert log.read_bytes() == b"more"


def test_a_log_that_cannot_be_copied_is_emptied_all_the_same(tmp_path: Path):
    log = tmp_path / "a.log"
    log.write_bytes(b"z" * 200)
    (tmp_path / "a.log.1").mkdir()
    with pytest.raises(OSError, match="directory"):
        logs.turn(log, cap=100, keep=1)

    assert log.read_bytes() == b""


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(tmp_path: Path):
    logs.note(tmp_path, "a folder is no log")
    logs.note(tmp_path / "nowhere" / "a.log", "nor is this")
    logs.note(Path("/dev/full"), "nor a full disk")

    assert list(tmp_path.iterdir()) == []


def test_last_words_are_the_programs_own_and_new(tmp_path: Path):
    log = tmp_path / "a.log"
    log.write_text("old words\n")
    since = log.stat().st_size
    logs.note(log, "process 7 started")
    assert logs.last_words(log, since) == ""
    with log.open("a") as file:
        file.write("new words\n\n")
    logs.note(log, "down")

    assert logs.last_words(log, since) == "new words"
    assert logs.last_words(tmp_path / "none.log") == ""


def test_a_state_is_replaced_whole(tmp_path: Path):
    path = tmp_path / "state.json"
    write_whole(path, "one")
    write_whole(path, "two")

    assert path.read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_lock_is_held_once(tmp_path: Path):
    first = hold(tmp_path / "lock")
    assert first is not None
    assert hold(tmp_path / "lock") is None
    os.close(first)
    again = hold(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_a_port_is_chosen_that_nobody_has():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert holders(port) == {os.getpid()}
        assert str(os.getpid()) in holder(port)
        assert port in ports_of([os.getpid()])
    assert holder(port) == ""
    chosen = choose(range(20_000, 29_990))
    assert chosen in range(29_990, 30_000)


async def _answering(data: bytes, path: str = "/") -> str:
    """Probe a server that answers with these bytes and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        return await probe(server.sockets[0].getsockname()[1], path, 2)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", ""),
        (b"HTTP/1.1 399 Odd\r\nContent-Length: 5\r\n\r\nhello", ""),
        (b"HTTP/1.1 400 Bad\r\n\r\n", "is answered with 400"),
        (b"HTTP/1.1 503\r\n\r\n", "is answered with 503"),
        (b"SSH-2.0-OpenSSH\r\n", "is no HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "is no HTTP"),
        (b"", "the connection was closed"),
        (b"x" * 200_000, "no answer"),
    ],
)
async def test_an_answer_below_400_is_good(data: bytes, word: str):
    told = await _answering(data)

    assert word in told
    assert bool(word) == bool(told)


async def test_a_body_that_never_ends_changes_nothing():
    hold_open = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nand then")
        await hold_open.wait()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        told = await probe(server.sockets[0].getsockname()[1], "/", 0.3)
        hold_open.set()

    assert told == ""


def _python(code: str, **options: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", code]
    return subprocess.Popen(words, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload]


def test_a_process_is_told_from_a_later_one_with_its_number():
    child = _python("import time; time.sleep(600)")
    try:
        who = identity(child.pid)
        assert who is not None
        assert lives(who)
        assert not lives(who._replace(start=who.start + 1))
        assert not lives(who._replace(boot="another"))
    finally:
        child.kill()
        child.communicate()
    assert not lives(who)


def test_one_that_has_ended_and_was_not_reaped_does_not_live():
    child = _python("pass")
    assert child.stdout is not None
    child.stdout.read()
    deadline = time.monotonic() + 10
    while not ((seen := look(child.pid)) and seen.ended):
        assert time.monotonic() < deadline
    try:
        assert identity(child.pid) is None
    finally:
        child.communicate()


# Its first thread ends alone, the other one goes on and holds a file.
_HEADLESS = """
import ctypes, os, threading, time
def go_on():
    print(os.getpid(), flush=True)
    time.sleep(600)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_one_whose_first_thread_alone_has_ended_lives():
    child = _python(_HEADLESS)
    assert child.stdout is not None
    child.stdout.readline()
    deadline = time.monotonic() + 10
    try:
        while (seen := look(child.pid)) is None or seen.state != "Z":
            assert time.monotonic() < deadline
        assert identity(child.pid) is not None
    finally:
        child.kill()
        child.communicate()


# Leaves its session, its parent and its environment behind; says its number first.
_RUNAWAY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {})
    os._exit(0)
time.sleep(600)
"""


def test_one_that_leaves_everything_behind_is_known_if_it_was_seen_before():
    root = _python(_RUNAWAY, start_new_session=True, env={MARK: "m1"})
    assert root.stdout is not None
    runaway = int(root.stdout.readline())
    census = Census()
    try:
        who, far = identity(root.pid), look(runaway)
        assert who is not None
        assert far is not None
        known = Identity(boot_id(), runaway, far.start)
        census.take()
        without = {seen.pid for seen in census.family(who, "m1")}
        with_it = {seen.pid for seen in census.family(who, "m1", [known])}
        stranger = census.family(who._replace(start=who.start + 1), "another mark")
    finally:
        os.kill(runaway, 9)
        root.kill()
        root.communicate()

    assert root.pid in without
    assert runaway in with_it
    assert stranger == []


async def test_ending_reaches_what_is_forked_meanwhile(tmp_path: Path):
    code = (
        "import os, signal, time\n"
        "def again(*_):\n"
        "    if os.fork() == 0:\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, again)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    root = _python(code, start_new_session=True, env={MARK: "m2"})
    assert root.stdout is not None
    root.stdout.readline()
    who, census = identity(root.pid), Census()

    def members() -> list:
        census.take()
        return census.family(who, "m2")

    try:
        assert await end_all(members, 0.2)
        assert members() == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(root.pid, 9)
        root.communicate()


async def test_the_end_of_a_process_is_told_with_its_exit_code(tmp_path: Path):
    process = spawn(
        [sys.executable, "-c", "import sys; print('hi'); sys.exit(7)"],
        cwd="/", env={}, log=tmp_path / "log", files=64,
    )  # fmt: skip

    assert await process.ended() == 7
    assert process.over
    assert (tmp_path / "log").read_text() == "hi\n"
    with pytest.raises(ProcessLookupError):
        Running(process.who)


async def test_a_program_that_is_not_there_cannot_be_started(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        spawn(["/nowhere"], cwd="/", env={}, log=tmp_path / "log", files=64)


async def test_steps_of_the_wall_clock_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Folder(tmp_path / "host")
    folder.make()
    fleet = Fleet(folder, lambda _: None, lambda: 0)
    fleet.start(order())

    async def ready() -> bool:
        return fleet.seen()[0].state == "ready"

    await until(ready)
    before = fleet.seen()[0]
    try:
        for offset in (-86_400, 86_400, 10 * 365 * 86_400):
            _step(monkeypatch, offset)
            await _some_probes(fleet)
            assert fleet.seen()[0] == before
    finally:
        await fleet.end()


def _step(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + seconds * 10**9)


async def _some_probes(fleet: Fleet) -> None:
    """Wait until the instance was asked a few times more."""
    asked: list[float] = []
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def long_enough() -> bool:
        asked.append(loop.time())
        return loop.time() - begun > 0.4

    await until(long_enough)
    fleet.look()


def test_old_logs_of_ended_instances_are_dropped(tmp_path: Path):
    folder = Folder(tmp_path / "host")
    folder.make()
    old = time.time() - 30 * 86_400
    for name in ("r1.0.log", "r1.0.log.1", "edge.log", "fresh.0.log"):
        (folder.logs / name).write_text("x")
        if not name.startswith("fresh"):
            os.utime(folder.logs / name, (old, old))
    Fleet(folder, lambda _: None, lambda: 0).drop_old_logs()

    assert sorted(each.name for each in folder.logs.iterdir()) == ["edge.log", "fresh.0.log"]
