"""How many ideas a second, when 200 begin at once."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bench.bare_idea import BareIdea, BareTask, Script, do_nothing, signal_back
from bench.ground import RIVAL_QUEUE, Ground, Load, ground, serving, worker
from bench.idea_overhead import WORKFLOWS, deliver, deliver_bare, prepare
from bench.noop import ONE, NoOps
from bench.row import Row, outdoing
from tests.fakes import skeleton


async def measure(load: Load) -> list[Row]:
    """Return the row of rates; each idea has one task."""
    async with ground() as place:
        return await _measure(place, load)


async def _measure(place: Ground, load: Load) -> list[Row]:
    count = load.times(200, 40)
    twins = NoOps(skeleton(*ONE))
    rival = worker(place.bare, RIVAL_QUEUE, [BareIdea, BareTask], [do_nothing, signal_back])
    async with serving(place.ours, WORKFLOWS, twins.activities()), rival:
        script = await prepare(place, ONE)
        pairs = [await _pair(place, script, count, at) for at in range(load.times(6, 2))]
    return [
        outdoing(
            f"{count} ideas at once", pairs, unit="ideas/s",
            rival="bare SDK workflows, same children and activities", at_least=0.7,
        )
    ]  # fmt: skip


async def _pair(place: Ground, script: Script, count: int, at: int) -> tuple[float, float]:
    if at % 2:
        theirs = await _rate(count, deliver_bare, place, script)
        return await _rate(count, deliver, place), theirs
    ours = await _rate(count, deliver, place)
    return ours, await _rate(count, deliver_bare, place, script)


async def _rate(count: int, what: Callable[..., Any], *arguments: object) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(what(*arguments) for _ in range(count)))
    return count / (time.perf_counter() - began)
