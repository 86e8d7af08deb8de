"""Undo without Temporal: give the traffic back at the host's own edge, and note it down."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

from config.settings import Settings
from domain.delivery import Steer
from domain.deployment import Inspection, StartOrder, WeightOrder
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.fact import Fact, Steered
from domain.ledger import RecordFacts
from domain.record import Record
from domain.rollout import Quarantined, RolloutPlan, RolloutResult, RolloutState, Served, Undo
from domain.rollout_fact import MergesQuarantined, RolloutMoved, RolloutUndone, ended
from domain.shifting import ready, split
from integrations.database import Database
from integrations.local_driver import LocalDriver
from starter.release_steering import Planned

_TRIES = 10  # somebody else moves the traffic at the same time
_LOOK = 0.1  # seconds between two looks at an instance that starts
_SLACK = 10.0  # seconds beyond the deadline of the service itself
_VIA = "direct"

Tell = Callable[[str], None]


class Direct(Record):
    """What was done at the edge, and what is still to be done."""

    target: str
    rollout: str
    key: str
    name: str  # of the release that is undone
    to: str
    generation: int
    weights: dict[str, int]  # basis points by instance
    started: tuple[str, ...] = ()  # instances that had to be started for it
    stopped: tuple[str, ...] = ()  # of the release that is undone
    open: bool = False  # its rollout is under way, and has to be told
    unrecorded: str = ""  # why the database does not know of it; empty: it does


class _NoBuild:
    """Stands for git and sandbox: nothing is built here."""

    async def tree_of(self, *_: object) -> NoReturn:
        raise AssertionError("nothing is built without Temporal")

    materialise = run = tier = tree_of


class DirectUndo:
    """Speaks with the edge and the supervisor; what cannot be recorded is done all the same."""

    def __init__(self, driver: LocalDriver, database: Database, planned: Planned) -> None:
        """Raises `Rejected` where there is no door of ours, or nothing to go back to."""
        self._driver = driver
        self._database = database
        self._planned = planned
        self._plan, self._anchor = _checked(planned)
        self._unrecorded = ""

    async def run(self, message: Steer, tell: Tell) -> Direct:
        """Give the release before all traffic, in one compare and swap.

        Raises `Unavailable` when the edge does not answer, `Rejected` when the release before
        does not become ready.
        """
        for _ in range(_TRIES):
            seen = await self.look()
            started, seen = await self._ready(seen, tell)
            weights = split((), ready(seen.instances, self._anchor.rollout), 0)
            try:
                generation = await self._swap(seen.generation, weights)
            except Rejected as error:
                if error.problem.code != "stale":
                    raise
                continue
            await self._noted(self._record(message, generation))
            done = self._told(generation, weights, started)
            return done if self._planned.open else done.but(stopped=await self._end(tell))
        raise Unavailable(
            f"The traffic of {self._planned.target} is moved by somebody else again and again",
            code="contended",
            hint="Try again; `slipway service status` shows who has the traffic.",
        )

    async def look(self) -> Inspection:
        """Return what the target serves now."""
        return await self._driver.inspect(self._plan.place, self._plan.environment)

    async def _ready(self, seen: Inspection, tell: Tell) -> tuple[tuple[str, ...], Inspection]:
        """Start the release before, unless it runs; the names of what was started."""
        if ready(seen.instances, self._anchor.rollout):
            return (), seen
        tell(f"starting {self._planned.to}, which does not run any more")
        orders = _start_orders(self._plan, self._anchor)
        for order in orders:
            await self._driver.start(order)
        names = tuple(order.instance for order in orders)
        return names, await self._until_ready(names)

    async def _until_ready(self, names: tuple[str, ...]) -> Inspection:
        deadline = time.monotonic() + self._anchor.service.ready.deadline + _SLACK
        while True:
            seen = await self.look()
            if set(ready(seen.instances, self._anchor.rollout)) >= set(names):
                return seen
            broken = [e for e in seen.instances if e.instance in names and e.state in _BROKEN]
            if broken or time.monotonic() > deadline:
                why = broken[0].reason if broken else "it does not answer in time"
                raise Rejected(
                    f"{self._planned.to} of {self._planned.target} does not become ready: {why}",
                    code="never_ready",
                    hint=f"Its output: slipway service logs {names[0]}. The traffic was not moved.",
                )
            await asyncio.sleep(_LOOK)

    async def _swap(self, generation: int, weights: dict[str, int]) -> int:
        """Move the traffic; the intent is on record before, what was read back after."""
        plan, rollouts = self._plan, self._database.rollouts
        op = f"{plan.rollout}/direct/{_now_ms()}"
        await self._noted(rollouts.begin_weights(plan.rollout, op, weights, generation, _now_ms()))
        raised = await self._driver.set_weights(
            WeightOrder(
                place=plan.place,
                service=plan.service,
                environment=plan.environment,
                weights=weights,
                expected_generation=generation,
                op=op,
            )
        )
        await self._noted(rollouts.end_weights(op, raised, _now_ms()))
        return raised

    async def _end(self, tell: Tell) -> tuple[str, ...]:
        """Drain and stop what is undone; an open rollout does that itself."""
        plan, seen = self._plan, await self.look()
        names = ready(seen.instances, plan.rollout)
        if names:
            tell(f"stopping {self._planned.name}, when its last request is answered")
        for name in names:
            await self._driver.drain(plan.place, plan.environment, name, plan.service.drain)
            await self._driver.stop(plan.place, plan.environment, name)
        return names

    async def _record(self, message: Steer, generation: int) -> None:
        plan, rollouts = self._plan, self._database.rollouts
        await rollouts.set_current(self._anchor, instead_of=plan.rollout)
        await rollouts.set_passed(self._anchor, instead_of=plan.rollout)
        now = _now_ms()
        await self._database.append(
            RecordFacts(
                key=plan.key,
                round=plan.round,
                op=f"{_VIA}/{plan.rollout}/{now}",
                at_ms=now,
                actor=message.actor,
                facts=_facts(plan, message, generation, now, closed=not self._planned.open),
            )
        )

    async def _noted(self, write: Awaitable[object]) -> None:
        """Write; where that fails the traffic is moved all the same, and the person is told."""
        try:
            await write
        except (Unavailable, Rejected, Misconfigured) as error:
            self._unrecorded = self._unrecorded or error.problem.message

    def _told(self, generation: int, weights: dict[str, int], started: tuple[str, ...]) -> Direct:
        planned = self._planned
        return Direct(
            target=planned.target,
            rollout=planned.rollout,
            key=planned.key,
            name=planned.name,
            to=planned.to,
            generation=generation,
            weights=weights,
            started=started,
            open=planned.open,
            unrecorded=self._unrecorded,
        )


_BROKEN = ("crash_loop", "gone")


def direct_undo(chosen: Settings, database: Database, planned: Planned) -> DirectUndo:
    """Return what undoes at the edge of this home."""
    return DirectUndo(_driver(chosen.releases, chosen.host), database, planned)


def _driver(releases: Path, host: Path) -> LocalDriver:
    nobody = _NoBuild()
    return LocalDriver(releases, host, nobody, nobody)


async def roll_back_directly(
    chosen: Settings, planned: Planned, message: Steer, tell: Tell
) -> Direct:
    """Undo at the edge of this home; see `DirectUndo.run`."""
    database = Database(chosen.database, busy_seconds=2)
    try:
        return await direct_undo(chosen, database, planned).run(message, tell)
    finally:
        await database.close()


def _checked(planned: Planned) -> tuple[RolloutPlan, Served]:
    plan = planned.start.plan if planned.start else None
    if plan is None or plan.anchor is None:
        raise Rejected(
            f"nothing has passed at {planned.target} before: there is no release to go back to",
            code="no_way_back",
            path=planned.target,
        )
    if plan.environment.driver != "local":
        raise Rejected(
            f"{planned.target} is run by the driver {plan.environment.driver}, whose traffic "
            "slipway moves only through its workers",
            code="no_door",
            path=planned.target,
            hint="Use that tool itself, or start Temporal: `slipway up`.",
        )
    return plan, plan.anchor


def _start_orders(plan: RolloutPlan, anchor: Served) -> tuple[StartOrder, ...]:
    return tuple(
        StartOrder(
            place=plan.place,
            rollout=anchor.rollout,
            replica=number,
            artefact=anchor.artefact,
            service=anchor.service,
            environment=plan.environment,
            version=anchor.tag or anchor.sha[:12],
        )
        for number in range(anchor.service.replicas)
    )


def _facts(
    plan: RolloutPlan, message: Steer, generation: int, now: int, *, closed: bool
) -> tuple[Fact, ...]:
    """Return what is told: an open rollout tells its own end, when it goes on."""
    reason = f"{message.actor} gave the traffic back at the edge: {message.reason}".rstrip(": ")
    told: tuple[Fact, ...] = (
        Steered(verb="rollback", actor=message.actor, via=_VIA, reason=message.reason),
        RolloutMoved(rollout=plan.rollout, state=RolloutState.UNDOING, reason=reason),
    )
    return (*told, *_end(plan, reason, generation, now)) if closed else told


def _end(plan: RolloutPlan, reason: str, generation: int, now: int) -> tuple[Fact, ...]:
    undo = Undo(
        rollout=plan.rollout,
        verified=False,
        reason="the traffic was given back without Temporal, and nobody has looked since",
        generation=generation,
        anchor_sha=plan.anchor.sha if plan.anchor else "",
        decided_ms=now,
        restored_ms=now,
    )
    result = RolloutResult(
        rollout=plan.rollout,
        target=plan.place.target,
        status=RolloutState.RESTORED_UNVERIFIED,
        reason=reason,
        sha=plan.sha,
        tag=plan.tag,
        undo=undo,
        merges=plan.merges,
    )
    barred = tuple(
        Quarantined(
            repository=plan.place.repository.id,
            sha=sha,
            rollout=plan.rollout,
            key=plan.key,
            reason=reason,
            at_ms=now,
        )
        for sha in plan.merges
    )
    return MergesQuarantined(items=barred), RolloutUndone(undo=undo), ended(result)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
