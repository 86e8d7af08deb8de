"""Several processes write one chain; some are killed while they do."""

import os
import signal
import subprocess
import sys
from collections import Counter

from domain.fact import BaseResolved
from integrations import tables
from starter.reads import read_audit
from tests.facts import facts
from tests.integrations.records.rows import rows

COMMAND = (sys.executable, "-m", "tests.integrations.records.writer")


def writer(url: str, name: str, count: int) -> subprocess.Popen[str]:
    """Start a writer that has opened the database and waits for a line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*COMMAND, url, name, str(count)], **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


async def test_two_processes_write_one_chain_without_gaps(database, url):
    await database.open()
    writers = [writer(url, name, 30) for name in ("one", "two")]
    for process in writers:
        go(process)
    assert [process.communicate()[0].count("\n") for process in writers] == [30, 30]

    report = await read_audit(url)
    events = await rows(url, tables.events)

    assert (report.problems, report.size) == ((), 2 * (1 + 30 * 3))
    assert [row["seq"] for row in events] == list(range(1, report.size + 1))
    keys = [row["key"] for row in events]
    assert Counter(keys) == {"one": 91, "two": 91}
    assert keys != sorted(keys)  # they did write at the same time


async def test_a_killed_writer_leaves_whole_operations_and_an_unbroken_chain(database, url):
    await database.open()
    told: list[int] = []
    for number in range(5):
        process = writer(url, f"idea-{number}", 1_000_000)
        go(process)
        told.append(max(int(process.stdout.readline()) for _ in range(3 + number)))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()

    await database.append(facts("after", BaseResolved(base_sha="b"), key="idea-0"))
    report = await read_audit(url)
    events = await rows(url, tables.events)

    assert report.problems == ()
    operations = Counter(row["op"] for row in events if row["kind"] == "base_resolved")
    assert operations.pop("after") == 1
    assert set(operations.values()) == {3}
    for number, last in enumerate(told):
        assert operations[f"idea-{number}/{last}"] == 3  # what was acknowledged is there
    assert events[-1]["op"] == "after"
