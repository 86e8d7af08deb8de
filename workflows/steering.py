"""Steering: the messages that people and the train send to an idea, and the state they change."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.source import MergeResult
from domain.approval import Answered, Envelope
from domain.board import Board
from domain.delivery import (
    TERMINAL,
    Answer,
    Outcome,
    Revise,
    Stage,
    StartDelivery,
    Steer,
    TaskState,
    Wait,
)
from domain.errors import Rejected
from domain.fact import (
    IdeaRevised,
    InputAsked,
    InputGiven,
    QuestionAnswered,
    Steered,
    TaskMoved,
)
from domain.rollout import RolloutResult
from workflows.approve import Approvals, answer_sha256
from workflows.chronicle import now_ms
from workflows.desk import Desk
from workflows.dispatch import Dispatch
from workflows.implement import ImplementTask, TaskEnd

Rollout = workflow.ChildWorkflowHandle[Any, RolloutResult]


class Steering:
    """State is complete before `run` begins: a validator may be called first."""

    def __init__(self, start: StartDelivery) -> None:
        self._idea = start.idea
        self._patience = start.patience
        self._desk = Desk(start)
        self._approvals = Approvals()
        self._paused = False
        self._draining = False
        self._revised = False
        self._retried = False
        self._retryable = False
        self._cancel: Steer | None = None
        self._story: asyncio.Task[Outcome] | None = None
        self._answers: dict[str, str] = {}
        self._children: dict[str, workflow.ChildWorkflowHandle[ImplementTask, TaskEnd]] = {}
        self._rollout: Rollout | None = None
        self._dispatch: Dispatch | None = None
        self._merge_result: MergeResult | None = None

    @workflow.query
    def board(self) -> Board:
        """What a person sees of the idea."""
        return self._desk.board

    # Answers ----------------------------------------------------------------------------

    @workflow.update
    async def answer_approval(self, envelope: Envelope) -> Answered:
        """Approve or deny what is asked; the id of the update is the digest of the answer."""
        answer = self._approvals.refuse(envelope)
        question = self._approvals.question
        answered = self._approvals.count(answer)
        await self._desk.tell(
            QuestionAnswered(
                approval=answer.approval,
                answer_sha256=answer_sha256(envelope),
                payload=envelope.payload,
                person=answer.person,
                via=answer.via,
                decision=answer.decision,
                reason=answer.reason,
                self_approved=question is not None and answer.person in question.excluded,
            ),
            actor=answer.person,
        )
        return answered

    @answer_approval.validator
    def _check_answer(self, envelope: Envelope) -> None:
        self._refuse_if_over()
        self._approvals.refuse(envelope)

    @workflow.update
    async def answer_question(self, answer: Answer) -> str:
        """Answer a question of the planner or of an agent."""
        task = self._desk.questions.get(answer.question, "")
        self._answers[answer.question] = answer.text
        self._desk.note(
            InputGiven(
                question=answer.question, text=answer.text, actor=answer.actor, via=answer.via
            )
        )
        await self._desk.answered(answer.question)
        if task in self._children:
            await self._children[task].signal(ImplementTask.answer, answer.text)
        return f"{answer.question} is answered"

    @answer_question.validator
    def _check_question(self, answer: Answer) -> None:
        self._refuse_unless_working()
        if answer.question not in self._desk.questions:
            known = ", ".join(self._desk.questions) or "none"
            raise Rejected(
                f"there is no open question {answer.question!r}; open: {known}", code="not_open"
            )

    @workflow.update
    async def revise_spec(self, revise: Revise) -> str:
        """Take a new specification for an idea that waits for one."""
        revision = self._idea.revision + 1
        # Only what is wanted changes: where, by whom and how the idea was started does not.
        self._idea = self._idea.but(
            spec=revise.idea.spec, spec_digest=revise.idea.spec_digest, revision=revision
        )
        await self._desk.tell(
            IdeaRevised(idea=self._idea, actor=revise.actor, via=revise.via, reason=revise.reason),
            actor=revise.actor,
        )
        self._revised = True
        return f"revision {revision} is taken"

    @revise_spec.validator
    def _check_revision(self, revise: Revise) -> None:
        self._refuse_if_over()
        if revise.idea.repository.id != self._idea.repository.id:
            raise Rejected(
                "a revision stays in its repository; start a new idea instead",
                code="other_repository",
            )
        asks = self._desk.stage is Stage.PLANNING and bool(self._desk.questions)
        if self._desk.stage is not Stage.NEEDS_REFINEMENT and not asks:
            raise Rejected(
                f"the idea is {self._desk.stage}; a specification can be revised only while the "
                "idea waits for it: cancel and start again",
                code="too_late",
            )

    # Steering ---------------------------------------------------------------------------

    @workflow.update
    async def pause(self, steer: Steer) -> str:
        """Stop before the next step; what runs now finishes its step."""
        self._paused = True
        self._desk.note(_steered("pause", steer))
        await self._desk.wait_begins(
            self._wait("Paused", steer.actor, f"slipway idea resume {self._idea.key}")
        )
        for child in tuple(self._children.values()):
            await child.signal(ImplementTask.pause, steer)
        if self._rollout is not None:
            await self._rollout.signal("pause", steer)
        return "paused; what runs now finishes its step"

    @pause.validator
    def _check_pause(self, steer: Steer) -> None:
        self._refuse_if_over()
        if self._paused:
            raise Rejected("the idea is paused already", code="already_paused")

    @workflow.update
    async def resume(self, steer: Steer) -> str:
        """Go on after a pause."""
        self._paused = False
        self._desk.note(_steered("resume", steer))
        await self._desk.wait_ends("Paused")
        for child in tuple(self._children.values()):
            await child.signal(ImplementTask.resume, steer)
        if self._rollout is not None:
            await self._rollout.signal("resume", steer)
        return "resumed"

    @resume.validator
    def _check_resume(self, steer: Steer) -> None:
        self._refuse_if_over()
        if not self._paused:
            raise Rejected("the idea is not paused", code="not_paused")

    @workflow.update
    async def cancel_idea(self, steer: Steer) -> str:
        """Cancel now (everything stops and is cleaned up) or drain (what runs may finish)."""
        running = len(self._children)
        self._cancel = steer
        await self._desk.tell(_steered("cancel", steer), actor=steer.actor)
        if steer.mode == "drain" and running:
            self._draining = True
            return f"draining: {running} running tasks may finish, nothing new starts"
        if steer.mode == "drain" and self._rollout is not None:
            self._draining = True
            return "draining: the release may finish, nothing new starts"
        if self._story is not None:
            self._story.cancel()
        return f"cancelling: {running} running tasks stop, workspaces and branches are removed"

    @cancel_idea.validator
    def _check_cancel(self, steer: Steer) -> None:
        self._refuse_unless_working()

    @workflow.update
    async def retry_task(self, steer: Steer) -> str:
        """Let a failed task start again; without a task: ask or judge again what waits for it."""
        await self._desk.tell(_steered("retry", steer), actor=steer.actor)
        if not steer.task:
            self._retried = True
            return "it is tried again"
        if self._dispatch is not None:
            self._dispatch.retry(steer.task)
        self._desk.move_task(steer.task, TaskState.PENDING)
        return f"{steer.task} starts again"

    @retry_task.validator
    def _check_retry(self, steer: Steer) -> None:
        self._refuse_if_over()
        if steer.task:
            self._refuse_unless_failed(steer.task)
        elif not self._retryable:
            raise Rejected(
                "nothing waits to be tried again; name the task to retry", code="no_task"
            )

    @workflow.update
    async def skip_task(self, steer: Steer) -> str:
        """Give up a failed task and all that need it."""
        skipped = self._dispatch.skip(steer.task) if self._dispatch is not None else ()
        self._desk.note(_steered("skip", steer))
        for task in skipped:
            reason = f"skipped by {steer.actor}"
            self._desk.note(TaskMoved(task=task, state=TaskState.SKIPPED, reason=reason))
            self._desk.move_task(task, TaskState.SKIPPED, reason)
        await self._desk.tell(actor=steer.actor)
        return f"skipped: {', '.join(skipped)}"

    @skip_task.validator
    def _check_skip(self, steer: Steer) -> None:
        self._refuse_if_over()
        self._refuse_unless_failed(steer.task)
        covers = self._desk.covers(steer.task)
        if covers:
            raise Rejected(
                f"only {steer.task} covers {', '.join(covers)}; retry the task or cancel the idea",
                code="covers_acceptance",
            )

    # From other workflows ---------------------------------------------------------------

    @workflow.signal
    def merge_result(self, result: MergeResult) -> None:
        """The merge train's answer; the first counts, since a leave may cross a merge."""
        if result.round == self._desk.board.round and self._merge_result is None:
            self._merge_result = result

    @workflow.signal
    async def input_asked(self, asked: InputAsked) -> None:
        """A task's agent has a question."""
        if asked.task in self._children:
            await self._desk.ask(asked, self._input_wait(asked))

    # Waiting ----------------------------------------------------------------------------

    async def _until(
        self, condition: Callable[[], bool], wait: Wait, timeout: timedelta | None = None
    ) -> None:
        """Wait where people can see it; a time-out ends the wait silently."""
        if condition():
            return
        await self._desk.wait_begins(wait)
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                condition, timeout=timeout, timeout_summary=f"{wait.flag}: {wait.predicate[:150]}"
            )
        await self._desk.wait_ends(wait.flag, wait.subject)

    async def _unless_paused(self) -> None:
        await workflow.wait_condition(lambda: not self._paused)

    def _wait(self, flag: str, owner: str, predicate: str, subject: str = "") -> Wait:
        return Wait.model_validate(
            {
                "flag": flag,
                "owner": owner,
                "predicate": predicate[:1_000],
                "since_ms": now_ms(),
                "subject": subject,
            }
        )

    def _input_wait(self, asked: InputAsked) -> Wait:
        command = f"slipway idea answer {self._idea.key} {asked.question} TEXT"
        return self._wait(
            "AwaitingInput", "a person", f"{command}: {asked.text}", subject=asked.question
        )

    def _refuse_if_over(self) -> None:
        if self._desk.stage in TERMINAL or self._cancel is not None:
            raise Rejected(f"the idea is {self._desk.stage}; it can not change", code="over")

    def _refuse_unless_working(self) -> None:
        """What drains still works: it may need an answer, or take longer than anybody wants."""
        if not self._draining or self._desk.stage in TERMINAL:
            self._refuse_if_over()

    def _refuse_unless_failed(self, task: str) -> None:
        failed = self._dispatch.failed if self._dispatch is not None else ()
        if task not in failed:
            known = ", ".join(failed) or "none"
            raise Rejected(
                f"{task!r} has not failed; failed tasks: {known}", code="task_not_failed"
            )


def _steered(verb: str, steer: Steer) -> Steered:
    return Steered(
        verb=verb, actor=steer.actor, via=steer.via, reason=steer.reason, task=steer.task
    )
