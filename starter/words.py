"""Words for people: times, sizes, and the sentences that explain why an idea waits."""

import time

from domain.delivery import TERMINAL, TaskState, Wait
from domain.record import Record
from domain.record_view import IdeaRecord, TaskView

_DONE = (TaskState.MERGED, TaskState.SKIPPED, TaskState.SUPERSEDED, TaskState.CANCELLED)
_WHY = {
    "Paused": "it is paused",
    "Frozen": "a freeze window holds the merge back",
    "BlockedOnDependency": "it needs what is not done yet",
    "BlockedOnQuota": "a quota is used up",
    "BlockedOnBudget": "its budget is used up",
    "BlockedOnCapacity": "all slots are busy",
    "AwaitingInput": "it needs an answer",
    "AwaitingApproval": "policy asks for an approval",
    "NeedsBackend": "no agent can do one of its tasks",
    "InTrain": "it is in the merge train",
}
_BY_COMMAND = ("Paused", "AwaitingInput", "AwaitingApproval")  # their predicate is a command


class Explanation(Record):
    """Why an idea is where it is: on whom it waits, until when, when slipway looks again."""

    key: str
    state: str
    waits: tuple[Wait, ...]
    blocked: dict[str, tuple[str, ...]]  # task to the unfinished tasks that it needs
    running: bool  # whether slipway runs here
    sentences: tuple[str, ...]


def duration(seconds: float) -> str:
    """Return a length of time in the unit that fits."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


def clock(at_ms: int) -> str:
    """Return a moment as local time; with its date unless it is today."""
    at = time.localtime(at_ms / 1000)
    today = time.localtime()[:3] == at[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", at)


def elapsed(record: IdeaRecord, now_ms: int) -> float:
    """Return the seconds from its start to its end, or to now."""
    return max(0, ((record.ended_at_ms or now_ms) - record.created_at_ms) / 1000)


def newest_round(record: IdeaRecord) -> tuple[TaskView, ...]:
    """Return the tasks of the newest round."""
    last = max((task.round for task in record.tasks), default=1)
    return tuple(task for task in record.tasks if task.round == last)


def explain(record: IdeaRecord, *, running: bool, now_ms: int) -> Explanation:
    """Say why the idea stands where it stands, from its record alone."""
    blocked = _blocked(record)
    if record.state in TERMINAL:
        sentences: tuple[str, ...] = (_ended(record),)
    else:
        sentences = (*_standing(record, running, now_ms), *_tasks(record, blocked))
    return Explanation(
        key=record.key,
        state=record.state,
        waits=record.waits,
        blocked=blocked,
        running=running,
        sentences=sentences,
    )


def wait_sentence(wait: Wait, now_ms: int) -> str:
    """Say what an idea waits for, on whom, since when and until when."""
    since = duration((now_ms - wait.since_ms) / 1000)
    goes_on = "with" if wait.flag in _BY_COMMAND else "when"
    told = (
        f"It has waited {since} for {wait.owner}, because {_WHY.get(wait.flag, wait.flag)}. "
        f"It goes on {goes_on}: {wait.predicate.rstrip('.')}."
    )
    return f"{told} Slipway looks again at {clock(wait.recheck_ms)}." if wait.recheck_ms else told


def _standing(record: IdeaRecord, running: bool, now_ms: int) -> tuple[str, ...]:
    sentences = [f"{record.key} is {record.state}{_because(record.reason)}."]
    sentences += [wait_sentence(wait, now_ms) for wait in record.waits]
    for question in record.questions:
        sentences.append(
            f"Approval {question.approval} expires at {clock(question.answer_by_ms)}; "
            f"slipway idea approve {record.key} {question.approval} (or deny)."
        )
    if not running:
        sentences.append("slipway does not run here: nothing moves until `slipway up`.")
    return tuple(sentences)


def _tasks(record: IdeaRecord, blocked: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    tasks = newest_round(record)
    active = [f"{task.id} ({task.state})" for task in tasks if _active(task)]
    failed = [task for task in tasks if task.state == TaskState.FAILED]
    sentences = [f"Task {task.id} has failed{_because(task.reason)}." for task in failed]
    if active:
        sentences.append(f"At work: {', '.join(active)}.")
    sentences += [f"Task {task} comes after {', '.join(on)}." for task, on in blocked.items()]
    return tuple(sentences)


def _active(task: TaskView) -> bool:
    return task.state not in (*_DONE, TaskState.FAILED, TaskState.PENDING)


def _blocked(record: IdeaRecord) -> dict[str, tuple[str, ...]]:
    tasks = newest_round(record)
    open_ = {task.id for task in tasks if task.state not in _DONE}
    return {
        task.id: unfinished
        for task in tasks
        if task.state == TaskState.PENDING
        and (unfinished := tuple(need for need in task.needs if need in open_))
    }


def _ended(record: IdeaRecord) -> str:
    at = f" at {clock(record.ended_at_ms)}" if record.ended_at_ms else ""
    why = _because(record.outcome.reason if record.outcome else record.reason)
    return f"{record.key} ended {record.state}{at}{why}."


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""
