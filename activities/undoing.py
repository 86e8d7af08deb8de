"""Undoing: give the traffic back to the last release that passed, and prove that it worked."""

import asyncio
import math
from collections.abc import Callable

from temporalio import activity

from activities.deployments import Drivers, Visitor, start_all, template_of
from activities.heartbeat import Beat, beating
from activities.release_orders import PlanUndo as PlanUndo
from activities.release_orders import Restored as Restored
from activities.release_orders import RestoreTraffic as RestoreTraffic
from activities.release_orders import UndoPlanned as UndoPlanned
from activities.release_orders import VerifyUndo as VerifyUndo
from activities.rollout_ports import Rollouts
from domain.deployment import Inspection, Instance, Observation, ObserveOrder, WeightOrder
from domain.errors import Rejected, Unavailable
from domain.judge import judge_restored, regression_of
from domain.observing import answered, past_of, tick_between
from domain.rollout import Served, Undo
from domain.shifting import of_rollout, ready, serving, split
from domain.tick import Tick
from domain.undo import Check, Seen, completed, health, proofs, started

MOST_TRIES = 20  # somebody else moves traffic at the same time
_LOOK_SECONDS = 0.5
_WHOLE_SECONDS = 10.0  # that an undo which is proven waits for replicas that start again
_MOVED = ("stale", "unknown_instance")  # what was seen is not so any more: look again
_AT_ONCE = 20  # requests of our own between two looks


class Undoing:
    """The way back; it needs no policy, no window and no budget, and touches no git."""

    def __init__(
        self, drivers: Drivers, rollouts: Rollouts, visitor: Visitor, now_ms: Callable[[], int]
    ) -> None:
        self._drivers = drivers
        self._rollouts = rollouts
        self._visitor = visitor
        self._now_ms = now_ms

    @activity.defn
    async def restore_traffic(self, order: RestoreTraffic) -> Restored:
        """Give the anchor all traffic in one compare and swap, and raise the generation.

        Raises `Rejected` when there is no anchor that could take it: a person must help.
        """
        async with beating() as beat:
            for attempt in range(MOST_TRIES):
                seen = await self._look(order)
                weights = await self._anchored(order, seen, beat)
                try:
                    return await self._swap(order, seen, weights, attempt)
                except Rejected as error:
                    if error.problem.code not in _MOVED:
                        raise
            raise Unavailable(
                f"the traffic of {order.place.target} is moved by somebody else again and again",
                code="contended",
            )

    async def _swap(
        self, order: RestoreTraffic, seen: Inspection, weights: dict[str, int], attempt: int
    ) -> Restored:
        op, driver = f"{order.op}/{attempt}", self._drivers(order.environment.driver)
        weights = await self._rollouts.begin_weights(
            order.rollout, op, weights, seen.generation, self._now_ms()
        )
        generation = await driver.set_weights(_weight_order(order, weights, seen.generation, op))
        at_ms = self._now_ms()
        await self._rollouts.end_weights(op, generation, at_ms)
        begun = started(await self._observe(order), order.rollout)
        if order.anchor:
            await self._rollouts.set_current(order.anchor, instead_of=order.rollout)
            await self._rollouts.set_passed(order.anchor, instead_of=order.rollout)
        return Restored(generation=generation, at_ms=at_ms, started=begun, weights=weights)

    async def _anchored(
        self, order: RestoreTraffic, seen: Inspection, beat: Beat
    ) -> dict[str, int]:
        """Return all traffic for the anchor's instances; start them again where none is ready."""
        if order.anchor is None:
            return {}
        if ready(seen.instances, order.anchor.rollout):
            return split((), serving(seen, order.anchor.rollout), 0)
        instances = await self._started_again(order, order.anchor, seen, beat)
        return split((), ready(instances, order.anchor.rollout), 0)

    async def _started_again(
        self, order: RestoreTraffic, anchor: Served, seen: Inspection, beat: Beat
    ) -> tuple[Instance, ...]:
        """Start the anchor; what waits for its next try, or got no more, begins anew at once."""
        driver = self._drivers(order.environment.driver)
        for each in seen.instances:
            if of_rollout(anchor.rollout, each.instance) and each.state in ("down", "crash_loop"):
                await driver.stop(order.place, order.environment, each.instance)
        return await start_all(driver, template_of(anchor, order.place, order.environment), beat)

    @activity.defn
    async def plan_undo(self, order: PlanUndo) -> UndoPlanned:
        """Return the plan of a rollout, without which nothing has to be undone."""
        async with beating():
            return UndoPlanned(plan=await self._rollouts.plan(order.rollout))

    @activity.defn
    async def verify_undo(self, order: VerifyUndo) -> Undo:
        """Watch the restored release until the undo is proven, or the patience is over."""
        async with beating() as beat:
            proof = _Proof(self, order, beat)
            return await proof.until_proven()

    async def spread(
        self, order: RestoreTraffic, seen: Inspection, weights: dict[str, int]
    ) -> None:
        """Give all that is left of the restored release its share, unless somebody else moves."""
        op = f"{order.op}/spread/{seen.generation}"
        driver = self._drivers(order.environment.driver)
        weights = await self._rollouts.begin_weights(
            order.rollout, op, weights, seen.generation, self._now_ms()
        )
        try:
            generation = await driver.set_weights(
                _weight_order(order, weights, seen.generation, op)
            )
        except Rejected as error:
            if error.problem.code not in _MOVED:
                raise
        else:
            await self._rollouts.end_weights(op, generation, self._now_ms())

    async def _look(self, order: RestoreTraffic) -> Inspection:
        driver = self._drivers(order.environment.driver)
        return await driver.inspect(order.place, order.environment)

    async def _observe(self, order: RestoreTraffic) -> Observation:
        driver = self._drivers(order.environment.driver)
        return await driver.observe(
            ObserveOrder(place=order.place, service=order.service, environment=order.environment)
        )


class _Proof:
    """What is seen after an undo, until it is enough."""

    def __init__(self, hands: Undoing, order: VerifyUndo, beat: Beat) -> None:
        self._hands = hands
        self._order = order
        self._beat = beat
        self._sent = 0  # requests of our own
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def until_proven(self) -> Undo:
        hands, order = self._hands, self._order.order
        before = await hands._observe(order)
        during = await self._during()
        while True:
            seen = await self._seen(before)
            found = (*proofs(seen), *self._health(seen, during))
            self._beat("; ".join(check.text for check in found))
            good = all(check.good for check in found)
            whole = await self._is_whole(seen) or self._waited() > _WHOLE_SECONDS
            if (good and whole) or self._waited() > self._order.patience_s:
                return self._undo(seen, found, good=good)
            await self._visit(seen)
            await asyncio.sleep(_LOOK_SECONDS)

    def _waited(self) -> float:
        """Return the seconds since the proof began, whatever the wall clock does."""
        return self._loop.time() - self._began

    async def _is_whole(self, seen: Seen) -> bool:
        """Return whether all replicas have traffic; give those some that were not ready before."""
        if seen.anchor is None:
            return True
        fit = serving(seen.inspection, seen.anchor.rollout)
        asked = {route.instance for route in seen.inspection.routes if route.weight}
        if asked.issuperset(fit):
            return len(fit) >= seen.anchor.service.replicas
        await self._hands.spread(self._order.order, seen.inspection, split((), fit, 0))
        return False

    async def _during(self) -> tuple[Tick, ...]:
        """Return what the anchor did in the rollout, or before, where it was never beside."""
        order, plan, rollouts = self._order.order, self._order.plan, self._hands._rollouts
        ticks = await rollouts.ticks(order.rollout)
        if plan is None or order.anchor is None:
            return ticks
        if answered(ticks) >= plan.setup.analysis.min_requests:
            return ticks  # fewer may be requests that were on their way when it lost its traffic
        theirs = await rollouts.ticks(order.anchor.rollout)
        past = past_of(order.anchor.rollout, theirs, ticks, plan.setup)
        return max(ticks, past, key=answered)

    async def _seen(self, before: Observation) -> Seen:
        order = self._order.order
        return Seen(
            anchor=order.anchor,
            rollout=order.rollout,
            generation=self._order.restored.generation,
            started_then=self._order.restored.started,
            before=before,
            after=await self._hands._observe(order),
            inspection=await self._hands._look(order),
            least=self._order.least,
        )

    def _health(self, seen: Seen, during: tuple[Tick, ...]) -> tuple[Check, ...]:
        """Return what the judge says of the anchor now, against the anchor in the rollout."""
        plan = self._order.plan
        if plan is None or seen.anchor is None or not completed(seen):
            return ()
        after = tick_between(
            seen.before,
            seen.after,
            rollout=seen.rollout,
            step=len(plan.steps) + 1,
            seq=0,
            weight=0,
            setup=plan.setup,
        )
        verdict = self._order.verdict
        name, ratio = regression_of(verdict) if verdict else ("error", math.inf)
        return (health(judge_restored(plan.setup, during, (after,), ratio, name)),)

    def _undo(self, seen: Seen, found: tuple[Check, ...], *, good: bool) -> Undo:
        missing = "; ".join(check.text for check in found if not check.good)
        return Undo(
            rollout=seen.rollout,
            verified=good,
            reason="the traffic is back, and well" if good else f"not proven: {missing}",
            generation=seen.generation,
            anchor_sha=seen.anchor.sha if seen.anchor else "",
            decided_ms=self._order.decided_ms,
            restored_ms=self._order.restored.at_ms,
            verified_ms=self._hands._now_ms() if good else 0,
            checks=tuple(check.text for check in found),
            inspection=seen.inspection,
        )

    async def _visit(self, seen: Seen) -> None:
        """Send requests where nobody does: an undo is proven by answers."""
        order = self._order.order
        if seen.anchor is None or completed(seen) >= self._order.least or self._is_busy(seen):
            return
        url = f"http://{order.environment.host}:{order.environment.port}{order.service.health.path}"
        self._sent += _AT_ONCE
        await self._hands._visitor.visit(url, _AT_ONCE, 0)

    def _is_busy(self, seen: Seen) -> bool:
        """Return whether users alone bring enough requests in time."""
        if self._waited() < _LOOK_SECONDS:
            return True
        users = completed(seen) - self._sent
        return users / self._waited() * self._order.patience_s / 10 > self._order.least


def _weight_order(
    order: RestoreTraffic, weights: dict[str, int], generation: int, op: str
) -> WeightOrder:
    return WeightOrder(
        place=order.place,
        service=order.service,
        environment=order.environment,
        weights=weights,
        expected_generation=generation,
        op=op,
    )
