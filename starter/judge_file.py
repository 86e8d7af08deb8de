"""Counts of two releases in a CSV or JSON file, read strictly into ticks."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from pydantic import Field

from config.document import Caps, Document, echo, place_of, refuse
from config.files import read, read_bytes
from config.shape import SHOWN, fit
from domain.errors import Problem, Refused
from domain.record import Record
from domain.service import Analysis
from domain.tick import Side, Tick

CAPS = Caps(size=32 * 1024 * 1024, parts=1_000_000)
_HINT = (
    "The columns are time, control_total, control_bad, canary_total, canary_bad, and if you like "
    "control_slow, canary_slow, weight"
)


class Row(Record):
    """What both releases did in the time that ends at `time`: seconds, or a date and time."""

    time: float | str
    control_total: int = Field(ge=0)
    control_bad: int = Field(ge=0)
    canary_total: int = Field(ge=0)
    canary_bad: int = Field(ge=0)
    control_slow: int = Field(default=0, ge=0)
    canary_slow: int = Field(default=0, ge=0)
    weight: float = Field(default=0, ge=0, le=100)  # per cent of the canary; 0: not known


class Rows(Record):
    ticks: tuple[Row, ...]


class Ticks(Record):
    ticks: tuple[Tick, ...]


class Counted(Record):
    """The ticks of a file, and whether it counts slow answers."""

    ticks: tuple[Tick, ...]
    slow: bool

    @property
    def tick_s(self) -> float:
        """The usual length of a tick in seconds."""
        lengths = [tick.ms / 1_000 for tick in self.ticks if tick.ms]
        return median(lengths) if lengths else Analysis().tick


Place = tuple[int, str]  # line, and how a message names it


def read_counts(path: Path) -> Counted:
    """Read a file of counts; raises `Refused` with the line and the column of what is wrong."""
    name, data = str(path), read_bytes(path, CAPS.size)
    if path.suffix.lower() == ".json" or data.lstrip()[:1] in (b"[", b"{"):
        return _read_json(data, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refuse(name, "not_utf8", "the text is not UTF-8", line) from None
    return _read_csv(text, name)


def _read_json(data: bytes, name: str) -> Counted:
    """Read a list of rows or of stored ticks, alone or under the key `ticks`."""
    document = read(data, name if name.endswith(".json") else f"{name}.json", caps=CAPS)
    if isinstance(document.value, list):
        lines = {("ticks", *path): line for path, line in document.lines.items()}
        document = Document({"ticks": document.value}, lines)
    if isinstance(document.find(("ticks", 0, "control"))[1], dict):
        stored = fit(document, Ticks, name).ticks
        return Counted(ticks=stored, slow=any(t.control.slow or t.canary.slow for t in stored))
    rows = fit(document, Rows, name).ticks
    lines_of = [document.line(("ticks", at)) for at in range(len(rows))]
    slow = any(
        document.find(("ticks", at, column))[0]
        for at in range(len(rows))
        for column in ("control_slow", "canary_slow")
    )
    return _counted(list(zip(lines_of, rows, strict=True)), name, slow=slow)


def _read_csv(text: str, name: str) -> Counted:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(next(reader, []), name)
        rows = list(_rows(reader, header, name))
    except csv.Error as error:
        raise refuse(name, "bad_csv", str(error), reader.line_num) from None
    return _counted(rows, name, slow=any(column.endswith("_slow") for column in header))


def _header(cells: Sequence[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    wanted = [column for column, field in Row.model_fields.items() if field.is_required()]
    for column in wanted:
        if column not in header:
            raise refuse(name, "no_column", f"the column {column} is missing", 1, hint=_HINT)
    for at, column in enumerate(header, start=1):
        if column not in Row.model_fields or header.index(column) != at - 1:
            text = f"column {at} ({echo(column, 40)}) is not known, or there twice"
            raise refuse(name, "unknown_column", text, 1, (column,), hint=_HINT)
    return header


def _rows(lines: Iterator[list[str]], header: list[str], name: str) -> Iterator[tuple[int, Row]]:
    """Yield rows with their line; raises `Refused` with all cells that are no numbers."""
    problems: list[Problem] = []
    for cells in lines:
        line = lines.line_num  # type: ignore[attr-defined]  # of csv.reader
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            text = f"there are {len(cells)} cells, and {len(header)} columns"
            raise refuse(name, "bad_row", text, line)
        found = [
            _cell(column, cell.strip(), f"{place_of(name, line)}, column {at}", line)
            for at, (column, cell) in enumerate(zip(header, cells, strict=True), start=1)
        ]
        problems += [each for each in found if isinstance(each, Problem)]
        if len(problems) >= SHOWN:
            break
        if not problems:
            yield line, Row.model_validate(dict(zip(header, found, strict=True)))
    if problems:
        raise Refused(tuple(problems[:SHOWN]))


def _cell(column: str, cell: str, place: str, line: int) -> float | int | str | Problem:
    """Return the value of a cell, or what is wrong with it."""
    if column == "time":
        return _number(cell, cell)
    wanted = "a number from 0 to 100" if column == "weight" else "a whole number, 0 or more"
    value = _number(cell, math.nan) if column == "weight" else _whole(cell)
    if isinstance(value, float) and not 0 <= value <= 100:
        text = f"{place}: `{column}` should be {wanted}, got {echo(cell)}"
        return Problem(code="bad_cell", message=text, path=column, line=line)
    return value


def _whole(cell: str) -> int | float:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= 18 else math.nan


def _number(cell: str, otherwise: float | str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return otherwise


def _counted(rows: list[tuple[int, Row]], name: str, *, slow: bool) -> Counted:
    """Return rows as ticks; raises `Refused` where times or counts cannot be true."""
    if not rows:
        raise refuse(name, "no_rows", "there is no row of counts", hint=_HINT)
    times = [_seconds(row.time, name, line) for line, row in rows]
    for (line, row), time, before in zip(rows, times, [-math.inf, *times], strict=False):
        if time <= before:
            text = "`time` should be later than in the row before"
            raise refuse(name, "time_order", text, line, ("time",))
        for side in ("control", "canary"):
            for kind in ("bad", "slow"):
                _check_part(row, side, kind, name, line)
    first = times[1] - times[0] if len(times) > 1 else Analysis().tick
    lengths = [first, *(b - a for a, b in pairwise(times))]
    ticks = tuple(
        _tick(at, row, time - times[0] + first, length)
        for at, ((_, row), time, length) in enumerate(zip(rows, times, lengths, strict=True))
    )
    return Counted(ticks=ticks, slow=slow)


def _check_part(row: Row, side: str, kind: str, name: str, line: int) -> None:
    part, whole = getattr(row, f"{side}_{kind}"), getattr(row, f"{side}_total")
    if part > whole:
        text = f"`{side}_{kind}` is {part}, more than the {whole} of `{side}_total`"
        raise refuse(name, "too_many", text, line, (f"{side}_{kind}",))


def _seconds(time: float | str, name: str, line: int) -> float:
    try:
        seconds = time if isinstance(time, float) else _moment(time)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        text = f"`time` should be seconds or a date and time, got {echo(time)}"
        hint = "For example 10, or 2026-05-04T12:00:10Z"
        raise refuse(name, "bad_time", text, line, ("time",), hint=hint)
    return seconds


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tick(at: int, row: Row, end: float, length: float) -> Tick:
    return Tick(
        rollout="file",
        step=0,
        seq=at,
        at_ms=round(end * 1_000),
        ms=round(length * 1_000),
        weight=round(row.weight * 100),
        control=_side(row.control_total, row.control_bad, row.control_slow),
        canary=_side(row.canary_total, row.canary_bad, row.canary_slow),
    )


def _side(total: int, bad: int, slow: int) -> Side:
    return Side(started=total, done=total, error=bad, errors=bad, slow=slow)
