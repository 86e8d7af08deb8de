"""A workflow that drives a graph by slipway's own `Dispatch`, a child per task."""

from datetime import timedelta

from temporalio import activity, workflow

from domain.plan import SkeletonTask
from domain.record import Record
from workflows.dispatch import Dispatch

with workflow.unsafe.imports_passed_through():
    from asyncio import sleep


class GraphOrder(Record):
    tasks: tuple[SkeletonTask, ...]
    width: int


class LeafOrder(Record):
    task: SkeletonTask


@activity.defn
async def work_on(order: LeafOrder) -> LeafOrder:
    await sleep(0.05)
    return order


@workflow.defn
class DrivenLeaf:
    @workflow.run
    async def run(self, order: LeafOrder) -> bool:
        await workflow.execute_activity(
            work_on, order, task_queue="agents", start_to_close_timeout=timedelta(seconds=60)
        )
        return True


@workflow.defn
class DrivenGraph:
    @workflow.run
    async def run(self, order: GraphOrder) -> int:
        dispatch = Dispatch(order.tasks, self._leaf, width=order.width)
        await dispatch.run()
        return len(order.tasks) if dispatch.graph.is_done() else 0

    async def _leaf(self, task: SkeletonTask) -> bool:
        child = f"{workflow.info().workflow_id}/{task.id}"
        return await workflow.execute_child_workflow(DrivenLeaf.run, LeafOrder(task=task), id=child)
