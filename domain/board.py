"""The board of an idea: what a person sees of it while it runs."""

from domain.change import Release
from domain.delivery import Outcome, Stage, TaskState, Wait
from domain.record import Record
from domain.review import GateResult, Verdict

# Above this many tasks the board counts instead of listing: current details hold 20,000 bytes.
LISTED_TASKS = 40
# Signs that fonts of text have: those of pictures are empty boxes on many a machine.
_MARKS = {
    TaskState.MERGED: "✔",
    TaskState.FAILED: "✘",
    TaskState.SKIPPED: "–",
    TaskState.CANCELLED: "–",
    TaskState.WORKING: "▶",
    TaskState.PENDING: "·",
}
_VERDICTS = {
    Verdict.PASSED: "✔",
    Verdict.FAILED: "✘",
    Verdict.HELD: "?",
    Verdict.SKIPPED: "–",
}
_FIRST = (Verdict.FAILED, Verdict.HELD)  # the gates that people look for
_COMMAND = "slipway "  # a wait that begins so is ended by this command; after `: ` it says why


class BoardTask(Record):
    id: str
    title: str
    state: TaskState = TaskState.PENDING
    reason: str = ""


class Board(Record):
    """One idea at one moment."""

    key: str
    title: str
    stage: Stage = Stage.REGISTERED
    round: int = 1
    waits: tuple[Wait, ...] = ()
    tasks: tuple[BoardTask, ...] = ()
    gates: tuple[GateResult, ...] = ()
    release: Release | None = None
    outcome: Outcome | None = None

    def task(self, id_: str, state: TaskState, reason: str = "") -> "Board":
        """Return the board with one task moved."""
        return self.but(
            tasks=tuple(
                task.but(state=state, reason=reason) if task.id == id_ else task
                for task in self.tasks
            )
        )


def markdown(board: Board) -> str:
    """Return the board as Markdown for the current details of the workflow."""
    parts = [f"### {_plain(board.title)}\n\n**{board.stage}**, round {board.round}"]
    if board.waits:
        parts += [_wait(wait) for wait in board.waits]
    if board.tasks:
        parts.append(_tasks(board.tasks))
    if board.gates:
        rows = [
            f"| {_VERDICTS[gate.verdict]} {gate.gate} | {gate.verdict} | {_plain(gate.reason)} |"
            for gate in sorted(board.gates, key=lambda gate: gate.verdict not in _FIRST)
        ]
        parts.append("\n".join(["| Gate | Verdict | Why |", "|---|---|---|", *rows]))
    if board.release:
        parts.append(
            f"**Released**: tag `{board.release.tag}`, branch `{board.release.branch}`, "
            f"commit `{board.release.sha[:12]}`"
        )
    if board.outcome:
        parts.append(f"**{board.outcome.stage}**: {_plain(board.outcome.reason)}")
    return "\n\n".join(parts)


def _wait(wait: Wait) -> str:
    """Say who is waited for and why; a command stands apart, so that it can be copied."""
    who = f"**Waits for {_plain(wait.owner)}** ({wait.flag})"
    if not wait.predicate.startswith(_COMMAND):
        return f"{who}: {_plain(wait.predicate)}"
    command, _, why = wait.predicate.partition(": ")
    told = f"{who}: {_plain(' · '.join(why.splitlines()))}" if why else who
    return f"{told}\n\nIt goes on with `{' '.join(command.split())}`"


def _tasks(tasks: tuple[BoardTask, ...]) -> str:
    if len(tasks) > LISTED_TASKS:
        counts = dict.fromkeys(TaskState, 0)
        for task in tasks:
            counts[task.state] += 1
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        return f"{len(tasks)} tasks: {told}"
    rows = [
        f"| {_MARKS.get(task.state, '…')} {task.id} | {_plain(task.title)} | {task.state} |"
        for task in tasks
    ]
    table = "\n".join(["| Task | What | State |", "|---|---|---|", *rows])
    # Below the table: beside it, one long reason leaves the other columns a word's width.
    reasons = "\n".join(f"- {task.id}: {_plain(task.reason)}" for task in tasks if task.reason)
    return f"{table}\n\n{reasons}".rstrip()


def _plain(text: str) -> str:
    """Keep a text on one line and out of the table's grammar."""
    flat = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return flat if len(flat) <= 300 else flat[:299] + "…"
