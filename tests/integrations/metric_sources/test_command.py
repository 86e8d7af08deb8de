"""Numbers that a shell line prints, in the sandbox of builds."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.service import MetricSource
from integrations.metric_sources.reader import MetricReader
from integrations.process import Processes
from tests.integrations.metric_sources.scene import NEW, OLD, instance, plan, seen
from tests.processes import KEEPER, running

Read = Callable[..., tuple[MetricReader, list[str]]]
BOTH = (instance(OLD, "v1"), instance(NEW, "v2"))


@pytest.fixture(scope="module")
def processes() -> Processes:
    return Processes(sys.executable, KEEPER, "limits")


@pytest.fixture
def reader(processes: Processes, tmp_path: Path) -> tuple[MetricReader, list[str]]:
    told: list[str] = []
    return MetricReader(processes, lambda place, sha: tmp_path, told.append), told


def metric(line: str, unit: str = "") -> MetricSource:
    return MetricSource(name="jobs", source="command", query=line, unit=unit)


@pytest.mark.parametrize(
    "line",
    [
        'case {instance} in r0*) echo 2;; *) echo 3;; esac',
        'test "$SLIPWAY_VERSION" = v1 && echo 2 || echo 3 # {instance}',
        'echo on; echo; echo 7 s >&2; case {version} in v1) echo 2 jobs;; *) echo 3;; esac',
        '. ./numbers; eval echo \\$${SLIPWAY_VERSION} # {version}',
    ],
)  # fmt: skip
async def test_the_last_line_is_the_number(
    reader: tuple[MetricReader, list[str]], tmp_path: Path, line: str
):
    (tmp_path / "numbers").write_text("v1=2 v2=3\n")
    reading, told = reader

    assert await reading.read(plan(metric(line, "jobs")), seen(*BOTH)) == {"jobs": (2.0, 3.0)}
    assert told == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("echo {instance} is down >&2; exit 3", f"exit code 3: {NEW} is down"),
        ("true {instance}", "is no number and unit"),
        ("echo many {instance} of them", "is no number and unit"),
        ("echo many # {instance}", "is no number in its command's last line: 'many'"),
        ("echo nan # {instance}", "is nan"),
        ("echo -2 # {instance}", "is negative"),
        ("echo 3 ms # {instance}", "is in ms, declared is s"),
        ("kill -9 $$ # {instance}", "is not told by its command"),
    ],
)
async def test_what_is_no_number_is_told(
    reader: tuple[MetricReader, list[str]], line: str, why: str
):
    reading, told = reader

    assert await reading.read(plan(metric(line, "s")), seen(*BOTH)) == {}
    assert why in told[0].replace(OLD, NEW)


async def test_one_that_takes_too_long_is_ended(reader: tuple[MetricReader, list[str]]):
    reading, told = reader
    slow = metric("sleep 61.5; echo 1 # {instance}")

    assert await reading.read(plan(slow, tick=1), seen(*BOTH)) == {}
    assert "jobs did not come within 0.8 s" in told[0]
    assert running("sleep\x0061.5") == []


async def test_without_a_release_here_it_runs_in_an_empty_folder(processes: Processes):
    told: list[str] = []
    reading = MetricReader(processes, lambda place, sha: None, told.append)
    line = metric("ls | wc -l # {instance}")

    assert await reading.read(plan(line), seen(*BOTH)) == {"jobs": (0.0, 0.0)}
