"""Commands run under limits, in both tiers, and nothing of them is left behind."""

import asyncio
import json
import os
import signal
import socket
import sys
import uuid
from pathlib import Path

import pytest

from domain.command import CommandLimits, CommandOrder, CommandOutcome
from domain.errors import Misconfigured, Unavailable
from integrations.process import Processes
from integrations.sandbox import interpreter_paths
from tests.processes import KEEPER, running, until

TIERS = ("bwrap", "limits")
ABSENT = "/nonexistent/bwrap"


def at_tier(tier: str) -> Processes:
    return Processes(sys.executable, KEEPER, tier, "bwrap" if tier == "bwrap" else ABSENT)


@pytest.fixture(scope="module", params=TIERS)
def processes(request: pytest.FixtureRequest) -> Processes:
    return at_tier(request.param)


@pytest.fixture(scope="module")
def boxed() -> Processes:
    return at_tier("bwrap")


@pytest.fixture(scope="module")
def limited() -> Processes:
    return at_tier("limits")


@pytest.fixture
def token() -> str:
    """A word that no other process of this host has on its command line."""
    return f"31{uuid.uuid4().int % 10**12:012d}"


def shell(tmp_path: Path, line: str, **fields: object) -> CommandOrder:
    return ordered(tmp_path, ("/bin/sh", "-c", line), **fields)


def script(tmp_path: Path, text: str, **fields: object) -> CommandOrder:
    argv = (sys.executable, "-I", "-S", "-c", text)
    return ordered(tmp_path, argv, readable=interpreter_paths(), **fields)


def ordered(tmp_path: Path, argv: tuple[str, ...], **fields: object) -> CommandOrder:
    for name in ("work", "home"):
        (tmp_path / name).mkdir(exist_ok=True)
    order = {
        "argv": argv,
        "folder": str(tmp_path / "work"),
        "home": str(tmp_path / "home"),
        "output": str(tmp_path / "output"),
        **fields,
    }
    return CommandOrder.model_validate(order)


def said(outcome: CommandOutcome) -> str:
    return Path(outcome.output).read_text(errors="replace")


async def test_tells_output_exit_code_and_tier(processes, tmp_path):
    order = shell(tmp_path, "echo out; echo err >&2; pwd; exit 7")

    outcome = await processes.run(order)

    assert (outcome.ended, outcome.exit_code) == ("exited", 7)
    assert said(outcome) == f"out\nerr\n{tmp_path}/work\n"
    assert outcome.tier == await processes.tier()


async def test_tells_that_a_program_does_not_exist(processes, tmp_path):
    outcome = await processes.run(ordered(tmp_path, ("no-such-program-here",)))

    assert outcome.exit_code != 0
    assert "no-such-program-here" in said(outcome)


async def test_passes_nothing_of_the_workers_environment(processes, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKER_SECRET", "hush")
    order = shell(tmp_path, "env", env={"GIVEN": "a b\n'c'"})

    outcome = await processes.run(order)

    names = {line.partition("=")[0] for line in said(outcome).splitlines() if "=" in line}
    assert names - {"PWD"} == {"HOME", "PATH", "TMPDIR", "LANG", "GIVEN", "SLIPWAY_RUN"}
    assert "GIVEN=a b\n'c'\n" in said(outcome)


async def test_leaves_open_no_descriptor_but_the_standard_ones_and_events(processes, tmp_path):
    outcome = await processes.run(shell(tmp_path, "ls /proc/self/fd | tr '\\n' ' '"))

    assert said(outcome).split() == ["0", "1", "2", "3", "4"]  # 4: the folder that ls reads


async def test_gives_an_empty_standard_input(processes, tmp_path):
    outcome = await processes.run(shell(tmp_path, "cat; echo end"))

    assert said(outcome) == "end\n"


async def test_hands_events_over_and_keeps_them(processes, tmp_path):
    line = """echo '{"n": 1}' >&3; echo 'not json' >&3; echo '[2]' >&3; printf '{"n": 3}\\n' >&3"""
    heard: list[dict[str, object]] = []

    outcome = await processes.run(
        shell(tmp_path, line, events=str(tmp_path / "events")), heard.append
    )

    assert heard == [{"n": 1}, {"n": 3}]
    kept = (tmp_path / "events").read_text().splitlines()
    assert [json.loads(event) for event in kept] == heard
    assert outcome.events == 2


async def test_survives_a_flood_of_events(processes, tmp_path):
    text = """
import os
line = b'{"text": "' + b"x" * 1000 + b'"}\\n'
for _ in range(20000):
    os.write(3, line)
os.write(3, b"y" * 1_000_000)
"""
    heard: list[dict[str, object]] = []

    outcome = await processes.run(script(tmp_path, text), heard.append)

    assert outcome.exit_code == 0
    assert outcome.events == 20_000
    assert 0 < len(heard) < 2_000


async def test_lets_the_command_write_its_folder_as_its_owner(processes, tmp_path):
    order = shell(tmp_path, "mkdir a && echo 1 > a/b && chmod 755 a/b && echo 2 > $HOME/c")

    outcome = await processes.run(order)

    assert outcome.exit_code == 0, said(outcome)
    assert (tmp_path / "work/a/b").stat().st_uid == os.getuid()
    assert (tmp_path / "home/c").read_text() == "2\n"


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
async def test_ends_a_command_that_takes_too_long(processes, tmp_path, token, stubborn):
    limits = CommandLimits(wall_seconds=0.3)
    line = f"{stubborn}sleep {token}; sleep {token}; sleep {token}"

    outcome = await processes.run(shell(tmp_path, line, limits=limits))

    assert outcome.ended == "timeout_wall"
    assert running(token) == []
    assert outcome.seconds < 6


async def test_gives_a_command_time_to_tidy_up(processes, tmp_path):
    limits = CommandLimits(wall_seconds=0.3)
    line = "trap 'echo tidy; exit 3' TERM; while true; do sleep 0.02; done"

    outcome = await processes.run(shell(tmp_path, line, limits=limits))

    assert outcome.ended == "timeout_wall"
    assert "tidy" in said(outcome)


async def test_ends_a_command_that_falls_silent(processes, tmp_path, token):
    limits = CommandLimits(idle_seconds=0.4, wall_seconds=60)

    outcome = await processes.run(shell(tmp_path, f"echo 1; sleep {token}", limits=limits))

    assert outcome.ended == "timeout_idle"
    assert running(token) == []


async def test_counts_changed_files_as_activity(processes, tmp_path):
    limits = CommandLimits(idle_seconds=0.6, wall_seconds=60)
    line = "mkdir d; for n in 1 2 3 4 5 6 7 8 9 10; do echo $n > d/f; sleep 0.2; done"

    outcome = await processes.run(shell(tmp_path, line, limits=limits))

    assert (outcome.ended, outcome.exit_code) == ("exited", 0)
    assert outcome.seconds > 1.5


async def test_ends_a_tree_that_takes_too_much_memory(processes, tmp_path):
    limits = CommandLimits(memory_mib=200, wall_seconds=60)
    text = "import time; hoard = [bytearray(1 << 20) for _ in range(400)]; time.sleep(60)"

    outcome = await processes.run(script(tmp_path, text, limits=limits))

    assert outcome.ended == "memory"
    assert outcome.peak_memory_mib > 200


async def test_ends_a_fork_bomb(processes, tmp_path, token):
    limits = CommandLimits(processes=40, wall_seconds=60)
    line = f"while :; do sleep {token} & done"

    outcome = await processes.run(shell(tmp_path, line, limits=limits))

    assert outcome.ended == "processes"
    assert running(token) == []


async def test_keeps_head_and_tail_of_a_gigabyte_of_output(processes, tmp_path):
    limits = CommandLimits(output_bytes=100_000)
    line = "echo first; head -c 1000000000 /dev/zero; echo last"

    outcome = await processes.run(shell(tmp_path, line, limits=limits))

    assert (outcome.exit_code, outcome.truncated) == (0, True)
    assert said(outcome).startswith("first\n")
    assert said(outcome).endswith("last\n")
    assert "bytes dropped" in said(outcome)
    assert len(said(outcome)) < 101_000


async def test_keeps_output_whole_below_the_cap(processes, tmp_path):
    outcome = await processes.run(
        shell(tmp_path, "head -c 90000 /dev/zero", limits=CommandLimits(output_bytes=100_000))
    )

    assert not outcome.truncated
    assert said(outcome) == "\0" * 90_000


async def test_refuses_a_file_above_the_limit(processes, tmp_path):
    limits = CommandLimits(file_bytes=1_000_000)

    outcome = await processes.run(
        shell(tmp_path, "head -c 2000000 /dev/zero > big; echo $?", limits=limits)
    )

    assert (tmp_path / "work/big").stat().st_size == 1_000_000
    assert said(outcome).split()[-1] != "0"


async def test_ends_a_daemon_that_outlives_the_command(processes, tmp_path, token):
    text = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2, 3):
            os.close(fd)
        os.execv("/bin/sleep", ["sleep", "{token}"])
    os._exit(0)
os.wait()
while not os.path.exists("/proc/self") or "{token}" not in "".join(
    open(f"/proc/{{p}}/cmdline").read() for p in os.listdir("/proc")
    if p.isdigit() and p != str(os.getpid()) and os.path.exists(f"/proc/{{p}}/cmdline")
):
    time.sleep(0.01)
"""
    outcome = await processes.run(script(tmp_path, text))

    assert (outcome.ended, outcome.exit_code) == ("exited", 0), said(outcome)
    assert running(f"sleep\0{token}") == []
    assert outcome.leftovers >= (1 if outcome.tier.name == "limits" else 0)


async def test_counts_no_leftovers_of_an_ordinary_command(processes, tmp_path):
    outcome = await processes.run(shell(tmp_path, "sleep 0.05 & wait; ls | cat"))

    assert outcome.leftovers == 0


async def test_ends_the_tree_before_a_cancelled_run_raises(processes, tmp_path, token):
    running_command = asyncio.create_task(
        processes.run(shell(tmp_path, f"trap '' TERM; (setsid sleep {token} &); sleep {token}"))
    )
    await until(lambda: len(running(f"sleep\0{token}")) == 2)

    running_command.cancel()
    await asyncio.sleep(0)
    running_command.cancel()  # impatient callers do not make it leave early
    with pytest.raises(asyncio.CancelledError):
        await running_command

    assert running(token) == []


async def test_a_cancelled_run_leaves_no_temporary_output(processes, tmp_path, token, monkeypatch):
    await processes.tier()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    order = shell(tmp_path, f"sleep {token}", output="")
    running_command = asyncio.create_task(processes.run(order))
    await until(lambda: running(f"sleep\0{token}") != [])

    running_command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running_command

    assert list((tmp_path / "temporary").iterdir()) == []


async def test_a_probe_that_is_cut_short_does_not_lower_the_tier(tmp_path):
    slow = tmp_path / "bwrap"
    slow.write_text("#!/bin/sh\nkill -9 $PPID; sleep 10\n")  # its keeper is killed
    slow.chmod(0o755)

    with pytest.raises(Unavailable):
        await Processes(sys.executable, KEEPER, "limits", str(slow)).tier()


HOLDER = """
import asyncio, sys
from domain.command import CommandOrder
from integrations.process import Processes
order = CommandOrder.model_validate_json(sys.argv[3])
asyncio.run(Processes(sys.executable, sys.argv[1], "limits", sys.argv[2]).run(order))
"""


@pytest.mark.parametrize("bwrap", ["bwrap", ABSENT])
async def test_ends_the_tree_when_the_worker_is_killed(tmp_path, token, bwrap):
    order = shell(tmp_path, f"trap '' TERM; (setsid sleep {token} &); sleep {token}")
    words = [sys.executable, "-c", HOLDER, KEEPER, bwrap, order.model_dump_json()]
    worker = await asyncio.create_subprocess_exec(*words)
    await until(lambda: len(running(f"sleep\0{token}")) == 2)
    worker.kill()
    await worker.wait()

    await until(lambda: running(token) == [], seconds=6)


def keeper_of(pid: int) -> int:
    """Return the keeper above a process."""
    while pid > 1:
        if KEEPER.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    raise LookupError("no keeper above")


async def test_namespace_dies_with_a_killed_keeper(boxed, tmp_path, token):
    running_command = asyncio.create_task(
        boxed.run(shell(tmp_path, f"(setsid sleep {token} &); sleep {token}"))
    )
    await until(lambda: len(running(f"sleep\0{token}")) == 2)

    os.kill(keeper_of(running(f"sleep\0{token}")[0]), signal.SIGKILL)

    assert (await running_command).ended == "lost"
    await until(lambda: running(token) == [])


async def test_next_run_ends_what_a_killed_keeper_left(limited, tmp_path, token):
    """The residue of tier limits: a daemon outlives its killed keeper, until it is looked for."""
    lock = tmp_path / "lock"
    line = f"(setsid sleep {token} &); exec sleep {token}"
    running_command = asyncio.create_task(limited.run(shell(tmp_path, line, lock=str(lock))))
    await until(lambda: len(running(f"sleep\0{token}")) == 2)
    keeper = keeper_of(running(f"sleep\0{token}")[0])

    os.kill(keeper, signal.SIGKILL)
    assert (await running_command).ended == "lost"
    await until(lambda: len(running(f"sleep\0{token}")) == 1)
    await limited.settle(lock)

    assert running(token) == []


async def test_second_run_under_a_lock_ends_the_first(processes, tmp_path, token):
    lock = str(tmp_path / "lock")
    first = asyncio.create_task(
        processes.run(shell(tmp_path, f"sleep {token}", lock=lock, output=str(tmp_path / "1")))
    )
    await until(lambda: running(f"sleep\0{token}") != [])

    second = await processes.run(shell(tmp_path, f"pgrep -f 'sleep {token}' | wc -l", lock=lock))

    assert (await first).ended == "cancelled"
    assert second.exit_code == 0
    assert running(f"sleep\0{token}") == []


async def test_settling_an_idle_lock_is_harmless(limited, tmp_path):
    await limited.settle(tmp_path / "never-taken")
    outcome = await limited.run(shell(tmp_path, "echo 1", lock=str(tmp_path / "lock")))
    await limited.settle(tmp_path / "lock")

    assert outcome.exit_code == 0


async def test_sandbox_hides_files_processes_and_network(boxed, tmp_path):
    (tmp_path / "secret").write_text("hush")
    text = f"""
import os, socket
for path in ("{tmp_path}/secret", "/etc/shadow", "/proc/{os.getpid()}/environ"):
    try:
        print(path, "READ", open(path).read() if not os.path.isdir(path) else os.listdir(path))
    except OSError:
        print(path, "hidden")
try:
    socket.create_connection(("127.0.0.1", {{port}}), timeout=2)
    print("CONNECTED")
except OSError:
    print("no network")
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = text.replace("{port}", str(server.getsockname()[1]))
        outcome = await boxed.run(script(tmp_path, text))

    assert outcome.exit_code == 0, said(outcome)
    assert "hush" not in said(outcome)
    assert "READ" not in said(outcome)
    assert said(outcome).endswith("no network\n")


async def test_sandbox_shows_what_is_named_and_nothing_can_be_written_there(boxed, tmp_path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown/file").write_text("seen\n")
    line = f"cat {tmp_path}/shown/file; echo x > {tmp_path}/shown/new; echo y > /usr/new; :"

    outcome = await boxed.run(shell(tmp_path, line, readable=(str(tmp_path / "shown"),)))

    assert said(outcome).startswith("seen\n")
    assert list((tmp_path / "shown").iterdir()) == [tmp_path / "shown/file"]


async def test_sandbox_lets_further_folders_be_written(boxed, tmp_path):
    (tmp_path / "more").mkdir()

    await boxed.run(
        shell(tmp_path, f"echo x > {tmp_path}/more/new", writable=(str(tmp_path / "more"),))
    )

    assert (tmp_path / "more/new").read_text() == "x\n"


async def test_sandbox_has_network_only_when_ordered(boxed, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"import socket; socket.create_connection(('127.0.0.1', {port})); print('in')"
        outcome = await boxed.run(script(tmp_path, text, network=True))

    assert said(outcome) == "in\n"


async def test_claims_are_what_the_sandbox_was_seen_to_hold(boxed, limited):
    assert (await boxed.tier()).claims == ("read", "write", "metadata", "net", "ipc", "signal")
    assert (await limited.tier()).claims == ()


async def test_without_a_sandbox_the_secrets_of_others_can_be_read(limited, tmp_path):
    """The residue of tier limits, written down as what really happens."""
    (tmp_path / "secret").write_text("hush")

    outcome = await limited.run(
        shell(tmp_path, f"cat {tmp_path}/secret; tr '\\0' '\\n' < /proc/{os.getpid()}/environ")
    )

    assert "hush" in said(outcome)
    assert "PATH=" in said(outcome)


async def test_refuses_a_host_below_the_minimum_tier(tmp_path):
    processes = Processes(sys.executable, KEEPER, "bwrap", ABSENT)

    with pytest.raises(Misconfigured) as refused:
        await processes.run(shell(tmp_path, "true"))

    assert refused.value.problem.code == "tier_too_low"
