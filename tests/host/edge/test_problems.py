"""The edge's own log: a line per problem, never a flood, never the end of traffic."""

from pathlib import Path

import pytest

from host.edge import problems
from host.edge.problems import LINES, STRETCH_S, Problems


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a log sees; the last one counts."""
    seconds = [0.0]
    monkeypatch.setattr(problems.time, "monotonic", lambda: seconds[-1])
    return seconds


def test_leaves_out_what_nobody_can_read_and_says_so(tmp_path: Path, clock: list[float]):
    log = Problems(tmp_path / "edge.log")

    for at in range(100):
        log.tell("connect", f"number {at}")
    log.tell("answer", "another kind")
    clock.append(STRETCH_S)
    log.tell("connect", "later")

    lines = [line.split(" ", 1)[1] for line in (tmp_path / "edge.log").read_text().splitlines()]
    assert lines == [
        *(f"connect: number {at}" for at in range(LINES)),
        "answer: another kind",
        f"connect: {100 - LINES} further lines of this kind were left out",
        "connect: later",
    ]


def test_a_line_stays_one_line(tmp_path: Path):
    Problems(tmp_path / "edge.log").tell("answer", "a\r\nb\x1b[31m" + "x" * 9_000)

    text = (tmp_path / "edge.log").read_text()
    assert text.count("\n") == 1
    assert "answer: a  b [31mx" in text
    assert len(text) < 2_100


def test_a_long_log_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(problems, "LARGEST", 100)
    log = Problems(tmp_path / "edge.log")

    for at in range(LINES):
        log.tell(f"kind{at}", "x" * 60)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge.log", "edge.log.1"]


def test_a_log_that_can_not_be_written_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    Problems(tmp_path / "none" / "edge.log").tell("disk", "gone")

    assert "disk: gone" in capfd.readouterr().err
