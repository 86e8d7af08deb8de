"""Freeze windows: weekly and once, in the clock of a place, also when that clock jumps."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain.freeze import FreezeWindow, frozen_until_ms

BERLIN = "Europe/Berlin"


def window(begin: str, end: str, **fields: Any) -> FreezeWindow:
    return FreezeWindow.model_validate({"name": "w", "from": begin, "to": end, **fields})


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp() * 1000)


def until(each: FreezeWindow, now_ms: int) -> str:
    ends = frozen_until_ms(each, now_ms)
    return datetime.fromtimestamp(ends / 1000, UTC).strftime("%Y-%m-%dT%H:%M") if ends else ""


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T17:59", ""),
        ("2026-11-20T18:00", "2026-11-21T08:00"),  # a Friday
        ("2026-11-21T07:59", "2026-11-21T08:00"),
        ("2026-11-21T08:00", ""),
        ("2026-11-21T18:00", ""),  # a Saturday is not among the days
    ],
)
def test_a_weekly_window_goes_over_midnight_from_its_day(now: str, expected: str) -> None:
    assert until(window("18:00", "08:00", days=["fri"]), at(now)) == expected


def test_a_window_that_ends_when_it_begins_lasts_a_day() -> None:
    sunday = window("00:00", "00:00", days=["sun"])

    assert until(sunday, at("2026-11-22T12:00")) == "2026-11-23T00:00"
    assert until(sunday, at("2026-11-23T00:00")) == ""


def test_the_clock_is_that_of_the_place() -> None:
    lunch = window("12:00", "13:00", timezone="America/New_York")

    assert until(lunch, at("2026-11-20T17:30")) == "2026-11-20T18:00"
    assert until(lunch, at("2026-11-20T12:30")) == ""


def test_a_window_once_has_dates() -> None:
    holidays = window("2026-12-20T00:00", "2027-01-03T00:00", timezone=BERLIN)

    assert until(holidays, at("2026-12-31T12:00")) == "2027-01-02T23:00"
    assert until(holidays, at("2027-01-03T12:00")) == ""


def test_an_hour_that_comes_twice_is_frozen_twice() -> None:
    night = window("02:15", "02:45", timezone=BERLIN)  # clocks go back on 25 October 2026 at 3

    first, second = at("2026-10-25T02:30", BERLIN), at("2026-10-25T02:30", BERLIN, fold=1)

    assert second - first == 3_600_000
    assert until(night, first) == until(night, second) == "2026-10-25T01:45"


def test_a_window_that_ends_in_an_hour_that_does_not_come_still_ends() -> None:
    night = window("01:00", "02:30", timezone=BERLIN)  # on 29 March 2026 2:00 becomes 3:00

    assert until(night, at("2026-03-29T01:59", BERLIN)) == "2026-03-29T01:30"
    assert until(night, at("2026-03-29T03:31", BERLIN)) == ""


@pytest.mark.parametrize(
    ("begin", "end", "fields", "reason"),
    [
        ("18:00", "08:00", {"timezone": "Mars/Olympus"}, "no time zone"),
        ("18:00", "08:00", {"timezone": "../../etc/passwd"}, "no time zone"),
        ("18:00", "2026-12-01T00:00", {}, "neither a clock time"),
        ("25:00", "26:00", {}, "neither a clock time"),
        ("2026-12-02T00:00", "2026-12-01T00:00", {}, "ends before it begins"),
        ("2026-12-01T00:00+01:00", "2026-12-02T00:00", {}, "names an offset"),
    ],
)
def test_refuses_windows_that_mean_nothing(
    begin: str, end: str, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        window(begin, end, **fields)
