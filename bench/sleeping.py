"""Ideas whose tasks sleep: how they are started, caught half way, and what ran twice."""

import asyncio
from datetime import timedelta
from statistics import median

from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.client import Client, WorkflowHandle, WorkflowHistory

from bench.row import Row, interval, percentile_95
from bench.service import Home, order_of
from domain.delivery import Stage, StartDelivery, TaskState
from workflows.deliver import DeliverIdea, DeliveryEnd
from workflows.names import task_id

TASKS, FINISHED = 12, 2  # in all; before a kill
_WORK = "implement_task"
_STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


class Sleeper:
    """An idea that runs."""

    def __init__(
        self, client: Client, order: StartDelivery, handle: WorkflowHandle[DeliverIdea, DeliveryEnd]
    ) -> None:
        self._client = client
        self._handle = handle
        self._key = order.idea.key
        self._tasks = [task_id(order.idea.key, 1, task.id) for task in order.idea.spec.tasks]

    @classmethod
    async def start(cls, client: Client, place: Home) -> "Sleeper":
        order = await order_of(place, TASKS)
        handle = await client.start_workflow(
            DeliverIdea.run,
            order,
            id=f"idea/{order.idea.key}",
            task_queue="delivery",
            task_timeout=timedelta(seconds=order.patience.workflow_task),  # as `idea start` does
        )
        return cls(client, order, handle)

    async def half_way(self) -> None:
        """Wait until some tasks are finished and an agent works on another one."""
        async with asyncio.timeout(120):
            while not await self._is_half_way():  # noqa: ASYNC110 (the server tells nobody)
                await asyncio.sleep(0.02)

    async def ended(self) -> None:
        """Wait for the end; raises `AssertionError` when it is not a merge."""
        async with asyncio.timeout(180):
            end = await self._handle.result()
        if end.outcome.stage is not Stage.COMPLETED:
            raise AssertionError(f"the idea ended as {end.outcome}")

    async def ran_again(self) -> list[float]:
        """Return when tasks that a kill had interrupted ran again (seconds since 1970).

        Raises `AssertionError` when a finished task ran again.
        """
        histories = [await self._history(task) for task in self._tasks]
        return [at for history in histories for at in _later_starts(history)]

    async def _is_half_way(self) -> bool:
        board = await self._handle.query(DeliverIdea.board)
        finished = sum(task.state is TaskState.MERGED for task in board.tasks)
        begun = [task.id for task in board.tasks if task.state is TaskState.WORKING]
        return finished >= FINISHED and any([await self._works_on(task) for task in begun])

    async def _works_on(self, task: str) -> bool:
        """Whether an agent works on the task right now."""
        told = await self._client.get_workflow_handle(task_id(self._key, 1, task)).describe()
        return any(
            pending.activity_type.name == _WORK and pending.state == _STARTED
            for pending in told.raw_description.pending_activities
        )

    async def _history(self, task: str) -> WorkflowHistory:
        return await self._client.get_workflow_handle(task).fetch_history()


def _later_starts(history: WorkflowHistory) -> list[float]:
    """Return when the second and later runs of the task's attempt began."""
    orders = [
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == _WORK
    ]
    if len(orders) != 1:
        raise AssertionError(f"{history.workflow_id} was done {len(orders)} times, not once")
    starts = [
        (event.event_time, event.activity_task_started_event_attributes)
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    ]
    return [
        at.ToMicroseconds() / 1e6
        for at, start in starts
        if start.scheduled_event_id == orders[0] and start.attempt > 1
    ]


def row_of(name: str, values: list[float], limit: float) -> Row:
    """Return the row of seconds after kills: their 95th percentile must stay below a limit."""
    value = percentile_95(values)
    low, high = interval(values)
    return Row(
        name=name,
        value=round(value, 3),
        unit="s",
        goal=f"95 % <= {limit:g} s, no finished task ran again",
        met=value <= limit,
        low=round(low, 3),
        high=round(high, 3),
        runs=len(values),
        note=f"median {median(values):.2f} s",
    )
