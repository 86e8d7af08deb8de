"""Watching: look at a step of a rollout tick by tick until the judge has decided."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from temporalio import activity

from activities.deployments import Drivers, Visitor
from activities.heartbeat import Beat, beating
from activities.release_orders import JudgeStep as JudgeStep
from activities.release_orders import StepJudged as StepJudged
from activities.rollout_ports import Rollouts
from domain.deployment import FULL, Observation, ObserveOrder
from domain.judge import judge, judge_bake
from domain.observing import past_of, tick_between
from domain.rollout import RolloutPlan
from domain.tick import Tick, watched_ms
from domain.verdict import Verdict


class Metrics(Protocol):
    """Reads what the driver does not count; each number for control and canary."""

    async def read(
        self, plan: RolloutPlan, observation: Observation
    ) -> dict[str, tuple[float, float]]: ...


class Gauges(Protocol):
    def judged(self, plan: RolloutPlan, weight: int, verdict: Verdict) -> None:
        """Show what is thought of a rollout now; `weight` in basis points."""
        ...


class Watching:
    """The judge's eyes: every tick is on record before it counts."""

    def __init__(
        self,
        drivers: Drivers,
        rollouts: Rollouts,
        metrics: Metrics,
        visitor: Visitor,
        now_ms: Callable[[], int],
        gauges: Gauges | None = None,
    ) -> None:
        self._drivers = drivers
        self._rollouts = rollouts
        self._metrics = metrics
        self._visitor = visitor
        self._now_ms = now_ms
        self._gauges = gauges

    @activity.defn
    async def judge_step(self, order: JudgeStep) -> StepJudged:
        """Watch until the hold is over or the release has failed.

        A restarted worker goes on from the stored ticks, and comes to the same evidence.
        """
        async with beating() as beat:
            watch = _Watch(self, order, beat)
            async with synthetic_traffic(self._visitor, order.plan):
                return await watch.until_decided()


@asynccontextmanager
async def synthetic_traffic(visitor: Visitor, plan: RolloutPlan) -> AsyncIterator[None]:
    """Send the service's synthetic requests, if it wants any, until the block ends."""
    synthetic = plan.service.synthetic
    if not synthetic.rate:
        yield
        return
    url = f"http://{plan.environment.host}:{plan.environment.port}{synthetic.path}"
    visits = asyncio.create_task(visitor.keep_visiting(url, synthetic.rate))
    try:
        yield
    finally:
        visits.cancel()


class _Watch:
    """One step under watch."""

    def __init__(self, hands: Watching, order: JudgeStep, beat: Beat) -> None:
        self._hands = hands
        self._order = order
        self._plan = order.plan
        self._beat = beat
        self._ticks: tuple[Tick, ...] = ()
        self._past: tuple[Tick, ...] = ()  # of the release before, where it was never beside

    async def until_decided(self) -> StepJudged:
        hands = self._hands
        self._ticks = await hands._rollouts.ticks(self._plan.rollout)
        if not self._mine():
            await self._store(await self._observe(), opening=True)
        self._past = await self._past_of_anchor()
        while True:
            verdict = self._verdict()
            self._beat(verdict.reason)
            if hands._gauges is not None:
                hands._gauges.judged(self._plan, self._weight(), verdict)
            decided = verdict.verdict != "watching" and not self._may_wait(verdict)
            if decided or self._moved():
                return StepJudged(
                    verdict=verdict,
                    since_ms=self._bad_since(),
                    exposure=self._exposure(),
                    moved=self._moved(),
                )
            await self._next_tick()

    async def _next_tick(self) -> None:
        tick_s = self._plan.service.analysis.tick
        due = self._mine()[-1].at_ms + tick_s * 1_000
        # A wall clock that was set back must not keep us from looking.
        await asyncio.sleep(min(tick_s, max(0.0, (due - self._hands._now_ms()) / 1_000)))
        await self._store(await self._observe())

    async def _observe(self) -> Observation:
        plan = self._plan
        driver = self._hands._drivers(plan.environment.driver)
        return await driver.observe(
            ObserveOrder(
                place=plan.place,
                service=plan.service,
                environment=plan.environment,
                slow_ms=plan.setup.slow_ms,
            )
        )

    async def _store(self, seen: Observation, *, opening: bool = False) -> None:
        """Put the next tick on record; the first one that was written for its place counts."""
        mine = self._mine()
        before = Observation.model_validate_json(mine[-1].cursor) if mine else None
        tick = tick_between(
            None if opening else before,
            seen,
            rollout=self._plan.rollout,
            step=self._order.step,
            seq=len(mine),
            weight=self._weight(),
            setup=self._plan.setup,
            metrics=await self._metrics(seen),
        )
        stored = await self._hands._rollouts.put_tick(tick)
        self._ticks = (*self._ticks, stored)

    async def _metrics(self, seen: Observation) -> dict[str, tuple[float, float]]:
        return await self._hands._metrics.read(self._plan, seen)

    def _weight(self) -> int:
        steps = self._plan.steps
        return steps[self._order.step].weight if self._order.step < len(steps) else FULL

    def _stable(self) -> tuple[Tick, ...]:
        """Return what the release before did in the earlier steps of this rollout."""
        earlier = tuple(tick for tick in self._ticks if tick.step != self._order.step)
        return earlier if any(tick.control.done for tick in earlier) else ()

    async def _past_of_anchor(self) -> tuple[Tick, ...]:
        anchor = self._plan.anchor
        if not self._order.bake or anchor is None or self._stable():
            return ()
        theirs = await self._hands._rollouts.ticks(anchor.rollout)
        return past_of(anchor.rollout, theirs, self._mine(), self._plan.setup)

    def _mine(self) -> tuple[Tick, ...]:
        return tuple(tick for tick in self._ticks if tick.step == self._order.step)

    def _elapsed_s(self) -> float:
        return watched_ms(self._mine(), self._plan.service.analysis.tick) / 1_000

    def _verdict(self) -> Verdict:
        setup, over = self._plan.setup, self._elapsed_s() >= self._order.hold_s
        if self._order.bake:
            return judge_bake(setup, self._stable() or self._past, self._mine(), hold_over=over)
        return judge(setup, self._ticks, step=self._order.step, hold_over=over)

    def _may_wait(self, verdict: Verdict) -> bool:
        """Return whether more time may still bring what is missing."""
        open_ = verdict.verdict in ("inconclusive", "no_data") and not verdict.guard
        return open_ and self._elapsed_s() < self._order.cap_s

    def _moved(self) -> bool:
        """Return whether the traffic is not any more as this rollout has left it."""
        expected = self._order.generation
        return bool(expected) and self._mine()[-1].generation != expected

    def _bad_since(self) -> int:
        return next((tick.at_ms for tick in self._ticks if tick.canary.errors), 0)

    def _exposure(self) -> float:
        return max((tick.weight for tick in self._ticks), default=0) / 10_000
