"""The keeper by itself, spoken to over its two pipes."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.command import CommandLimits
from tests.processes import KEEPER

NOBODY = 65_534
# An interpreter that only root can read has loaded all it needs before it steps down.
UNPRIVILEGED = """
import ctypes, contextlib, collections.abc, fcntl, json, os, pathlib, resource, select
import selectors, signal, sys, time, typing
source = compile(open(sys.argv[1]).read(), sys.argv[1], "exec")
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
exec(source)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that belongs to nobody, so that a keeper without privileges can work in it."""
    with tempfile.TemporaryDirectory() as name:
        if os.getuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def order(folder: Path, line: str, **fields: object) -> bytes:
    given: dict[str, Any] = {
        "argv": ["/bin/sh", "-c", line], "env": {"PATH": "/usr/bin:/bin"}, "folder": str(folder),
        "output": str(folder / "output"), "events": "", "lock": "", "mark": "m", "wrapped": False,
        "limits": CommandLimits(wall_seconds=30).model_dump(), **fields,
    }  # fmt: skip
    return json.dumps(given).encode() + b"\n"


def keep(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")


def outcome(process: subprocess.Popen[bytes], text: bytes) -> dict[str, Any]:
    """Give the order, keep the control pipe open, and return the outcome."""
    with process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(text)
        process.stdin.flush()
        told: dict[str, dict[str, Any]] = json.loads(process.stdout.readline() or b"{}")
    return told["outcome"]


def test_without_an_order_nothing_is_started():
    done = subprocess.run([sys.executable, "-I", "-S", KEEPER], input=b"", capture_output=True)

    assert (done.returncode, done.stdout) == (0, b"")


def test_half_an_order_starts_nothing(folder):
    words = [sys.executable, "-I", "-S", KEEPER]
    half = order(folder, "touch started")[:-1]

    done = subprocess.run(words, input=half, capture_output=True)

    assert (done.returncode, done.stdout) == (0, b"")
    assert list(folder.iterdir()) == []


def test_an_order_and_the_end_at_once_end_the_command(folder):
    words = [sys.executable, "-I", "-S", KEEPER]

    done = subprocess.run(words, input=order(folder, "sleep 60"), capture_output=True)

    assert json.loads(done.stdout)["outcome"]["ended"] == "cancelled"


def test_a_folder_that_does_not_exist_is_told(folder):
    text = order(folder, "true").replace(
        f'"folder": "{folder}"'.encode(), f'"folder": "{folder}/absent"'.encode()
    )

    told = outcome(keep(sys.executable, "-I", "-S", KEEPER), text)

    assert (told["ended"], told["exit_code"]) == ("exited", 126)
    assert "absent" in (folder / "output").read_text()


def test_the_command_does_not_inherit_the_keepers_priority(folder):
    told = outcome(
        keep(sys.executable, "-I", "-S", KEEPER),
        order(folder, "cat /proc/self/sched | grep policy; grep -i prio /proc/self/sched"),
    )

    assert told["exit_code"] == 0
    words = (folder / "output").read_text().split()
    assert words[words.index("policy") + 2] == "0"  # SCHED_OTHER


def test_without_privileges_the_kernel_caps_the_number_of_processes(folder):
    words = (sys.executable, "-I", "-S", "-c", UNPRIVILEGED, KEEPER)

    told = outcome(keep(*words), order(folder, "id -u; grep 'Max processes' /proc/self/limits"))

    assert told["exit_code"] == 0, (folder / "output").read_text()
    uid, *limits = (folder / "output").read_text().split()
    assert uid != "0"
    assert 4_096 <= int(limits[2]) < 100_000


async def test_the_order_may_be_large(folder):
    text = order(folder, "echo ${#LARGE}", env={"PATH": "/usr/bin:/bin", "LARGE": "x" * 100_000})

    told = await asyncio.to_thread(outcome, keep(sys.executable, "-I", "-S", KEEPER), text)

    assert told["exit_code"] == 0
    assert (folder / "output").read_text() == "100000\n"
