"""Freeze windows: when a merge or a deployment has to wait, in the clock of a place."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from domain.record import Record

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


class FreezeWindow(Record):
    """Weekly (`from: "18:00"`, `to: "08:00"`, `days`) or once (`from: 2026-12-20T00:00`, `to`).

    A weekly window begins on each of `days`; one whose end is not after its begin ends on the
    next day. Both ends are wall-clock times in `timezone`.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    phases: tuple[Literal["merge", "deploy"], ...] = ("merge", "deploy")
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    days: tuple[Day, ...] = DAYS
    timezone: str = "UTC"

    model_config = {"populate_by_name": True}

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        zone(self.timezone)
        if self.is_weekly:
            return self
        begin, end = _moment(self.begin), _moment(self.end)
        if end <= begin:
            raise ValueError(f"the window {self.name} ends before it begins")
        return self

    @property
    def is_weekly(self) -> bool:
        return bool(_CLOCK.fullmatch(self.begin) and _CLOCK.fullmatch(self.end))


def zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database; raises `ValueError` for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name[:60]!r}; write one like Europe/Berlin"
        ) from None


def frozen_until_ms(window: FreezeWindow, now_ms: int) -> int:
    """Return when the window that holds now ends, in milliseconds since 1970; 0: none holds.

    Where clocks jump a time comes twice or not at all: then a window begins at the earlier
    reading and ends at the later one, so a freeze is never shorter than the wall clock says.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    ends = [end for begin, end in _spans(window, now) if begin <= now < end]
    return int(max(ends).timestamp() * 1000) if ends else 0


def _spans(window: FreezeWindow, now: datetime) -> list[tuple[datetime, datetime]]:
    place = zone(window.timezone)
    if not window.is_weekly:
        return [_span(_moment(window.begin), _moment(window.end), place)]
    today = now.astimezone(place).date()
    days = (today + timedelta(days=shift) for shift in (-1, 0))
    return [_weekly(window, day, place) for day in days if DAYS[day.weekday()] in window.days]


def _weekly(window: FreezeWindow, day: date, place: ZoneInfo) -> tuple[datetime, datetime]:
    begin, end = time.fromisoformat(window.begin), time.fromisoformat(window.end)
    last = day if end > begin else day + timedelta(days=1)
    return _span(datetime.combine(day, begin), datetime.combine(last, end), place)


def _span(begin: datetime, end: datetime, place: ZoneInfo) -> tuple[datetime, datetime]:
    return min(_instants(begin, place)), max(_instants(end, place))


def _instants(wall: datetime, place: ZoneInfo) -> tuple[datetime, datetime]:
    """Return both readings of a wall-clock time; they differ where clocks jump."""
    first, second = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        text = f"{text[:40]!r} is neither a clock time like 18:00 nor a date like 2026-12-20T00:00"
        raise ValueError(text) from None
    if moment.tzinfo is not None:
        raise ValueError(f"{text[:40]!r} names an offset; the window has its own timezone")
    return moment
