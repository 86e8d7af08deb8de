"""DeliverIdea: the whole life of one idea, from specification to a merged, tagged change."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, is_cancelled_exception

from activities.ledger import Ledger
from activities.planning import PlanIdea, Planned, Planning
from activities.quality import JudgeCommit, Quality, SelectGates
from activities.source import (
    DiscardIdea,
    Head,
    JoinTrain,
    LeaveTrain,
    MeasureChange,
    MergeResult,
    OpenRound,
    ReadHead,
    RoundOpened,
    Source,
    TrainEntry,
)
from domain.change import Change, Release
from domain.delivery import FailureClass, Outcome, Stage, StartDelivery, TaskState
from domain.errors import Problem, Rejected
from domain.fact import (
    BaseResolved,
    GatesRan,
    InputAsked,
    PlanMade,
    ReleaseMade,
)
from domain.idea import ChangeKind, Mode, refusals
from domain.ledger import RegisterIdea
from domain.phases import merge_facts, merge_subject, plan_facts
from domain.plan import Skeleton, SkeletonTask
from domain.record import Record
from domain.repair import repair_findings
from domain.review import Finding, GateResult, GateSet, Verdict
from workflows.asking import Over
from workflows.chronicle import now_ms
from workflows.dispatch import Dispatch
from workflows.failures import failure_of
from workflows.implement import ImplementTask, StartTask
from workflows.names import task_id
from workflows.options import planning, plumbing, quick, selecting
from workflows.release import Releasing, Remedy, repairing
from workflows.review import briefs, of_revert, run_gates, task_briefs

# A task that fails for one of these ends the idea: nothing that a person answers would help.
FINAL = (FailureClass.DETERMINISTIC_ERROR, FailureClass.POLICY_DENIED)


class DeliveryEnd(Record):
    """What the workflow returns; the record in the database says more."""

    key: str
    outcome: Outcome
    tag: str = ""


@workflow.defn
class DeliverIdea(Releasing):
    """Plan, build, judge, integrate and release one idea; wait for people where policy asks."""

    @workflow.init
    def __init__(self, start: StartDelivery) -> None:
        super().__init__(start)
        self._width = start.width
        self._planner_answers: tuple[str, ...] = ()
        self._in_train = False

    @workflow.run
    async def run(self, start: StartDelivery) -> DeliveryEnd:
        self._story = asyncio.create_task(self._deliver())
        try:
            outcome = await self._story
        except asyncio.CancelledError:
            outcome = await asyncio.shield(self._cancelled())
            if self._cancel is None:
                raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        release = self._desk.board.release
        return DeliveryEnd(key=self._idea.key, outcome=outcome, tag=release.tag if release else "")

    async def _deliver(self) -> Outcome:
        try:
            outcome = await self._through_all_stages()
        except Over as over:
            outcome = over.outcome
        except (ActivityError, ChildWorkflowError) as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            failure, reason = failure_of(error)
            outcome = Outcome(stage=Stage.FAILED, failure=failure, reason=reason)
        await self._close(outcome)
        return outcome

    async def _through_all_stages(self) -> Outcome:
        await self._register()
        await self._validate()
        await self._pass(self._facts)
        opened = await self._open_round()
        gates = await self._select_gates(opened)
        skeleton = await self._plan(opened)
        self._stop_if_dry()
        await self._enter(Stage.SCHEDULED)
        while True:
            await self._enter(Stage.RUNNING)
            await self._implement(skeleton, gates)
            merged = await self._merged(opened, skeleton, gates)
            if merged.release is None:
                self._next_round(merged)
                opened = await self._open_round()
                continue
            result = await self._release(opened, self._record_release(merged, merged.release))
            if result is None:
                return self._completed(merged.release)
            remedy = await self._remediate(merged.release, result)
            opened = await self._open_round()
            if remedy.is_revert:
                return await self._release_revert(opened, remedy, gates)
            gates = await self._select_gates(opened)
            skeleton = await self._plan(opened)
            await self._enter(Stage.SCHEDULED)

    async def _merged(
        self, opened: RoundOpened, skeleton: Skeleton | None, gates: GateSet
    ) -> MergeResult:
        await self._enter(Stage.REVIEWING)
        head, change, results = await self._review_until_green(opened, skeleton, gates)
        return await self._integrate(opened, head, change, gates, results)

    async def _release_revert(self, opened: RoundOpened, remedy: Remedy, gates: GateSet) -> Outcome:
        """Merge and release the state before the idea, again and again while others merge."""
        while True:
            await self._enter(Stage.RUNNING, "the undone change is taken back")
            exact = await self._revert(remedy)
            merged = await self._merged(opened, None, of_revert(gates, exact=exact))
            if merged.release is not None:
                break
            self._next_round(merged)
            opened = await self._open_round()
        release = self._record_release(merged, merged.release)
        if await self._release(opened, release) is not None:
            reason = f"even the revert {release.tag} was undone; a person has to look"
            return Outcome(stage=Stage.FAILED, failure=FailureClass.UNKNOWN, reason=reason)
        reason = f"undone, and reverted by {release.tag}: {remedy.result.reason}"
        return Outcome(stage=Stage.ROLLED_BACK, reason=reason)

    # Stages -----------------------------------------------------------------------------

    async def _register(self) -> None:
        info = workflow.info()
        registered = await workflow.execute_activity_method(
            Ledger.register_idea,
            RegisterIdea(
                idea=self._idea,
                workflow_id=info.workflow_id,
                run_id=info.run_id,
                op=f"{info.workflow_id}/{info.run_id}/register",
                at_ms=now_ms(),
            ),
            **quick(self._patience, "put the idea on record"),
        )
        if not registered.accepted:
            raise Rejected(registered.reason, code="key_taken")

    async def _validate(self) -> None:
        await self._enter(Stage.VALIDATING)
        while problems := refusals(self._idea):
            await self._refine(problems)

    async def _refine(self, problems: tuple[Problem, ...]) -> None:
        """Wait for a better specification; every problem is told."""
        reason = "; ".join(problem.message for problem in problems)
        self._revised = False
        await self._enter(Stage.NEEDS_REFINEMENT, reason)
        command = f"slipway idea revise {self._idea.key} FILE"
        await self._until(
            lambda: self._revised,
            self._wait("AwaitingInput", self._idea.initiator.id, f"{command}: {reason}"),
        )
        await self._enter(Stage.VALIDATING)

    async def _open_round(self) -> RoundOpened:
        await self._unless_paused()
        opened = await workflow.execute_activity_method(
            Source.open_round,
            OpenRound(key=self._idea.key, round=self._round, repository=self._idea.repository),
            **plumbing(self._patience, f"start the idea branch of round {self._round}"),
        )
        self._desk.note(BaseResolved(base_sha=opened.base_sha, notes=opened.facts.notes))
        return opened

    async def _select_gates(self, opened: RoundOpened) -> GateSet:
        spec = self._idea.spec
        return await workflow.execute_activity_method(
            Quality.select_gates,
            SelectGates(
                repository=self._idea.repository,
                base_sha=opened.base_sha,
                validation=spec.validation,
                acceptance=spec.acceptance,
                protected_paths=spec.protected_paths,
            ),
            **selecting(self._patience, "find the repository's gates on the base commit"),
        )

    async def _plan(self, opened: RoundOpened) -> Skeleton:
        """Plan until the plan stands: questions are asked, impossible plans come back."""
        await self._enter(Stage.PLANNING)
        while True:
            planned = await self._plan_once(opened)
            if planned.status == "needs_input":
                await self._ask_for_plan(planned)
            elif planned.status == "refused":
                await self._refine(planned.problems)
                await self._replan()
            elif planned.skeleton is None:
                reason = planned.rationale or "nothing to change: the plan has no edits"
                raise Over(Stage.REJECTED, FailureClass.NO_CHANGE, reason)
            else:
                await self._criticise(planned, planned.skeleton)
                return planned.skeleton

    async def _plan_once(self, opened: RoundOpened) -> Planned:
        await self._unless_paused()
        answers = len(self._planner_answers)
        return await workflow.execute_activity_method(
            Planning.plan_idea,
            PlanIdea(
                idea=repairing(self._idea, self._remedy.repair) if self._remedy else self._idea,
                round=self._round,
                base_sha=opened.base_sha,
                answers=self._planner_answers,
                op=f"{self._idea.key}/{self._round}/plan/{self._idea.revision}.{answers}",
            ),
            **planning(self._patience, "plan the idea"),
        )

    async def _replan(self) -> None:
        self._revised = False
        await self._validate()
        await self._enter(Stage.PLANNING)

    async def _ask_for_plan(self, planned: Planned) -> None:
        question = f"plan-{self._round}-{len(self._planner_answers) + 1}"
        asked = InputAsked(question=question, text=planned.question, options=planned.options)
        self._revised = False
        await self._desk.ask(asked, self._input_wait(asked))
        await workflow.wait_condition(
            lambda: question in self._answers or self._revised,
            timeout_summary="waits for a person's answer",
        )
        if self._revised:
            await self._desk.answered(question)
            await self._replan()
        else:
            self._planner_answers = (*self._planner_answers, self._answers[question])

    async def _criticise(self, planned: Planned, skeleton: Skeleton) -> None:
        self._desk.note(PlanMade(skeleton=skeleton, rationale=planned.rationale))
        self._desk.lay_out(skeleton.tasks)
        await self._enter(Stage.CRITIQUING)
        self._facts = plan_facts(
            self._idea,
            tasks=len(skeleton.tasks),
            backends=planned.backends,
            touches=planned.touches,
            irreversible=planned.irreversible,
        )
        await self._pass(self._facts, subject=skeleton.plan.sha256)

    def _stop_if_dry(self) -> None:
        if self._idea.mode is not Mode.LIVE:
            reason = "planned; a dry run changes nothing"
            raise Over(Stage.SHADOW_COMPLETED, FailureClass.NONE, reason)

    async def _implement(self, skeleton: Skeleton, gates: GateSet) -> None:
        """Run all tasks; a task that failed waits for a person, the others go on."""

        async def start(task: SkeletonTask) -> bool:
            return await self._run_task(task, skeleton, gates)

        self._dispatch = dispatch = Dispatch(
            skeleton.tasks,
            start,
            width=self._width.tasks,
            paused=lambda: self._paused and not self._draining,
            stopping=lambda: self._draining,
        )
        await dispatch.run()
        while dispatch.failed and not self._draining:
            self._fail_if_final(dispatch.failed)
            await self._until_steered(dispatch)
            await dispatch.run()
        if self._draining:
            raise asyncio.CancelledError

    async def _run_task(
        self,
        task: SkeletonTask,
        skeleton: Skeleton,
        gates: GateSet,
        findings: tuple[Finding, ...] = (),
    ) -> bool:
        """Run one task to its end; `findings` are what the review wants mended."""
        self._tries[task.id] = self._tries.get(task.id, 0) + 1
        handle = await workflow.start_child_workflow(
            ImplementTask.run,
            StartTask(
                key=self._idea.key,
                round=self._round,
                task=task,
                plan=skeleton.plan,
                repository=self._idea.repository.but(config_file=""),
                gates=task_briefs(gates, task, skeleton.tasks),
                gate_set=gates.digest,
                gate_set_ref=gates.ref,
                max_changed_lines=self._idea.spec.budget.changed_lines or 0,
                patience=self._patience,
                findings=findings,
                try_=self._tries[task.id],
                paused=self._paused,
            ),
            id=task_id(self._idea.key, self._round, task.id),
            static_summary=task.title[:180],
            task_timeout=timedelta(seconds=self._patience.workflow_task),
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
        )
        self._children[task.id] = handle
        self._desk.move_task(task.id, TaskState.WORKING)
        try:
            end = await handle
        finally:
            self._children.pop(task.id, None)
        self._failures[task.id] = end.failure
        self._desk.move_task(task.id, end.state, end.reason)
        self._desk.ran_in(end.tier)
        return end.state is TaskState.MERGED

    def _fail_if_final(self, failed: tuple[str, ...]) -> None:
        for task in failed:
            if self._failures[task] in FINAL:
                reason = f"task {task}: {self._desk.reason(task)}"
                raise Over(Stage.FAILED, self._failures[task], reason)

    async def _until_steered(self, dispatch: Dispatch) -> None:
        """Wait until a person has retried or skipped one of the failed tasks."""
        before = dispatch.failed
        told = "; ".join(f"{task}: {self._desk.reason(task)}" for task in before[:5])
        command = f"slipway idea retry {self._idea.key} {before[0]} (or skip, or cancel)"
        await self._until(
            lambda: dispatch.failed != before or self._draining,
            self._wait("AwaitingInput", "a person", f"{command}: {told}", before[0]),
        )

    async def _review_until_green(
        self, opened: RoundOpened, skeleton: Skeleton | None, gates: GateSet
    ) -> tuple[Head, Change, tuple[GateResult, ...]]:
        """Review, have repaired what is red, a bounded number of times; then a person decides."""
        repairs = 0
        while True:
            head, change, results = await self._review(opened, gates)
            failed = tuple(gate for gate in results if gate.verdict is Verdict.FAILED)
            if not failed:
                return head, change, results
            repairs += 1
            if repairs > self._width.review_rounds or not await self._mended(
                skeleton, gates, failed
            ):
                await self._until_judged_again(failed)
            await self._enter(Stage.REVIEWING)

    async def _mended(
        self, skeleton: Skeleton | None, gates: GateSet, failed: tuple[GateResult, ...]
    ) -> bool:
        """Let the agent of the last task, which saw all others, mend what they break together."""
        if skeleton is None:
            return False
        await self._enter(Stage.RUNNING, _told(failed))
        last = skeleton.tasks[-1]
        return await self._run_task(last, skeleton, gates, repair_findings(failed))

    async def _until_judged_again(self, failed: tuple[GateResult, ...]) -> None:
        command = f"slipway idea retry {self._idea.key}, or cancel"
        reason = f"the tasks together fail what each passed alone: {_told(failed)}"
        await self._until_retried(f"{command}: {reason}")

    async def _review(
        self, opened: RoundOpened, gates: GateSet
    ) -> tuple[Head, Change, tuple[GateResult, ...]]:
        """Judge the tasks together, as they stand on the idea branch."""
        await self._unless_paused()
        head = await self._read_head()
        if head.head_sha == opened.base_sha:
            raise Over(Stage.REJECTED, FailureClass.NO_CHANGE, "no task left a change")
        change = await workflow.execute_activity_method(
            Source.measure_change,
            MeasureChange(
                repository=self._idea.repository, base_sha=opened.base_sha, sha=head.head_sha
            ),
            **plumbing(self._patience, "measure the whole change"),
        )
        results = await self._judge(opened, head, gates)
        return head, change, results

    async def _read_head(self) -> Head:
        return await workflow.execute_activity_method(
            Source.read_head,
            ReadHead(key=self._idea.key, round=self._round, repository=self._idea.repository),
            **plumbing(self._patience, "read the idea branch"),
        )

    async def _judge(
        self, opened: RoundOpened, head: Head, gates: GateSet
    ) -> tuple[GateResult, ...]:
        spec = self._idea.spec
        order = JudgeCommit(
            key=self._idea.key,
            round=self._round,
            where="review",
            repository=self._idea.repository,
            base_sha=opened.base_sha,
            sha=head.head_sha,
            gate_set=gates.digest,
            gate_set_ref=gates.ref,
            protected_paths=gates.protected_paths,
            allowed=spec.scope.include,
            forbidden=spec.scope.out,
            max_changed_lines=spec.budget.changed_lines or 0,
        )
        results = await run_gates(order, briefs(gates), self._patience)
        self._desk.judged(results)
        ran = GatesRan(where="review", sha=head.head_sha, base_sha=opened.base_sha, results=results)
        await self._desk.tell(ran)
        return results

    async def _integrate(
        self,
        opened: RoundOpened,
        head: Head,
        change: Change,
        gates: GateSet,
        results: tuple[GateResult, ...],
    ) -> MergeResult:
        """Pass the phase merge and ride the train; what the train holds is asked again."""
        while True:
            facts = merge_facts(
                self._facts,
                self._idea,
                change,
                results,
                tier=self._desk.tier,
                base_moves=opened.facts.base_moves,
            )
            subject = merge_subject(self._idea, head.head_sha, change, results)
            approvals = await self._pass(
                facts, subject=subject, base_sha=opened.base_sha, head_sha=head.head_sha
            )
            await self._enter(Stage.INTEGRATING)
            entry = self._entry(opened, head, gates, results, approvals)
            merged = await self._ride(entry)
            if merged.status != "held":
                return merged
            results = merged.gates
            self._desk.judged(results)
            await self._enter(Stage.REVIEWING, merged.reason)

    def _entry(
        self,
        opened: RoundOpened,
        head: Head,
        gates: GateSet,
        results: tuple[GateResult, ...],
        approvals: tuple[str, ...],
    ) -> TrainEntry:
        spec = self._idea.spec
        return TrainEntry(
            key=self._idea.key,
            round=self._round,
            workflow_id=workflow.info().workflow_id,
            repository=self._idea.repository,
            base_sha=opened.base_sha,
            head_sha=head.head_sha,
            tree=head.tree,
            title=self._title,
            notes=spec.goal,
            change=ChangeKind.FIX if self._remedy else spec.change or ChangeKind.FEATURE,
            gates=gates,
            gate_results=tuple(result.but(findings=(), newly_failed=()) for result in results),
            approvals=approvals,
            subject_sha256=self._subject_sha256,
            priority=spec.priority if isinstance(spec.priority, int) else 3,
            entered_at_ms=now_ms(),
        )

    async def _ride(self, entry: TrainEntry) -> MergeResult:
        await self._unless_paused()
        self._merge_result, self._in_train = None, True
        await workflow.execute_activity_method(
            Source.join_train,
            JoinTrain(entry=entry, patience=self._patience),
            **plumbing(self._patience, "join the merge train"),
        )
        await self._until(
            lambda: self._merge_result is not None,
            self._wait("InTrain", "the merge train", "the change is merged or sent back"),
        )
        self._in_train = False
        result: MergeResult | None = self._merge_result
        if result is None:
            raise AssertionError("the wait ends with a result")
        return result

    def _record_release(self, merged: MergeResult, release: Release) -> Release:
        if merged.gates:
            self._desk.judged(merged.gates)
            self._desk.note(
                GatesRan(
                    where="train",
                    sha=release.sha,
                    base_sha=merged.base_sha,
                    results=merged.gates,
                )
            )
        self._desk.released(release)
        self._desk.note(ReleaseMade(release=release))
        return release

    def _completed(self, release: Release) -> Outcome:
        where = self._idea.repository.base if release.base_moved else release.branch
        told = f"merged into {where}, tagged {release.tag}"
        return Outcome(stage=Stage.COMPLETED, reason=told)

    def _next_round(self, result: MergeResult) -> None:
        """Do the work again on the base as it is now, or end when that would not help."""
        if result.status in ("refused", "left"):
            raise Over(Stage.FAILED, FailureClass.DETERMINISTIC_ERROR, result.reason)
        failure = FailureClass.CONFLICT if result.status == "conflict" else FailureClass.GATE_FAILED
        if self._round >= self._width.review_rounds:
            raise Over(Stage.FAILED, failure, result.reason)
        self._tries, self._failures = {}, {}
        self._desk.next_round()

    # The end ----------------------------------------------------------------------------

    async def _close(self, outcome: Outcome) -> None:
        """Record the end; what did not become a release leaves no branch behind."""
        await self._desk.end(outcome)
        if outcome.stage is not Stage.COMPLETED:
            await self._discard()

    async def _cancelled(self) -> Outcome:
        """Leave the train, remove what was made, and record who wanted it."""
        steer = self._cancel
        reason = "cancelled from outside"
        if steer is not None:
            reason = steer.reason or f"cancelled by {steer.actor}"
        outcome = Outcome(stage=Stage.CANCELLED, failure=FailureClass.CANCELLED, reason=reason)
        await self._desk.enter(Stage.DRAINING, reason)
        if self._in_train:
            await self._leave_train(reason)
            result = self._merge_result
            if result is not None and result.release is not None:
                outcome = self._completed(self._record_release(result, result.release))
        await self._close(outcome)
        return outcome

    async def _leave_train(self, reason: str) -> None:
        """Leave the queue; a change whose merge has begun is waited for, since it can not go."""
        await workflow.execute_activity_method(
            Source.leave_train,
            LeaveTrain(
                key=self._idea.key,
                round=self._round,
                repository=self._idea.repository,
                reason=reason,
            ),
            **plumbing(self._patience, "leave the merge train"),
        )
        await workflow.wait_condition(lambda: self._merge_result is not None)

    async def _discard(self) -> None:
        await workflow.execute_activity_method(
            Source.discard_idea,
            DiscardIdea(key=self._idea.key, repository=self._idea.repository),
            **plumbing(self._patience, "remove the idea's branches from the store"),
        )


def _told(failed: tuple[GateResult, ...]) -> str:
    return "; ".join(f"{gate.gate}: {gate.reason}" for gate in failed)
