"""What slipway's own story costs: an idea without work against the same by the SDK alone."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from activities.ledger import Ledger
from bench.bare_idea import BareIdea, BareTask, Script, do_nothing, signal_back
from bench.ground import RIVAL_QUEUE, Ground, Load, ground, serving, worker
from bench.noop import DIAMOND, NoOps, start_order
from bench.row import Row, against
from bench.script import activities_of, script_of
from domain.delivery import Stage
from domain.plan import SkeletonTask
from integrations.database import Database
from tests.fakes import skeleton
from workflows.deliver import DeliverIdea
from workflows.implement import ImplementTask

RIVAL = "bare SDK workflow, same children and activities"
WORKFLOWS = (DeliverIdea, ImplementTask)


async def measure(load: Load) -> list[Row]:
    """Return the row without records and the row with the real ones in SQLite."""
    async with ground() as place:
        return await _measure(place, load)


async def _measure(place: Ground, load: Load) -> list[Row]:
    twins = NoOps(skeleton(*DIAMOND))
    plain = await _compare(place, load, "idea, no-op activities", twins.activities())
    database = Database(f"sqlite+aiosqlite:///{place.folder / 'records.db'}")
    await database.open()
    try:
        recorded = await _compare(
            place, load, "idea, records in SQLite", with_records(twins, database)
        )
    finally:
        await database.close()
    return [plain, recorded]


def with_records(twins: NoOps, database: Database) -> list[Callable[..., Any]]:
    """Return the activities of the twins, but with the real ledger."""
    ledger = Ledger(database)
    kept = [each for each in twins.activities() if each.__name__ not in dir(Ledger)]
    return [*kept, ledger.register_idea, ledger.record_facts]


async def _compare(
    place: Ground, load: Load, name: str, activities: list[Callable[..., Any]]
) -> Row:
    rival = worker(place.bare, RIVAL_QUEUE, [BareIdea, BareTask], [do_nothing, signal_back])
    async with serving(place.ours, WORKFLOWS, activities), rival:
        script = await prepare(place)
        pairs = [await _pair(place, script, at) for at in range(load.times(24, 6))]
    return against(name, pairs, unit="ms", rival=RIVAL, at_most=1.5)


async def prepare(place: Ground, tasks: tuple[SkeletonTask, ...] = DIAMOND) -> Script:
    """Warm both up; return the rival's script, proven to hold as many activities as ours."""
    key = start_order().idea.key
    for _ in range(3):
        key = await deliver(place)
    script = await script_of(place.ours, key, tasks)
    bare = ""
    for _ in range(3):
        bare = await deliver_bare(place, script)
    ours = await activities_of(
        place.ours, f"idea/{key}", [f"task/{key}/1/{task.id}" for task in tasks]
    )
    theirs = await activities_of(place.bare, bare, [f"{bare}/{task.id}" for task in tasks])
    if ours != theirs:
        raise AssertionError(f"the rival does not do the same: {theirs} instead of {ours}")
    return script


async def deliver(place: Ground) -> str:
    """Run an idea to its end; return its key."""
    order = start_order()
    end = await place.ours.execute_workflow(
        DeliverIdea.run, order, id=f"idea/{order.idea.key}", task_queue="delivery"
    )
    if end.outcome.stage is not Stage.COMPLETED:
        raise AssertionError(f"the idea ended as {end.outcome}")
    return order.idea.key


async def deliver_bare(place: Ground, script: Script) -> str:
    """Run the rival to its end; return its id."""
    name = f"bare-{uuid4().hex[:12]}"
    await place.bare.execute_workflow(BareIdea.run, script, id=name, task_queue=RIVAL_QUEUE)
    return name


async def _pair(place: Ground, script: Script, at: int) -> tuple[float, float]:
    """Measure both, each first in every other pair; milliseconds."""
    if at % 2:
        theirs = await _timed(deliver_bare, place, script)
        return await _timed(deliver, place), theirs
    ours = await _timed(deliver, place)
    return ours, await _timed(deliver_bare, place, script)


async def _timed(what: Callable[..., Any], *arguments: object) -> float:
    began = time.perf_counter()
    await what(*arguments)
    return (time.perf_counter() - began) * 1_000
