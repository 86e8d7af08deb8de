"""How near a graph of tasks comes to its bound: ours, and two rivals, longest path or in turn."""

import json
import time
from pathlib import Path
from uuid import uuid4

from bench.bare_graph import BareGraph, BareLeaf, BareOrder, work_fifty_ms
from bench.driven_graph import DrivenGraph, DrivenLeaf, GraphOrder, work_on
from bench.ground import RIVAL_QUEUE, Ground, Load, ground, serving, worker
from bench.row import Row, against
from domain.plan import SkeletonTask

# 50 tasks of 50 ms whose longest path has 8: 400 ms when the longest path goes first, 550 ms
# when tasks go in the order in which they become ready.
NEEDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("graph.json").read_text())
WIDTH = 8
TASKS = tuple(
    SkeletonTask(id=task, title=task, needs=tuple(needs)) for task, needs in NEEDS.items()
)


async def measure(load: Load) -> list[Row]:
    """Return the row against the same order and the row against first in, first out."""
    async with ground() as place:
        return await _measure(place, load)


async def _measure(place: Ground, load: Load) -> list[Row]:
    rival = worker(place.bare, RIVAL_QUEUE, [BareGraph, BareLeaf], [work_fifty_ms])
    same: list[tuple[float, float]] = []
    in_turn: list[tuple[float, float]] = []
    async with serving(place.ours, (DrivenGraph, DrivenLeaf), [work_on]), rival:
        await _round(place)
        for at in range(load.times(30, 4)):
            ours, longest, first = await _round(place, turn=at % 3)
            same.append((ours, longest))
            in_turn.append((ours, first))
    by_rank = against(
        "graph of 50 tasks, 8 at once", same, unit="ms",
        rival="bare SDK scheduler, longest path first", at_most=1.15,
    )  # fmt: skip
    by_turn = against(
        "the same graph, not in turn", in_turn, unit="ms",
        rival="bare SDK scheduler, first in first out", at_most=1.0,
    )  # fmt: skip
    bound = "400 ms is the bound"
    return [by_rank.but(note=bound), by_turn.but(goal="ratio < 1", met=(by_turn.ratio or 1) < 1)]


async def _round(place: Ground, turn: int = 0) -> tuple[float, float, float]:
    """Run all three, each in turn the first one; milliseconds."""
    took = [0.0, 0.0, 0.0]
    for which in ((turn + at) % 3 for at in range(3)):
        began = time.perf_counter()
        ended = await (_ours(place) if which == 0 else _bare(place, longest_first=which == 1))
        took[which] = (time.perf_counter() - began) * 1_000
        if ended != len(TASKS):
            raise AssertionError(f"{ended} of {len(TASKS)} tasks ended")
    return took[0], took[1], took[2]


async def _ours(place: Ground) -> int:
    return await place.ours.execute_workflow(
        DrivenGraph.run,
        GraphOrder(tasks=TASKS, width=WIDTH),
        id=f"graph-{uuid4().hex[:12]}",
        task_queue="delivery",
    )


async def _bare(place: Ground, *, longest_first: bool) -> int:
    return await place.bare.execute_workflow(
        BareGraph.run,
        BareOrder(NEEDS, WIDTH, longest_first),
        id=f"bare-{uuid4().hex[:12]}",
        task_queue=RIVAL_QUEUE,
    )
