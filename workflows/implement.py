"""ImplementTask: one task, attempt after attempt, until the platform's gates accept it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.agents import Agents, AttemptResult
from activities.agents import ImplementTask as ImplementOrder
from activities.quality import JudgeCommit
from activities.source import Composed, ComposeTask, Head, ReadHead, Source
from domain.change import Change
from domain.delivery import FailureClass, Patience, Steer, TaskState
from domain.fact import AttemptEnded, Fact, GatesRan, InputAsked, TaskMoved
from domain.plan import SkeletonTask
from domain.record import ArtifactRef, Record
from domain.repair import repair_findings
from domain.repository import Repository
from domain.review import Finding, GateBrief, GateResult, Verdict
from workflows.chronicle import Chronicle
from workflows.failures import failure_of
from workflows.options import agent, plumbing
from workflows.review import run_gates

# What another attempt may mend; anything else ends the task at once.
REPAIRABLE = (FailureClass.GATE_FAILED, FailureClass.CONFLICT)


class StartTask(Record):
    """The start input of `ImplementTask`: small, since the parent's history holds one per task."""

    key: str
    round: int
    task: SkeletonTask
    plan: ArtifactRef
    repository: Repository
    gates: tuple[GateBrief, ...] = ()
    gate_set: str = ""
    gate_set_ref: ArtifactRef | None = None
    protected_paths: tuple[str, ...] = ()
    max_changed_lines: int = 0
    patience: Patience
    findings: tuple[Finding, ...] = ()  # what the review of the whole idea found
    try_: int = 1  # 2 and more: a person asked for another go
    paused: bool = False


class TaskEnd(Record):
    """How a task ended; `head_sha` is where the idea branch stood afterwards."""

    task: str
    state: TaskState
    failure: FailureClass = FailureClass.NONE
    reason: str = ""
    head_sha: str = ""
    attempts: int = 0
    tier: str = "none"
    held: tuple[str, ...] = ()


class Ended(Exception):
    """Leaves the attempts with the end of the task; caught in `run`."""

    def __init__(self, failure: FailureClass, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason


@workflow.defn
class ImplementTask:
    """Work, verify, repair and compose one task; attempts are counted here."""

    @workflow.init
    def __init__(self, start: StartTask) -> None:
        self._start = start
        self._chronicle = Chronicle(start.key, start.patience)
        self._state = TaskState.PREPARING
        self._paused = start.paused
        self._answers: tuple[str, ...] = ()
        self._attempt = 0
        self._findings = start.findings
        self._tier = "none"
        self._held: tuple[str, ...] = ()
        self._noted: tuple[Fact, ...] = ()

    @workflow.run
    async def run(self, start: StartTask) -> TaskEnd:
        try:
            head_sha = await self._until_composed()
        except Ended as end:
            return await self._end(TaskState.FAILED, end.failure, end.reason)
        except ActivityError as error:
            if is_cancelled_exception(error):
                await asyncio.shield(self._cancelled())
                raise
            failure, reason = failure_of(error)
            return await self._end(TaskState.FAILED, failure, reason)
        except asyncio.CancelledError:
            await asyncio.shield(self._cancelled())
            raise
        return await self._end(TaskState.MERGED, FailureClass.NONE, "", head_sha)

    @workflow.signal
    def answer(self, text: str) -> None:
        """A person's answer to the questions of the agent."""
        self._answers = (*self._answers, text)

    @workflow.signal
    def pause(self, steer: Steer) -> None:
        self._paused = True

    @workflow.signal
    def resume(self, steer: Steer) -> None:
        self._paused = False

    @workflow.query
    def state(self) -> TaskState:
        return self._state

    async def _until_composed(self) -> str:
        """Return the head of the idea branch once it holds this task."""
        start_sha = ""
        while self._attempt < self._start.task.attempts:
            self._attempt += 1
            head = await self._read_head()
            result = await self._work(head, start_sha)
            change = self._accepted(result)
            verdicts = await self._verify(head, change)
            failed = [gate for gate in verdicts if gate.verdict is Verdict.FAILED]
            if failed:
                self._findings = repair_findings(tuple(failed))
                start_sha = change.sha
                reason = "; ".join(f"{gate.gate}: {gate.reason}" for gate in failed)
                weakened = any(gate.reason.startswith("test_weakened") for gate in failed)
                failure = FailureClass.TEST_WEAKENED if weakened else FailureClass.GATE_FAILED
                await self._again(failure, reason)
                continue
            composed = await self._compose(change)
            if composed.status == "merged":
                return composed.head_sha
            # The branch moved under us: the same work is done again on what is there now.
            self._findings, start_sha = (), ""
            conflicts = ", ".join(composed.conflicts[:5])
            await self._again(FailureClass.CONFLICT, f"conflict with other tasks in {conflicts}")
        raise AssertionError("the last attempt either ends or composes")

    async def _again(self, failure: FailureClass, reason: str) -> None:
        """Go to the next attempt, or end the task when this was the last."""
        if failure not in REPAIRABLE or self._attempt >= self._start.task.attempts:
            raise Ended(failure, reason)
        await self._move(TaskState.REPAIRING, reason=reason, failure=failure)

    async def _read_head(self) -> Head:
        await self._unless_paused()
        order = ReadHead(
            key=self._start.key, round=self._start.round, repository=self._start.repository
        )
        return await workflow.execute_activity_method(
            Source.read_head, order, **plumbing(self._patience, "read the idea branch")
        )

    async def _work(self, head: Head, start_sha: str) -> AttemptResult:
        """Run attempts until the agent has no more questions."""
        await self._move(TaskState.WORKING)
        while True:
            await self._unless_paused()
            result = await self._attempt_once(head, start_sha)
            if result.status != "needs_input":
                return result
            await self._ask(result)

    async def _attempt_once(self, head: Head, start_sha: str) -> AttemptResult:
        task = self._start.task
        order = ImplementOrder(
            key=self._start.key,
            round=self._start.round,
            task=task.id,
            attempt=self._number(),
            plan=self._start.plan,
            repository=self._start.repository,
            base_sha=head.head_sha,
            start_sha=start_sha,
            findings=self._findings,
            answers=self._answers,
            at_ms=int(workflow.info().start_time.timestamp() * 1000),
        )
        result = await workflow.execute_activity_method(
            Agents.implement_task,
            order,
            **agent(
                self._patience, task.wall_seconds, f"{task.title[:150]} (attempt {self._attempt})"
            ),
        )
        self._tier = result.tier.name
        self._note(
            AttemptEnded(
                task=task.id,
                attempt=order.attempt,
                backend=result.backend,
                status=result.status,
                failure=result.failure,
                reason=result.reason,
                change=result.change,
                transcript=result.transcript,
                seconds=result.seconds,
                tokens=result.usage.input_tokens + result.usage.output_tokens,
                micro_usd=result.usage.micro_usd,
                tier=result.tier.name,
                runs=result.runs,
            )
        )
        return result

    def _accepted(self, result: AttemptResult) -> Change:
        """Return the change of an attempt that changed something; end the task otherwise."""
        if result.status == "changed" and result.change is not None:
            return result.change
        if result.status == "no_change" and self._findings:
            findings = "; ".join(finding.text for finding in self._findings[:3])
            raise Ended(FailureClass.GATE_FAILED, f"no repair was found for: {findings}")
        failure = result.failure
        if failure is FailureClass.NONE:
            failure = (
                FailureClass.NO_CHANGE if result.status == "no_change" else (FailureClass.UNKNOWN)
            )
        raise Ended(failure, result.reason or "the agent changed nothing")

    async def _verify(self, head: Head, change: Change) -> tuple[GateResult, ...]:
        await self._move(TaskState.VERIFYING)
        await self._unless_paused()
        order = JudgeCommit(
            key=self._start.key,
            round=self._start.round,
            where="task",
            task=self._start.task.id,
            attempt=self._number(),
            repository=self._start.repository,
            base_sha=head.head_sha,
            sha=change.sha,
            gate_set=self._start.gate_set,
            gate_set_ref=self._start.gate_set_ref,
            protected_paths=self._start.protected_paths,
            max_changed_lines=self._start.max_changed_lines,
        )
        results = await run_gates(order, self._start.gates, self._patience)
        self._held = tuple(gate.gate for gate in results if gate.verdict is Verdict.HELD)
        if results:
            self._note(
                GatesRan(
                    where="task",
                    task=order.task,
                    attempt=order.attempt,
                    sha=order.sha,
                    base_sha=order.base_sha,
                    results=results,
                )
            )
        return results

    async def _compose(self, change: Change) -> Composed:
        await self._move(TaskState.READY_TO_MERGE)
        await self._unless_paused()
        order = ComposeTask(
            key=self._start.key,
            round=self._start.round,
            task=self._start.task.id,
            attempt=self._number(),
            repository=self._start.repository,
            sha=change.sha,
            parent_sha=change.base_sha,
            title=self._start.task.title,
            at_ms=int(workflow.info().start_time.timestamp() * 1000),
        )
        return await workflow.execute_activity_method(
            Source.compose_task,
            order,
            **plumbing(self._patience, "put the commit onto the idea branch"),
        )

    async def _ask(self, result: AttemptResult) -> None:
        """Wait for a person's answer to the agent's questions."""
        known = len(self._answers)
        text = "\n".join(result.questions) or result.reason or "the agent asks for input"
        question = f"{self._start.task.id}-{self._number()}-{known + 1}"
        asked = InputAsked(question=question, text=text[:2_000], task=self._start.task.id)
        await self._tell(asked)
        parent = workflow.info().parent
        if parent is not None:
            handle = workflow.get_external_workflow_handle(parent.workflow_id)
            await handle.signal("input_asked", asked)
        await workflow.wait_condition(
            lambda: len(self._answers) > known, timeout_summary="waits for a person's answer"
        )

    async def _unless_paused(self) -> None:
        await workflow.wait_condition(lambda: not self._paused)

    async def _move(
        self, state: TaskState, *, reason: str = "", failure: FailureClass = FailureClass.NONE
    ) -> None:
        self._state = state
        workflow.set_current_details(
            f"**{state}**, attempt {self._attempt} of {self._start.task.attempts}\n\n{reason}"
        )
        task = self._start.task
        await self._tell(
            TaskMoved(task=task.id, state=state, title=task.title, reason=reason, failure=failure)
        )

    async def _cancelled(self) -> None:
        await self._move(TaskState.CANCELLED, failure=FailureClass.CANCELLED)

    async def _end(
        self, state: TaskState, failure: FailureClass, reason: str, head_sha: str = ""
    ) -> TaskEnd:
        await self._move(state, reason=reason, failure=failure)
        return TaskEnd(
            task=self._start.task.id,
            state=state,
            failure=failure,
            reason=reason,
            head_sha=head_sha,
            attempts=self._attempt,
            tier=self._tier,
            held=self._held,
        )

    def _number(self) -> int:
        """Return the attempt's number over all goes, which names its commit and workspace."""
        return (self._start.try_ - 1) * self._start.task.attempts + self._attempt

    def _note(self, fact: Fact) -> None:
        """Keep a fact for the next record, so that one transaction holds what belongs together."""
        self._noted = (*self._noted, fact)

    async def _tell(self, *facts: Fact) -> None:
        noted, self._noted = self._noted, ()
        await self._chronicle.tell(self._start.round, *noted, *facts)

    @property
    def _patience(self) -> Patience:
        return self._start.patience
