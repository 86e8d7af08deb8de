"""The story of a rollout in words and times: what happened first, and how long it took."""

import time
from dataclasses import dataclass

from domain.deployment import FULL
from domain.rollout import RolloutState
from domain.rollout_view import RolloutRecord
from domain.tick import Tick
from starter.report.view import ReportView
from starter.words import duration

_TONES = {
    RolloutState.PASSED: "good",
    RolloutState.UNDONE: "bad",
    RolloutState.RESTORED_UNVERIFIED: "bad",
    RolloutState.FAILED: "bad",
    RolloutState.HELD: "wait",
    RolloutState.SUPERSEDED: "wait",
}


@dataclass(frozen=True)
class Event:
    """Something that happened at a known time; `number` marks it in the plots."""

    number: int
    at_ms: int
    name: str
    after: str  # how long after what came before
    note: str = ""


@dataclass(frozen=True)
class Headline:
    tone: str  # good, bad, wait, run
    state: str
    title: str
    reason: str


def name_of(record: RolloutRecord) -> str:
    """Return what people call the release."""
    return record.tag or record.sha[:12] or record.rollout


def anchor_of(record: RolloutRecord) -> str:
    """Return what people call the release that it is compared with; empty: there is none."""
    anchor = record.plan.anchor if record.plan else None
    return (anchor.tag or anchor.sha[:12]) if anchor else ""


def headline(view: ReportView, grows_ms: int = 0) -> Headline:
    """Say in one sentence how it ended, or where it is.

    `grows_ms` is when evidence began to grow that has failed the release; 0: none has.
    """
    record = view.record
    return Headline(
        tone=_TONES.get(record.state, "run"),
        state=record.state.value.replace("_", " "),
        title=_title(view, grows_ms),
        reason=record.reason,
    )


def _title(view: ReportView, grows_ms: int) -> str:
    if view.record.state is RolloutState.UNDONE:
        return _undone(view, grows_ms)
    return _TITLES.get(view.record.state, _on_its_way)(view)


def _undone(view: ReportView, grows_ms: int) -> str:
    record, undo = view.record, view.record.undo
    name = name_of(record)
    if not undo or not undo.restored_ms:
        return f"{name} was undone"
    since, what = _signs(view, grows_ms)
    if 0 < since < undo.restored_ms:
        took = duration((undo.restored_ms - since) / 1_000)
        return f"{name} was undone: {took} from {what} to restored traffic"
    took = duration((undo.restored_ms - undo.decided_ms) / 1_000)
    return f"{name} was undone: traffic was back {took} after the decision"


def _signs(view: ReportView, grows_ms: int) -> tuple[int, str]:
    """Return when it began: bad answers that were there before mean nothing by themselves."""
    bad = view.record.bad_since_ms
    return (grows_ms, "the first evidence") if grows_ms >= bad else (bad, "the first bad answer")


def _unverified(view: ReportView) -> str:
    return f"{name_of(view.record)} was undone, but it is not proven that all is well again"


def _passed(view: ReportView) -> str:
    record = view.record
    if record.first:
        return f"{name_of(record)} is installed; there was no release before to compare it with"
    if not record.started_at_ms or not record.ended_at_ms:
        return f"{name_of(record)} has passed"
    took = duration((record.ended_at_ms - record.started_at_ms) / 1_000)
    return f"{name_of(record)} has passed, {took} after its first request"


def _held(view: ReportView) -> str:
    return f"{name_of(view.record)} is held: a person has to look at it"


def _failed(view: ReportView) -> str:
    return f"{name_of(view.record)} failed before it had any traffic"


def _superseded(view: ReportView) -> str:
    return f"{name_of(view.record)} gave way to a newer release that contains it"


def _on_its_way(view: ReportView) -> str:
    record = view.record
    share = f", with {record.weight / 100:g} % of the traffic" if record.weight else ""
    return f"{name_of(record)} is on its way{share}"


_TITLES = {
    RolloutState.PASSED: _passed,
    RolloutState.RESTORED_UNVERIFIED: _unverified,
    RolloutState.HELD: _held,
    RolloutState.FAILED: _failed,
    RolloutState.SUPERSEDED: _superseded,
}


def timeline(view: ReportView, grows_ms: int = 0) -> tuple[Event, ...]:
    """Return what happened, in order of time; moments that nobody knows are left out."""
    record = view.record
    found = sorted(
        (each for each in (*_going(record), *_coming_back(view, grows_ms)) if each[0]),
        key=lambda each: each[0],
    )
    events: list[Event] = []
    for number, (at_ms, name, note) in enumerate(found, start=1):
        since = (at_ms - events[-1].at_ms) / 1_000 if events else 0.0
        after = f"+ {duration(since)}" if events else ""
        events.append(Event(number, at_ms, name, after, note))
    return tuple(events)


Found = tuple[int, str, str]


def _going(record: RolloutRecord) -> tuple[Found, ...]:
    first = next((each.done_at_ms for each in record.weights if each.done_at_ms), 0) or 0
    whole = next((move.at_ms for move in record.moves if move.weight >= FULL), 0)
    passed = record.ended_at_ms if record.state is RolloutState.PASSED else 0
    began = "first request" if record.first else "first share of the traffic"
    return (
        (record.started_at_ms or first, began, ""),
        (0 if record.first else whole, "all of the traffic", ""),
        (passed or 0, "passed", ""),
    )


def _coming_back(view: ReportView, grows_ms: int) -> tuple[Found, ...]:
    record, undo = view.record, view.record.undo
    blind = _length(view.ticks, record.bad_since_ms)
    seen = f"seen at the end of a tick of {duration(blind)}" if blind else ""
    bad: Found = (record.bad_since_ms, "first bad answer", seen)
    if undo is None:
        return (bad,)
    anchor = anchor_of(record)
    back = f"all of it to {anchor}" if anchor else "nothing is served"
    return (
        bad,
        (grows_ms if grows_ms > record.bad_since_ms else 0, "evidence begins to grow", ""),
        (undo.decided_ms, "undo decided", ""),
        (undo.restored_ms, "traffic back", back),
        (undo.verified_ms, "undo verified", ""),
    )


def _length(ticks: tuple[Tick, ...], at_ms: int) -> float:
    return next((tick.ms / 1_000 for tick in ticks if at_ms and tick.at_ms == at_ms), 0.0)


def utc(at_ms: int, form: str = "%H:%M:%S") -> str:
    """Return a moment as UTC, with tenths of a second."""
    tenths = at_ms % 1_000 // 100
    return f"{time.strftime(form, time.gmtime(at_ms / 1_000))}.{tenths}"


def day(at_ms: int) -> str:
    """Return a day and minute as UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ms / 1_000))
