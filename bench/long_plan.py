"""How large the history of an idea with 200 tasks grows, and how fast it is replayed."""

import time

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from bench.ground import Ground, Load, ground, serving
from bench.idea_overhead import WORKFLOWS, deliver
from bench.noop import NoOps
from bench.row import Row, below
from domain.plan import SkeletonTask
from tests.fakes import skeleton
from workflows.plugin import slipway_plugin

COUNT = 200

# Eight chains beside each other, with a cross edge in every fourth task.
TASKS = tuple(
    SkeletonTask(
        id=f"t{at:03d}",
        title=f"Task {at} of a long plan",
        needs=tuple(
            f"t{need:03d}"
            for need in sorted({at - 8, at - 13 if at % 4 == 0 else at - 8})
            if need >= 0
        ),
    )
    for at in range(COUNT)
)


async def measure(load: Load) -> list[Row]:
    """Return the rows of events, of bytes and of replay."""
    async with ground() as place:
        return await _measure(place, load)


async def _measure(place: Ground, load: Load) -> list[Row]:
    twins = NoOps(skeleton(*TASKS))
    async with serving(place.ours, WORKFLOWS, twins.activities()):
        key = await deliver(place)
    handle = place.ours.get_workflow_handle(f"idea/{key}")
    history = await handle.fetch_history()
    size = (await handle.describe()).raw_description.workflow_execution_info.history_size_bytes
    replays = [await _replay(history) for _ in range(load.times(10, 3))]
    name = f"plan of {COUNT} tasks"
    return [
        below(f"{name}: events", [len(history.events)], unit="events", limit=1_600),
        below(f"{name}: history", [size / 1024], unit="KiB", limit=1_024),
        below(f"{name}: replay", replays, unit="s", limit=1),
    ]


async def _replay(history: WorkflowHistory) -> float:
    replayer = Replayer(workflows=list(WORKFLOWS), plugins=[slipway_plugin()])
    began = time.perf_counter()
    await replayer.replay_workflow(history)
    return time.perf_counter() - began
