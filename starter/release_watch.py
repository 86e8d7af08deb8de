"""Following a rollout from its records and ticks, until its end; Temporal is not asked."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from config.settings import Settings
from domain.deployment import FULL
from domain.judge import judge, judge_bake
from domain.record_view import EventView
from domain.rollout import ENDED, RolloutPlan, RolloutState
from domain.rollout_view import RolloutRecord
from domain.tick import Tick
from domain.verdict import Verdict
from starter.codes import Exit
from starter.following import Watched
from starter.reads import Reads

_PAUSE = 0.15
_STEERED = ("promote", "hold", "rollback")
_CODES = {RolloutState.PASSED: Exit.DONE, RolloutState.HELD: Exit.WAITS}


@dataclass(frozen=True)
class Progress:
    """Where a rollout is among its steps, in seconds; the bake is the step after the last."""

    number: int
    of: int
    weight: int  # basis points
    began_ms: int  # of this step; 0: it has no tick yet
    hold_s: float
    later_s: float  # of the steps that follow, if none waits for evidence

    def over_s(self, now_ms: int) -> float:
        """Return for how long this step has been watched."""
        return max(0.0, (now_ms - self.began_ms) / 1_000) if self.began_ms else 0.0

    def left_s(self, now_ms: int) -> float:
        """Return how long it takes at least until the end."""
        return max(0.0, self.hold_s - self.over_s(now_ms)) + self.later_s


@dataclass(frozen=True)
class Look:
    """A rollout at one moment, and what is new since the last look."""

    record: RolloutRecord
    progress: Progress | None
    verdict: Verdict | None  # of the judge, over all ticks until now
    last: Tick | None
    waits: str
    ticks: tuple[Tick, ...] = ()  # new ones
    events: tuple[EventView, ...] = ()  # new ones


class View(Protocol):
    """Shows a rollout while it is followed."""

    def update(self, look: Look) -> None:
        """Show where it is now, and what has happened since the last time."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


async def follow(chosen: Settings, reads: Reads, rollout: str, view: View) -> RolloutRecord:
    """Show a rollout until it ends; its record then.

    Raises `Unavailable` when slipway, which ran here, runs no more: nothing would happen.
    """
    watched = Watched(chosen)
    eyes = Eyes(reads, rollout)
    try:
        while True:
            look = await eyes.look()
            if look is not None:
                view.update(look)
                if look.record.state in ENDED:
                    return await _to_the_last(eyes, view, look.record)
            watched.refuse_if_gone(f"the rollout {rollout}", f"slipway release watch {rollout}")
            await asyncio.sleep(_PAUSE)
    finally:
        view.close()


async def _to_the_last(eyes: "Eyes", view: View, record: RolloutRecord) -> RolloutRecord:
    """Show what was told between reading the events and the record that has ended."""
    rest = await eyes.look()
    if rest is None:
        return record
    view.update(rest)
    return rest.record


class Eyes:
    """Reads only what is new, and asks the judge only when there is a new tick."""

    def __init__(self, reads: Reads, rollout: str) -> None:
        self._reads = reads
        self._rollout = rollout
        self._key = ""
        self._ticks: tuple[Tick, ...] = ()
        self._seq = 0  # of the idea, of the last event
        self._verdict: Verdict | None = None

    async def look(self) -> Look | None:
        """Return how it is now; None when nothing is new."""
        first = not self._key
        if first:
            self._key = (await self._reads.rollout(self._rollout)).key
        events, ticks = await self._new_events(), await self._new_ticks()
        if not (events or ticks or first):
            return None
        record = await self._reads.rollout(self._rollout)
        if ticks and record.plan:
            self._verdict = judged(record.plan, self._ticks)
        return Look(
            record=record,
            progress=progress(record, self._ticks),
            verdict=self._verdict,
            last=self._ticks[-1] if self._ticks else None,
            waits=waits(record),
            ticks=ticks,
            events=tuple(event for event in events if about(event, record)),
        )

    async def _new_events(self) -> tuple[EventView, ...]:
        events = await self._reads.events_after(self._key, self._seq)
        self._seq = events[-1].idea_seq if events else self._seq
        return events

    async def _new_ticks(self) -> tuple[Tick, ...]:
        last = self._ticks[-1] if self._ticks else None
        at = (last.step, last.seq) if last else (-1, -1)
        ticks = await self._reads.ticks_after(self._rollout, *at)
        self._ticks += ticks
        return ticks


def about(event: EventView, record: RolloutRecord) -> bool:
    """Return whether an entry of the audit chain tells of this rollout."""
    body = event.body
    if event.kind == "merges_quarantined":
        return any(item.get("rollout") == record.rollout for item in body.get("items", ()))
    if event.kind == "steered":
        during = record.created_at_ms <= event.at_ms <= (record.ended_at_ms or event.at_ms)
        return during and body.get("verb") in _STEERED
    return body.get("rollout") == record.rollout


def judged(plan: RolloutPlan, ticks: tuple[Tick, ...]) -> Verdict:
    """Return what the judge would say of the step under way, while its hold lasts."""
    step = ticks[-1].step
    if step < len(plan.steps):
        return judge(plan.setup, ticks, step=step, hold_over=False)
    stable = tuple(tick for tick in ticks if tick.step != step)
    mine = tuple(tick for tick in ticks if tick.step == step)
    return judge_bake(plan.setup, stable, mine, hold_over=False)


def progress(record: RolloutRecord, ticks: tuple[Tick, ...]) -> Progress | None:
    """Return where a rollout is among its steps; None before its first traffic."""
    plan = record.plan
    if plan is None or not record.started_at_ms:
        return None
    bakes = record.state is RolloutState.BAKING or bool(ticks and ticks[-1].step >= len(plan.steps))
    step = len(plan.steps) if bakes else record.step
    holds = [*(each.hold_s for each in plan.steps), plan.bake_s]
    return Progress(
        number=step + 1,
        of=len(holds),
        weight=FULL if bakes else record.weight,
        began_ms=next((tick.at_ms for tick in ticks if tick.step == step), 0),
        hold_s=holds[min(step, len(holds) - 1)],
        later_s=sum(holds[step + 1 :]),
    )


def waits(record: RolloutRecord) -> str:
    """Say for whom a rollout waits, as far as its records tell; empty: for nobody."""
    if record.state is RolloutState.WAITING:
        return record.reason
    told = record.verdicts[-1] if record.verdicts else None
    moved = record.moves[-1].at_ms if record.moves else 0
    if record.state in ENDED or told is None or told.at_ms < moved:
        return ""
    if told.verdict.verdict in ("inconclusive", "no_data"):
        return f"a person: slipway release promote {record.target}, or rollback"
    return ""


def exit_code(record: RolloutRecord) -> int:
    """Return the exit code that stands for how a rollout has ended."""
    return _CODES.get(record.state, Exit.ENDED)
