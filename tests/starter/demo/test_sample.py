"""The sample service on its own, as the host runs it, and the ideas that change it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.idea import refusals
from domain.operation import AddFile, Operation, ReplaceFunction
from domain.plan import PlanTask
from domain.service_check import flaws
from starter.demo import HURTS, IDEA, PASSES
from starter.demo.repository import SAMPLE, declared, free_port, make_repository
from starter.intake import Wanted, take
from tests.processes import until

CLEAN = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


@asynccontextmanager
async def parcels(port: int, folder: Path = SAMPLE) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the service until the block ends."""
    words = (sys.executable, "-m", "parcels", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, env=CLEAN, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    assert b"listens" in await process.stderr.readline()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ask(port: int, *paths: str) -> list[bytes]:
    """Ask on one connection, all questions at once; the lines of the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in paths:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    writer.write(b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
    try:
        return (await reader.read()).split(b"\r\n")
    finally:
        writer.close()


def test_its_own_tests_pass():
    words = (sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", ".")
    done = subprocess.run(words, cwd=SAMPLE, env=CLEAN, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Ran 14 tests" in done.stderr


async def test_it_answers_what_comes_on_one_connection_in_order(unused_tcp_port):
    async with parcels(unused_tcp_port):
        lines = await ask(unused_tcp_port, "/price?grams=753", "/nowhere", "/price")

    states = [line for line in lines if b"HTTP/1.1" in line]
    assert [state.partition(b"HTTP/1.1 ")[2][:3] for state in states] == [
        b"200",
        b"404",
        b"400",
        b"200",
    ]
    assert any(b'"total": 499' in line for line in lines)


async def test_it_ends_well_when_it_is_told_to(unused_tcp_port):
    async with parcels(unused_tcp_port) as process:
        _, idle = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        process.send_signal(signal.SIGTERM)
        await until(lambda: process.returncode is not None)
        idle.close()

    assert process.returncode == 0


def test_its_service_is_declared_without_a_flaw_and_in_short_times():
    service = declared()

    assert flaws({"parcels": service}) == ()
    assert [step.weight for step in service.strategy.steps] == [20, 50, 100]
    assert (service.analysis.tick, service.strategy.bake) == (1, 8)


def test_a_port_that_is_taken_is_not_chosen(monkeypatch):
    first = free_port()
    taken = subprocess.Popen(  # whoever has it
        [sys.executable, "-c", _LISTEN, str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert taken.stdout is not None
        assert taken.stdout.readline() == b"listens\n"
        second = free_port()
    finally:
        taken.communicate()

    assert first < second
    assert free_port([f"127.0.0.1:{first}"]) > first


_LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("listens", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("file", [IDEA, PASSES, HURTS])
def test_an_idea_of_the_demo_is_complete(file, tmp_path):
    repository = make_repository(tmp_path, free_port())

    taken = take(Wanted(file=str(file), repo=str(repository)))

    assert () == taken.problems == refusals(taken.idea)


def test_the_third_idea_fails_between_the_rows_of_its_table_and_its_repair_nowhere(tmp_path):
    spec = take(Wanted(file=str(HURTS), repo=str(make_repository(tmp_path)))).idea.spec
    assert spec.repair is not None
    table = next(op for op in operations(spec.tasks) if isinstance(op, AddFile))
    mended = next(op for op in operations(spec.repair.tasks) if isinstance(op, ReplaceFunction))
    tariff = (SAMPLE / "parcels" / "tariff.py").read_text().replace("calc", "price_of")
    tree = tmp_path / "tree" / "parcels"
    tree.mkdir(parents=True)
    (tree / "tariff.py").write_text(tariff)

    (tree / "table.py").write_text(table.text)
    assert wrong_prices(tree.parent) == 27_000
    (tree / "table.py").write_text(f"{table.text}\n\n{mended.code}")
    assert wrong_prices(tree.parent) == 0


def operations(tasks: tuple[PlanTask, ...]) -> list[Operation]:
    return [operation for task in tasks for operation in task.agent.operations]


def wrong_prices(folder: Path) -> int:
    """Return for how many weights the table has no price, or another one than the tariff."""
    words = (sys.executable, "-c", _COMPARE)
    done = subprocess.run(words, cwd=folder, env=CLEAN, capture_output=True, text=True, check=True)
    return int(done.stdout)


_COMPARE = """
from parcels.table import price_at_hand
from parcels.tariff import price_of

def at_hand(grams):
    try:
        return price_at_hand(grams)
    except KeyError:
        return None

print(sum(at_hand(grams) != price_of(grams) for grams in range(1, 30_001)))
"""
