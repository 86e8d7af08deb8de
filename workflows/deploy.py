"""DeployRelease: one release on its way to one target, step by step, until it has proven itself."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from activities.deployments import (
    BuildRelease,
    ChooseNext,
    Deployments,
    EndInstances,
    FinishRollout,
    RunHook,
    ShiftTraffic,
    StartReplicas,
    WarmUp,
)
from activities.policies import Policies
from activities.watching import JudgeStep, StepJudged, Watching
from domain.deployment import FULL, Artefact, Instance
from domain.policy import DecidePhase, Facts, PolicyOutcome
from domain.rollout import (
    PlannedStep,
    RolloutPlan,
    RolloutResult,
    RolloutState,
    RolloutTurn,
    StartRollout,
    Undo,
)
from domain.rollout_fact import (
    HookRan,
    RolloutPlanned,
    VerdictGiven,
    ended,
)
from domain.verdict import Verdict
from workflows.cancelling import over_before_cancel, to_the_end
from workflows.chronicle import now_ms
from workflows.failures import failure_of
from workflows.monitor import StartWatch, WatchRelease
from workflows.names import ENV, IDEA, REPO, retire_id, rollback_id, watch_id
from workflows.options import deploying, quick, shifting, starts, watching
from workflows.quarantine import bar_merges
from workflows.retire import RetireRelease, StartRetirement
from workflows.rollout_steering import RolloutSteering
from workflows.undo import RollBackRelease, StartRollback, undo_order

_REFUSED = {
    "held": RolloutState.HELD,
    "failed": RolloutState.FAILED,
    "nothing": RolloutState.PASSED,
}


class Ended(Exception):
    """Leaves the story with a state; nothing has to be undone."""

    def __init__(self, state: RolloutState, reason: str, superseded_by: str = "") -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason
        self.superseded_by = superseded_by


class Regression(Exception):
    """Leaves the story with an undo."""

    def __init__(self, reason: str, verdict: Verdict | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.verdict = verdict


@workflow.defn
class DeployRelease(RolloutSteering):
    """Single flight per target: its id names the target; who comes later waits in it."""

    @workflow.init
    def __init__(self, start: StartRollout) -> None:
        super().__init__(start)
        self._plan: RolloutPlan | None = None
        self._verdict: Verdict | None = None
        self._undo: Undo | None = None
        self._quarantined: tuple[str, ...] = ()
        self._generation = 0
        self._exposure = 0.0
        self._bad_since_ms = 0
        self._judged_step = 0  # of the last verdict

    @workflow.run
    async def run(self, start: StartRollout) -> RolloutResult:
        workflow.upsert_search_attributes(
            [
                IDEA.value_set(start.key),
                REPO.value_set(start.place.repository.id),
                ENV.value_set(start.place.environment),
            ]
        )
        end = await self._story()
        return await to_the_end(self._close(end))

    async def _close(self, end: RolloutResult | Regression) -> RolloutResult:
        """Take back what has to be undone, and tell how it ended; nothing cancels this."""
        result = await self._answer(end) if isinstance(end, Regression) else end
        self._show(state=result.status, reason=result.reason, waits="")
        await self._tell(ended(result))
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._call_waiters()
        return result

    async def _story(self) -> RolloutResult | Regression:
        """Go forward; return how that ended, or why it has to be undone."""
        try:
            reason = await self._forward()
            return self._result(RolloutState.PASSED, reason)
        except Ended as end:
            return self._result(end.state, end.reason, end.superseded_by)
        except Regression as regression:
            return regression
        except asyncio.CancelledError:
            return Regression("the rollout was cancelled")
        except (ActivityError, ChildWorkflowError) as error:
            if is_cancelled_exception(error):
                return Regression("the rollout was cancelled")
            return Regression(failure_of(error)[1])

    # The way forward --------------------------------------------------------------------

    async def _forward(self) -> str:
        plan = await self._prepare()
        await self._may_go_on(plan, plan.steps[0], None)
        await self._enter(RolloutState.BUILDING, "building the release")
        artefact = await workflow.execute_activity_method(
            Deployments.build_release,
            BuildRelease(plan=plan),
            **deploying(self._patience, f"build {plan.sha[:12]}"),
        )
        await self._start_beside(plan, artefact)
        before: PlannedStep | None = None
        for step in plan.steps:
            if before is not None or self._held or self._undo_wanted is not None:
                await self._may_go_on(plan, step, before)
            await self._shift(plan, step)
            await self._judged(plan, step)
            before = step
        await self._finish(plan, artefact, passed=False)
        verdict = await self._bake(plan)
        await self._hook(plan, artefact, "post")
        await self._finish(plan, artefact, passed=True)
        await self._retire(plan)
        return verdict.reason

    async def _prepare(self) -> RolloutPlan:
        prepared = await workflow.execute_activity_method(
            Deployments.prepare_rollout,
            self._start,
            **deploying(self._patience, f"plan the rollout of {self._start.place.target}"),
        )
        if prepared.refusal is not None:
            refusal = prepared.refusal
            raise Ended(_REFUSED[refusal.status], f"{refusal.reason}. {refusal.hint}".strip(". "))
        plan = self._plan = prepared.plan
        if plan is None:
            raise AssertionError("prepared without a plan or a refusal")
        self._show(steps=plan.steps)
        await self._tell(RolloutPlanned(plan=plan))
        return plan

    async def _start_beside(self, plan: RolloutPlan, artefact: Artefact) -> None:
        """Start the new release beside the old one, without traffic, and try it."""
        await self._hook(plan, artefact, "pre")
        await self._hook(plan, artefact, "pre_deploy")
        await self._enter(RolloutState.STARTING, "starting the new release beside the old one")
        starting = workflow.start_activity_method(
            Deployments.start_replicas,
            StartReplicas(plan=plan, artefact=artefact),
            **starts(self._patience, f"start {plan.service.replicas} instances"),
        )
        replicas = await over_before_cancel(starting)
        self._generation = replicas.generation
        await self._hook(plan, artefact, "smoke", f"http://{replicas.instances[0].address}")
        await self._warm_up(plan, replicas.instances)

    async def _warm_up(self, plan: RolloutPlan, instances: tuple[Instance, ...]) -> None:
        if plan.service.warmup_requests:
            await workflow.execute_activity_method(
                Deployments.warm_up,
                WarmUp(plan=plan, instances=instances),
                **deploying(self._patience, f"{plan.service.warmup_requests} requests to warm up"),
            )

    async def _hook(self, plan: RolloutPlan, artefact: Artefact, hook: str, url: str = "") -> None:
        """Run a hook, if the service has it; one that fails is a reason to go back."""
        line = plan.service.pre_deploy if hook == "pre_deploy" else ""
        if not (line or getattr(plan.service.strategy, hook, "")):
            return
        order = {"plan": plan, "hook": hook, "artefact": artefact, "url": url}
        end = await workflow.execute_activity_method(
            Deployments.run_hook,
            RunHook.model_validate(order),
            **deploying(self._patience, f"hook {hook}"),
        )
        await self._tell(HookRan(rollout=plan.rollout, hook=hook, ok=end.ok, reason=end.reason))
        if not end.ok:
            raise Regression(f"the hook {hook} failed: {end.reason}")

    async def _shift(self, plan: RolloutPlan, step: PlannedStep) -> None:
        before = self._exposure
        self._exposure = max(before, step.weight / FULL)  # from now on it may have traffic
        shifted = await workflow.execute_activity_method(
            Deployments.shift_traffic,
            ShiftTraffic(
                plan=plan,
                weight=step.weight,
                expected=self._generation,
                op=f"{plan.rollout}/step/{step.index}",
            ),
            **shifting(self._patience, f"{step.weight / 100:g} % of the traffic"),
        )
        if shifted.status == "stale":
            self._exposure = before
            raise Regression(f"somebody else has moved the traffic: {shifted.reason}")
        self._generation = shifted.generation
        self._promoted = False
        self._show(step=step.index, weight=step.weight)
        await self._enter(RolloutState.SHIFTING, f"{step.weight / 100:g} % of the traffic")

    async def _finish(self, plan: RolloutPlan, artefact: Artefact, *, passed: bool) -> None:
        await workflow.execute_activity_method(
            Deployments.finish_rollout,
            FinishRollout(plan=plan, artefact=artefact, passed=passed),
            **deploying(self._patience, "note what the target serves"),
        )

    async def _retire(self, plan: RolloutPlan) -> None:
        """Keep what was replaced warm for a while: going back is then a change of weights."""
        if plan.anchor is None:
            return
        order = EndInstances(
            place=plan.place,
            service=plan.service,
            environment=plan.environment,
            rollout=plan.anchor.rollout,
        )
        await workflow.start_child_workflow(
            RetireRelease.run,
            StartRetirement(
                order=order, keep_s=plan.service.strategy.keep_old, patience=self._patience
            ),
            id=retire_id(plan.place.target, plan.rollout),
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )

    # Judgement --------------------------------------------------------------------------

    async def _judged(self, plan: RolloutPlan, step: PlannedStep) -> None:
        """Watch a step until it may be left; what stays unclear waits for a person, watched."""
        cap = max(step.hold_s, plan.service.strategy.hold_cap if step.hold_s else 0)
        while step.hold_s and not self._promoted:
            hold = cap if self._held else step.hold_s
            judged = await self._look(plan, step, hold, cap)
            if judged is None:
                continue
            await self._told(plan, step.index, judged)
            if judged.verdict.verdict == "pass" and not self._held:
                break
            if judged.verdict.verdict != "pass":
                self._unclear(plan, judged.verdict)
            cap *= 2
        self._promoted = False
        self._show(waits="")

    def _unclear(self, plan: RolloutPlan, verdict: Verdict) -> None:
        """Say what follows from a step that has not passed; raises where it is an undo."""
        strategy = plan.service.strategy
        if verdict.verdict == "fail":
            raise Regression(verdict.reason, verdict)
        if strategy.on_inconclusive == "rollback":
            raise Regression(f"nothing was proven: {verdict.reason}", verdict)
        if strategy.on_inconclusive == "promote" and _sees_enough(plan, verdict):
            self._promoted = True
            return
        target = plan.place.target
        self._show(waits=f"a person: slipway release promote {target}, or rollback")

    async def _look(
        self, plan: RolloutPlan, step: PlannedStep, hold_s: float, cap_s: float
    ) -> StepJudged | None:
        """Watch a step until it is decided; None when somebody has said something meanwhile."""
        self._go_back_if_wanted()
        self._nudged = False
        handle = workflow.start_activity_method(
            Watching.judge_step,
            JudgeStep(
                plan=plan,
                step=step.index,
                hold_s=hold_s,
                cap_s=cap_s,
                generation=self._generation,
            ),
            **watching(self._patience, cap_s, f"watch {step.weight / 100:g} %"),
        )
        try:
            await workflow.wait_condition(lambda: handle.done() or self._nudged)
        finally:
            if not handle.done():
                handle.cancel()
        if handle.done():
            return handle.result()
        self._go_back_if_wanted()
        return None

    async def _told(self, plan: RolloutPlan, step: int, judged: StepJudged) -> None:
        if judged.moved and judged.verdict.verdict != "fail":
            raise Regression("somebody else has moved the traffic")
        self._verdict, self._judged_step = judged.verdict, step
        self._bad_since_ms = self._bad_since_ms or judged.since_ms
        self._show(verdicts=(*self._board.verdicts, judged.verdict)[-12:])
        if judged.verdict.verdict != "fail":  # an undo comes before its report
            await self._tell(VerdictGiven(rollout=plan.rollout, step=step, verdict=judged.verdict))

    async def _bake(self, plan: RolloutPlan) -> Verdict:
        """Watch the release with all the traffic; a newer one may take its place meanwhile."""
        await self._enter(RolloutState.BAKING, f"all traffic, watched for {plan.bake_s:g} s")
        await self._call(self._start.waiter, "rollout_bakes", plan.place.target)
        cap, tries = plan.bake_s, 0
        while True:
            await self._give_way(plan, undo=False)
            judged = await self._watch_release(plan, cap, tries)
            if judged is None:
                if self._promoted:
                    return self._verdict or _unproven()
                tries += 1
                continue
            await self._told(plan, len(plan.steps), judged)
            if judged.verdict.verdict == "pass":
                return judged.verdict
            self._unclear(plan, judged.verdict)
            if self._promoted:
                return judged.verdict
            cap, tries = max(cap * 2, 60), tries + 1

    async def _watch_release(self, plan: RolloutPlan, cap: float, tries: int) -> StepJudged | None:
        self._go_back_if_wanted()
        self._nudged = False
        order = JudgeStep(
            plan=plan,
            step=len(plan.steps),
            hold_s=plan.bake_s,
            cap_s=cap,
            bake=True,
            generation=self._generation,
        )
        suffix = f"/{tries}" if tries else ""
        handle = await workflow.start_child_workflow(
            WatchRelease.run,
            StartWatch(order=order, patience=self._patience),
            id=watch_id(plan.place.target, plan.rollout) + suffix,
            static_summary=f"watch {plan.tag or plan.sha[:12]} at 100 %",
        )
        while True:
            await workflow.wait_condition(lambda: handle.done() or self._nudged)
            if handle.done():
                return handle.result()
            self._nudged = False
            if self._promoted or self._undo_wanted or await self._next_holds_us(plan):
                handle.cancel()
                self._go_back_if_wanted()
                return None

    # What may hold a step up ------------------------------------------------------------

    async def _may_go_on(
        self, plan: RolloutPlan, step: PlannedStep, before: PlannedStep | None
    ) -> None:
        """Wait for windows and people before more traffic moves; what runs is watched on."""
        confirmed = not _asks(plan, step)
        while True:
            self._go_back_if_wanted()
            await self._give_way(plan, undo=True)
            frozen_ms = await self._frozen_until(plan)
            confirmed = confirmed or self._promoted
            if not frozen_ms and confirmed and not self._held:
                self._promoted = False
                self._show(waits="")
                return
            await self._wait_here(plan, before, frozen_ms)

    async def _wait_here(
        self, plan: RolloutPlan, before: PlannedStep | None, frozen_ms: int
    ) -> None:
        seconds = max(1.0, (frozen_ms - now_ms()) / 1_000) if frozen_ms else 3_600.0
        whom = "a freeze window" if frozen_ms else "a person"
        self._show(waits=f"{whom}: slipway release promote {plan.place.target}, or rollback")
        if before is not None and before.hold_s:
            judged = await self._look(plan, before, seconds, seconds)
            if judged is not None and (judged.moved or judged.verdict.verdict == "fail"):
                await self._told(plan, before.index, judged)
                raise Regression(judged.verdict.reason, judged.verdict)
            return
        await self._enter(RolloutState.WAITING, f"waits for {whom}")
        self._nudged = False
        try:
            await workflow.wait_condition(lambda: self._nudged, timeout=timedelta(seconds=seconds))
        except TimeoutError:
            return

    async def _frozen_until(self, plan: RolloutPlan) -> int:
        """Return until when a freeze window holds deployments up; 0: none does."""
        place = plan.place
        decision = await workflow.execute_activity_method(
            Policies.decide_phase,
            DecidePhase(
                facts=Facts(phase="deploy", repo=place.repository.id, now_ms=now_ms()),
                repository=place.repository,
                base_sha=plan.sha,
            ),
            **quick(self._patience, "freeze windows"),
        )
        frozen = decision.frozen_until_ms > now_ms() and decision.outcome is PolicyOutcome.DENY
        return decision.frozen_until_ms if frozen else 0

    def _go_back_if_wanted(self) -> None:
        if self._undo_wanted is not None:
            steer = self._undo_wanted
            raise Regression(f"{steer.actor} wanted it undone: {steer.reason}".rstrip(": "))

    async def _next_holds_us(self, plan: RolloutPlan) -> StartRollout | None:
        """Return the waiting release that contains this one, if there is one."""
        if not self._waiters:
            return None
        chosen = await self._newest((plan.sha, *(each.sha for each in self._waiters)))
        return next((w for w in self._waiters if w.sha == chosen and chosen != plan.sha), None)

    async def _newest(self, shas: tuple[str, ...]) -> str:
        chosen = await workflow.execute_activity_method(
            Deployments.choose_next,
            ChooseNext(place=self._start.place, shas=shas),
            **deploying(self._patience, "which release holds the others"),
        )
        return chosen.sha

    async def _give_way(self, plan: RolloutPlan, *, undo: bool) -> None:
        """Let a release that contains this one take its place, at the border of a step."""
        newer = await self._next_holds_us(plan)
        if newer is None:
            return
        if undo and self._exposure:
            await self._undone(plan, f"{newer.tag or newer.sha[:12]} takes its place")
        reason = f"{newer.tag or newer.sha[:12]} of idea {newer.key} contains it"
        raise Ended(RolloutState.SUPERSEDED, reason, newer.key)

    # The way back -----------------------------------------------------------------------

    async def _answer(self, regression: Regression) -> RolloutResult:
        """Undo, or stand still where the service wants that."""
        plan, self._verdict = self._plan, regression.verdict or self._verdict
        if plan is None:
            return self._result(RolloutState.FAILED, regression.reason)
        if not self._exposure:
            await self._withdraw(plan)
            return self._result(RolloutState.FAILED, regression.reason)
        contract = plan.service.schema_change == "contract"
        action = "freeze" if contract else plan.service.strategy.on_failure
        if action != "rollback" and self._undo_wanted is None:
            await self._stand_still(plan, regression, action)
        undo = await self._undone(plan, regression.reason)
        await self._quarantine(plan, regression.reason)
        state = RolloutState.UNDONE if undo.verified else RolloutState.RESTORED_UNVERIFIED
        return self._result(state, regression.reason)

    async def _stand_still(self, plan: RolloutPlan, regression: Regression, action: str) -> None:
        """Leave the traffic as it is until a person wants the undo; nobody else decides."""
        await self._enter(RolloutState.WAITING, f"on_failure: {action}: {regression.reason}")
        self._show(waits=f"a person: slipway release rollback {plan.place.target}")
        await workflow.wait_condition(lambda: self._undo_wanted is not None)

    async def _undone(self, plan: RolloutPlan, reason: str) -> Undo:
        self._show(state=RolloutState.UNDOING, reason=reason, waits="")
        start = StartRollback(
            order=undo_order(plan),
            plan=plan,
            round=plan.round,
            reason=reason,
            verdict=self._verdict,
            patience=self._patience,
            least=min(200, plan.service.analysis.min_requests * 4),
        )
        undo = self._undo = await self._rolled_back(plan, start)
        self._show(weight=0)
        if self._verdict is not None and self._verdict.verdict == "fail":
            step = self._judged_step
            await self._tell(VerdictGiven(rollout=plan.rollout, step=step, verdict=self._verdict))
        return undo

    async def _rolled_back(self, plan: RolloutPlan, start: StartRollback) -> Undo:
        """Run the way back; one that a person has started meanwhile is waited for."""
        name = rollback_id(plan.place.target)
        while True:
            try:
                return await workflow.execute_child_workflow(
                    RollBackRelease.run,
                    start,
                    id=name,
                    static_summary=start.reason[:180],
                    task_timeout=timedelta(seconds=self._patience.workflow_task),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                )
            except WorkflowAlreadyStartedError:
                await workflow.sleep(timedelta(seconds=1), summary="another undo is on its way")
            except ChildWorkflowError as error:
                if is_cancelled_exception(error):
                    raise
                return await self._helpless(plan, failure_of(error)[1])

    async def _helpless(self, plan: RolloutPlan, reason: str) -> Undo:
        """The way back is gone: say so, and leave the traffic where it is."""
        self._show(waits=f"a person: the undo failed: {reason}"[:300])
        return Undo(rollout=plan.rollout, verified=False, reason=f"the undo failed: {reason}")

    async def _quarantine(self, plan: RolloutPlan, reason: str) -> None:
        fact = await bar_merges(plan, reason, self._patience)
        self._quarantined = tuple(item.sha for item in fact.items)
        await self._tell(fact)

    async def _withdraw(self, plan: RolloutPlan) -> None:
        """Stop what was started and never had traffic."""
        order = EndInstances(
            place=plan.place,
            service=plan.service,
            environment=plan.environment,
            rollout=plan.rollout,
        )
        await workflow.execute_activity_method(
            Deployments.end_instances,
            order,
            **deploying(self._patience, "stop what had no traffic yet"),
        )

    # The end ----------------------------------------------------------------------------

    def _result(self, status: RolloutState, reason: str, superseded_by: str = "") -> RolloutResult:
        start = self._start
        return RolloutResult(
            rollout=start.rollout,
            target=start.place.target,
            status=status,
            reason=reason,
            sha=start.sha,
            tag=start.tag,
            verdict=self._verdict,
            undo=self._undo,
            merges=self._quarantined,
            exposure=self._exposure,
            superseded_by=superseded_by,
            bad_since_ms=self._bad_since_ms,
        )

    async def _call_waiters(self) -> None:
        """Give the target to the release that contains the others; those end with it."""
        if not self._waiters:
            return
        chosen = await self._newest(tuple(each.sha for each in self._waiters))
        heir = next(each for each in self._waiters if each.sha == chosen)
        for each in self._waiters:
            turn = RolloutTurn(
                target=self._start.place.target,
                rollout=each.rollout,
                go=each is heir,
                superseded_by="" if each is heir else heir.key,
            )
            await self._call(each.waiter, "rollout_turn", turn)

    async def _call(self, waiter: str, signal: str, word: object) -> None:
        """Tell an idea; one that is over need not know."""
        if not waiter:
            return
        handle = workflow.get_external_workflow_handle(waiter)
        try:
            await handle.signal(signal, word)
        except ApplicationError:
            workflow.logger.info("%s is over, and is not called", waiter)


def _asks(plan: RolloutPlan, step: PlannedStep) -> bool:
    """Return whether a person has to confirm this step."""
    confirm = plan.service.strategy.confirm
    if step.index == 0:
        return "start" in confirm
    return "step" in confirm or (step.weight == FULL and "promote" in confirm)


def _sees_enough(plan: RolloutPlan, verdict: Verdict) -> bool:
    """Return whether what could not be seen is smaller than what the service can live with."""
    if any(each.log_e >= each.threshold for each in verdict.classes):
        return False  # it saw something, if only for a moment
    most = max((each.mde for each in verdict.classes), default=float("inf"))
    return most <= plan.service.strategy.promote_mde


def _unproven() -> Verdict:
    return Verdict(verdict="inconclusive", reason="promoted by a person before it was proven")
