"""Read from histories what an idea really did, so that its rival does just as much."""

from itertools import groupby

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

from bench.bare_idea import Script
from domain.plan import SkeletonTask
from workflows.names import task_id

_ACTIVITY = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
_CHILD = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED


async def script_of(client: Client, key: str, tasks: tuple[SkeletonTask, ...]) -> Script:
    """Return the steps of an idea that has ended; all its tasks did the same."""
    events = (await _history(client, f"idea/{key}")).events
    children = [at for at, event in enumerate(events) if event.event_type == _CHILD]
    child = (await _history(client, task_id(key, 1, tasks[0].id))).events
    after = events[children[-1] :]
    return Script(
        before=_widths(events[: children[0]]),
        needs={task.id: list(task.needs) for task in tasks},
        child=_widths(child),
        after=_widths(after),
        join=_step_of(after, "join_train"),
    )


async def activities_of(client: Client, workflow_id: str, children: list[str]) -> tuple[int, ...]:
    """Return how many activities the idea and each of its children scheduled."""
    counts = []
    for each in (workflow_id, *children):
        events = (await _history(client, each)).events
        counts.append(sum(event.event_type == _ACTIVITY for event in events))
    return tuple(counts)


async def _history(client: Client, workflow_id: str) -> WorkflowHistory:
    return await client.get_workflow_handle(workflow_id).fetch_history()


def _steps(events: list[HistoryEvent]) -> list[list[str]]:
    """Return the names of activities, those of one workflow task together."""
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in events
        if event.event_type == _ACTIVITY
    ]
    grouped = groupby(scheduled, key=lambda each: each.workflow_task_completed_event_id)
    return [[each.activity_type.name for each in group] for _, group in grouped]


def _widths(events: list[HistoryEvent]) -> list[int]:
    return [len(step) for step in _steps(events)]


def _step_of(events: list[HistoryEvent], name: str) -> int:
    return next(at for at, step in enumerate(_steps(events)) if name in step)
