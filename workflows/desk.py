"""Desk: what an idea's workflow keeps in view while it runs: board, waits, facts to be told."""

from collections.abc import Sequence

from temporalio import workflow

from domain.board import Board, BoardTask, markdown
from domain.change import Release
from domain.delivery import Outcome, Stage, StartDelivery, TaskState, Wait
from domain.fact import Fact, IdeaEnded, InputAsked, StageReached, WaitsChanged
from domain.plan import SkeletonTask
from domain.review import GateResult
from workflows.chronicle import Chronicle
from workflows.names import PAUSED, STAGE

_TIERS = ("none", "limits", "bwrap")


class Desk:
    """Keeps the board; every change of stage or wait is recorded, shown and searchable."""

    def __init__(self, start: StartDelivery) -> None:
        self.board = Board(key=start.idea.key, title=start.idea.spec.title)
        self._chronicle = Chronicle(start.idea.key, start.patience)
        self._noted: tuple[Fact, ...] = ()
        self._questions: dict[str, str] = {}  # open input questions: id -> task, "" = planner
        self._covers: dict[str, tuple[str, ...]] = {}
        self._tier = ""

    @property
    def stage(self) -> Stage:
        return self.board.stage

    @property
    def tier(self) -> str:
        """The lowest sandbox tier in which anything of this idea ran."""
        return self._tier or "none"

    @property
    def questions(self) -> dict[str, str]:
        """Open input questions, each with the task whose agent asked (empty: the planner)."""
        return self._questions

    def note(self, fact: Fact) -> None:
        """Keep a fact for the next record, so that one transaction holds what belongs together."""
        self._noted = (*self._noted, fact)

    async def tell(self, *facts: Fact, actor: str = "slipway") -> None:
        noted, self._noted = self._noted, ()
        if noted or facts:
            await self._chronicle.tell(self.board.round, *noted, *facts, actor=actor)

    async def enter(self, stage: Stage, reason: str = "") -> None:
        """Reach a stage: recorded, searchable, shown."""
        self.show(self.board.but(stage=stage))
        workflow.upsert_search_attributes([STAGE.value_set(stage.value)])
        await self.tell(StageReached(stage=stage, reason=reason))

    async def end(self, outcome: Outcome) -> None:
        """Reach the terminal stage; nothing is waited for any more."""
        self._questions = {}
        closing: tuple[Fact, ...] = (WaitsChanged(waits=()),) if self.board.waits else ()
        self.show(self.board.but(stage=outcome.stage, outcome=outcome, waits=()))
        workflow.upsert_search_attributes([STAGE.value_set(outcome.stage.value)])
        await self.tell(*closing, IdeaEnded(outcome=outcome))

    async def wait_begins(self, wait: Wait) -> None:
        waits = (*self._without(wait.flag, wait.subject), wait)
        if wait.flag == "Paused":
            workflow.upsert_search_attributes([PAUSED.value_set(True)])
        self.show(self.board.but(waits=waits))
        await self.tell(WaitsChanged(waits=waits))

    async def wait_ends(self, flag: str, subject: str = "") -> None:
        waits = self._without(flag, subject)
        if waits == self.board.waits:
            return
        if flag == "Paused":
            workflow.upsert_search_attributes([PAUSED.value_set(False)])
        self.show(self.board.but(waits=waits))
        await self.tell(WaitsChanged(waits=waits))

    async def ask(self, asked: InputAsked, wait: Wait) -> None:
        """Open an input question; a task has already recorded its own."""
        self._questions[asked.question] = asked.task
        if not asked.task:
            self.note(asked)
        await self.wait_begins(wait)

    async def answered(self, question: str) -> None:
        self._questions.pop(question, None)
        await self.wait_ends("AwaitingInput", question)

    def lay_out(self, tasks: Sequence[SkeletonTask]) -> None:
        """Put the tasks of a plan on the board."""
        self._covers = {task.id: task.covers for task in tasks}
        self.show(
            self.board.but(tasks=tuple(BoardTask(id=task.id, title=task.title) for task in tasks))
        )

    def covers(self, task: str) -> tuple[str, ...]:
        """Return the acceptance criteria that only this task covers."""
        others = {id_ for other, ids in self._covers.items() if other != task for id_ in ids}
        return tuple(id_ for id_ in self._covers.get(task, ()) if id_ not in others)

    def move_task(self, task: str, state: TaskState, reason: str = "") -> None:
        self.show(self.board.task(task, state, reason))

    def reason(self, task: str) -> str:
        """Return why a task is in its state."""
        return next((seen.reason for seen in self.board.tasks if seen.id == task), "")

    def judged(self, results: tuple[GateResult, ...]) -> None:
        self.show(self.board.but(gates=results))
        for result in results:
            self.ran_in(result.tier.name)

    def ran_in(self, tier: str) -> None:
        """Remember the lowest tier; `none` says that nothing ran."""
        known = [seen for seen in (self._tier, tier) if seen and seen != "none"]
        if known:
            self._tier = min(known, key=_TIERS.index)

    def released(self, release: Release) -> None:
        self.show(self.board.but(release=release))

    def next_round(self) -> int:
        tasks = tuple(task.but(state=TaskState.PENDING, reason="") for task in self.board.tasks)
        self.show(self.board.but(round=self.board.round + 1, tasks=tasks, gates=()))
        return self.board.round

    def show(self, board: Board) -> None:
        """Make this the board, here and in the Web UI."""
        self.board = board
        workflow.set_current_details(markdown(board))

    def _without(self, flag: str, subject: str) -> tuple[Wait, ...]:
        return tuple(
            wait for wait in self.board.waits if (wait.flag, wait.subject) != (flag, subject)
        )
