"""A stand-in for an idea: joins the train, waits for its answer, and may change its mind."""

import asyncio
from datetime import timedelta

from temporalio import workflow

from activities.source import JoinTrain, LeaveTrain, Source
from domain.train import MergeResult
from workflows.names import INTEGRATIONS


@workflow.defn
class Rider:
    @workflow.init
    def __init__(self, order: JoinTrain) -> None:
        self._results: list[MergeResult] = []

    @workflow.run
    async def run(self, order: JoinTrain) -> list[MergeResult]:
        await workflow.execute_activity_method(
            Source.join_train,
            order,
            task_queue=INTEGRATIONS,
            start_to_close_timeout=timedelta(seconds=20),
        )
        await workflow.wait_condition(lambda: bool(self._results))
        return self._results

    @workflow.update
    async def join_again(self, order: JoinTrain) -> int:
        joined = await workflow.execute_activity_method(
            Source.join_train,
            order,
            task_queue=INTEGRATIONS,
            start_to_close_timeout=timedelta(seconds=20),
        )
        return joined.position

    @workflow.update
    async def change_mind(self, order: LeaveTrain) -> None:
        await workflow.execute_activity_method(
            Source.leave_train,
            order,
            task_queue=INTEGRATIONS,
            start_to_close_timeout=timedelta(seconds=20),
        )

    @workflow.signal
    def merge_result(self, result: MergeResult) -> None:
        self._results.append(result)


@workflow.defn
class Leaver:
    """Leaves a train that it never joined."""

    @workflow.init
    def __init__(self, order: LeaveTrain) -> None:
        self._result: asyncio.Future[MergeResult] = asyncio.Future()

    @workflow.run
    async def run(self, order: LeaveTrain) -> MergeResult:
        await workflow.execute_activity_method(
            Source.leave_train,
            order,
            task_queue=INTEGRATIONS,
            start_to_close_timeout=timedelta(seconds=20),
        )
        return await self._result

    @workflow.signal
    def merge_result(self, result: MergeResult) -> None:
        self._result.set_result(result)
