"""Record one history per path of each workflow: `python -m tests.record_histories [FOLDER]`.

Run it for a release, or when commands changed on purpose; recorded histories are never edited.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.source import (
    BaseNow,
    Joined,
    JoinTrain,
    MergeEntry,
    ReadBase,
    Source,
    Staged,
    StageEntry,
    TagEntry,
    Tagged,
)
from domain.delivery import Stage, StartDelivery, Steer
from domain.forge import Merged
from domain.plan import SkeletonTask
from domain.policy import Decision, PolicyOutcome
from domain.review import Verdict
from tests.fakes import BASE, World, gate_result, skeleton
from tests.workflows.releasing import REPAIR, new_world, serving
from tests.workflows.scenario import QUICK, SPEC, answer_to, idea, until, waits_for
from workflows.deliver import DeliverIdea
from workflows.implement import ImplementTask
from workflows.integrate import IntegrateChanges
from workflows.names import DELIVERY, QUEUES, SEARCH_ATTRIBUTES, task_id, train_id
from workflows.plugin import slipway_plugin

FOLDER = Path(__file__).with_name("histories")
Delivery = WorkflowHandle[DeliverIdea, Any]


class TrainWorld(World):
    """A world in which ideas ride the real train."""

    @activity.defn
    async def join_train(self, order: JoinTrain) -> Joined:
        none: Any = None  # the train's door needs nothing but the names
        return await Source(none, none, none, train_id, DELIVERY).join_train(order)

    @activity.defn
    async def read_base(self, order: ReadBase) -> BaseNow:
        return BaseNow(base_sha=BASE, base_moves=True)

    @activity.defn
    async def stage_entry(self, order: StageEntry) -> Staged:
        return Staged(status="staged", sha="5" * 40, tree="t" * 40, tag="v1.3.0")

    @activity.defn
    async def merge_entry(self, order: MergeEntry) -> Merged:
        return Merged(status="merged", sha=order.staged.sha, tree="t" * 40, branch="main")

    @activity.defn
    async def tag_entry(self, order: TagEntry) -> Tagged:
        return Tagged(tag=order.tag)


async def plain(handle: Delivery, world: World) -> None:
    """Two tasks, one after the other, and the train."""


async def approved(handle: Delivery, world: World) -> None:
    envelope = await answer_to(handle, world)
    await handle.execute_update(DeliverIdea.answer_approval, envelope)


async def paused(handle: Delivery, world: World) -> None:
    await world.working.wait()
    await handle.execute_update(DeliverIdea.pause, Steer(actor="ann"))
    assert world.hold is not None
    world.hold.set()
    await until(handle, waits_for("Paused"))
    await handle.execute_update(DeliverIdea.resume, Steer(actor="ann"))


async def cancelled(handle: Delivery, world: World) -> None:
    await world.working.wait()
    await handle.execute_update(DeliverIdea.cancel_idea, Steer(actor="ann"))


async def retried(handle: Delivery, world: World) -> None:
    board = await until(handle, waits_for("AwaitingInput"))
    failed = next(task.id for task in board.tasks if task.reason)
    await handle.execute_update(DeliverIdea.retry_task, Steer(actor="ann", task=failed))


def _world(name: str) -> World:
    tasks = (
        SkeletonTask(id="one", title="One", attempts=2),
        SkeletonTask(id="two", title="Two", needs=("one",), attempts=2),
    )
    world = TrainWorld(skeleton(*tasks))
    if name == "approved":
        world.decisions["merge"] = [
            Decision(phase="merge", outcome=PolicyOutcome.REQUIRE, reason="a person must look")
        ]
    if name in ("paused", "cancelled"):
        world.hold = asyncio.Event()
    if name == "repaired":
        world.gates["tests"] = [gate_result("tests", Verdict.FAILED, "red")]
    if name == "retried":
        world.gates["tests"] = [gate_result("tests", Verdict.FAILED, "red")] * 2
    return world


SCENARIOS: dict[str, Callable[[Delivery, World], Awaitable[None]]] = {
    "plain": plain,
    "repaired": plain,
    "approved": approved,
    "paused": paused,
    "cancelled": cancelled,
    "retried": retried,
}


async def record(client: Client, folder: Path) -> None:
    """Run every scenario and write the histories of all workflows that took part."""
    for name, steps in SCENARIOS.items():
        world = _world(name)
        async with AsyncExitStack() as stack:
            for queue in QUEUES:
                await stack.enter_async_context(_worker(client, queue, world))
            the = idea()
            handle: Delivery = await client.start_workflow(
                DeliverIdea.run,
                StartDelivery(idea=the, patience=QUICK),
                id=f"idea/{the.key}",
                task_queue=DELIVERY,
            )
            await steps(handle, world)
            end = await handle.result()
            assert end.outcome.stage in (Stage.COMPLETED, Stage.CANCELLED)
            ids = {f"DeliverIdea-{name}": handle.id}
            ids[f"ImplementTask-{name}"] = task_id(the.key, 1, "one")
            if name == "plain":
                ids[f"IntegrateChanges-{name}"] = train_id(the.repository)
                await _settled(client, train_id(the.repository))
            for file, workflow_id in ids.items():
                history = await client.get_workflow_handle(workflow_id).fetch_history()
                print(f"{file}: {len(history.events)} events")
                _write(folder / f"{file}.json", history)


async def record_releases(client: Client, folder: Path) -> None:
    """Write the histories of a first install, and of a release that is undone and mended."""
    world = new_world()
    async with serving(client, world):
        for name, spec in (("installed", SPEC), ("mended", SPEC.but(repair=REPAIR))):
            the = idea(spec=spec)
            handle: Delivery = await client.start_workflow(
                DeliverIdea.run,
                StartDelivery(idea=the, patience=QUICK),
                id=f"idea/{the.key}",
                task_queue=DELIVERY,
            )
            end = await handle.result()
            assert end.outcome.stage is Stage.COMPLETED
            await _write_release(client, folder, name, handle.id)
            world.town.fleet.bad = {"2" * 40: 0.3}


async def _write_release(client: Client, folder: Path, name: str, idea_id: str) -> None:
    """Write what ran since the last time: every run of each workflow of a release."""
    kinds = ("DeployRelease", "WatchRelease", "RollBackRelease", "RetireRelease")
    seen: dict[str, int] = {}
    _write(folder / f"DeliverIdea-{name}.json", await _history(client, idea_id))
    async for run in client.list_workflows():
        if run.workflow_type not in kinds or (run.id, run.run_id) in _WRITTEN:
            continue
        _WRITTEN.add((run.id, run.run_id))
        await _settled(client, run.id)
        number = seen[run.workflow_type] = seen.get(run.workflow_type, 0) + 1
        history = await _history(client, run.id, run.run_id)
        _write(folder / f"{run.workflow_type}-{name}-{number}.json", history)


_WRITTEN: set[tuple[str, str | None]] = set()


async def _history(client: Client, id_: str, run: str | None = None) -> WorkflowHistory:
    return await client.get_workflow_handle(id_, run_id=run).fetch_history()


def _worker(client: Client, queue: str, world: World) -> Worker:
    delivering = queue == DELIVERY
    return Worker(
        client,
        task_queue=queue,
        workflows=[DeliverIdea, ImplementTask, IntegrateChanges] if delivering else [],
        activities=[] if delivering else world.activities(),
    )


async def _settled(client: Client, workflow_id: str) -> None:
    """Wait until the train has ended for want of entries."""
    try:
        await client.get_workflow_handle(workflow_id).result()
    except WorkflowFailureError as error:
        raise AssertionError(f"{workflow_id} failed") from error


def _write(path: Path, history: WorkflowHistory) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(history.to_json() + "\n", encoding="utf-8")


async def main(folder: Path) -> None:
    from tests.conftest import TUNED, temporal_binary

    with tempfile.TemporaryDirectory() as scratch:
        async with await WorkflowEnvironment.start_local(
            plugins=[slipway_plugin()],
            dev_server_existing_path=os.environ.get("SLIPWAY_TEMPORAL_BIN") or temporal_binary(),
            dev_server_database_filename=f"{scratch}/t.db",
            dev_server_extra_args=[f"--dynamic-config-value={k}={v}" for k, v in TUNED.items()],
            search_attributes=list(SEARCH_ATTRIBUTES),
        ) as env:
            await record(env.client, folder)
            await record_releases(env.client, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
