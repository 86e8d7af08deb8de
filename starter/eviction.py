"""Eviction: tell the server that a worker is dead, so that its work is done again at once.

Only for a worker that was reaped; one that is merely frozen would go on beside its successor.
"""

import asyncio
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    ResetStickyTaskQueueRequest,
    RespondActivityTaskFailedByIdRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

_AT_ONCE = 16
# Zero would mean the delay of the activity's own retry policy.
_NOW_NANOS = 1_000_000


async def evict(client: Client, identity: str) -> int:
    """Fail the activities that the dead worker held (they are tried again) and unstick its
    workflows; the number of activities.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(execution: WorkflowExecution) -> int:
        async with slots:
            return await _evict_from(client, execution, identity)

    found = client.list_workflows("ExecutionStatus = 'Running'")
    executions = [WorkflowExecution(workflow_id=run.id, run_id=run.run_id) async for run in found]
    return sum(await asyncio.gather(*(one(execution) for execution in executions)))


async def _evict_from(client: Client, execution: WorkflowExecution, identity: str) -> int:
    service = client.workflow_service
    try:
        await service.reset_sticky_task_queue(
            ResetStickyTaskQueueRequest(namespace=client.namespace, execution=execution)
        )
        told = await service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=execution)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
            return 0
        raise
    held = [activity for activity in told.pending_activities if _held(activity, identity)]
    for activity in held:
        await _fail(client, execution, activity.activity_id, identity)
    return len(held)


def _held(activity: Any, identity: str) -> bool:
    started = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    return bool(started and activity.last_worker_identity == identity)


async def _fail(client: Client, execution: WorkflowExecution, activity: str, identity: str) -> None:
    info = ApplicationFailureInfo(type="WorkerLost")
    info.next_retry_delay.FromNanoseconds(_NOW_NANOS)
    request = RespondActivityTaskFailedByIdRequest(
        namespace=client.namespace,
        workflow_id=execution.workflow_id,
        run_id=execution.run_id,
        activity_id=activity,
        identity=identity,
        failure=Failure(
            message=f"Worker {identity} died", source="slipway", application_failure_info=info
        ),
    )
    try:
        await client.workflow_service.respond_activity_task_failed_by_id(request)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # it has just timed out by itself
            raise
