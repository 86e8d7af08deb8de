"""Releasing: a merged change goes to production, and comes back as a repair when it hurts."""

import asyncio
import json
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from activities.deployments import CureMerges, Deployments, FindServices, ServicesFound
from activities.source import ComposeTask, MeasureChange, RoundOpened, Source
from activities.undoing import PlanUndo, Undoing
from domain.change import Release
from domain.delivery import FailureClass, Stage, StartDelivery, Steer
from domain.deployment import Place
from domain.idea import Idea, Repair
from domain.rollout import RolloutResult, RolloutState, RolloutTurn, StartRollout
from domain.rollout_fact import QuarantineCured
from domain.ulid import ulid
from workflows.asking import Asking, Over
from workflows.chronicle import now_ms
from workflows.deploy import DeployRelease
from workflows.names import deploy_id, rollback_id
from workflows.options import deploying, plumbing
from workflows.steering import Rollout
from workflows.undo import RollBackRelease, StartRollback, undo_order

CONFIG = ".slipway.yaml"


class Remedy:
    """What was undone, and how this round mends it."""

    def __init__(self, release: Release, result: RolloutResult, repair: Repair) -> None:
        self.release = release
        self.result = result
        self.repair = repair

    @property
    def is_revert(self) -> bool:
        return self.repair.kind == "revert"


class Releasing(Asking):
    """One rollout per service and environment, in the order in which they need each other."""

    def __init__(self, start: StartDelivery) -> None:
        super().__init__(start)
        self._turn: RolloutTurn | None = None
        self._baking = ""  # target that has all its traffic, and is watched
        self._remedy: Remedy | None = None
        self._undone: tuple[RolloutResult, ...] = ()
        self._tries: dict[str, int] = {}
        self._failures: dict[str, FailureClass] = {}

    @workflow.signal
    def rollout_turn(self, turn: RolloutTurn) -> None:
        """The target is free, or another release that contains this one has taken it."""
        self._turn = turn

    @workflow.signal
    def rollout_bakes(self, target: str) -> None:
        """A release has all the traffic of its target."""
        self._baking = target

    async def _release(self, opened: RoundOpened, release: Release) -> RolloutResult | None:
        """Bring a release everywhere it belongs; return what was undone, None: nothing was."""
        if self._remedy is not None:
            await self._record_cure(self._remedy, release)
        passed: list[RolloutResult] = []
        found = await self._services(opened, release)
        for place in found.places:
            await self._may_deploy(place, release, found.deployed_at_ms.get(place.target, ()))
            result = await self._until_released(place, release)
            if result.status is RolloutState.UNDONE:
                await self._take_back(passed, result)
                return result
            passed.append(result)
        return None

    async def _take_back(self, passed: list[RolloutResult], failed: RolloutResult) -> None:
        """Undo what this round has released elsewhere: what needs others goes first."""
        reason = f"{failed.target} was undone: {failed.reason}"[:500]
        for result in reversed(passed):
            order = PlanUndo(rollout=result.rollout, key=self._idea.key)
            planned = await workflow.execute_activity_method(
                Undoing.plan_undo,
                order,
                **deploying(self._patience, f"plan the way back of {result.target}"),
            )
            if planned.plan is None:  # it served this commit before, and goes on
                continue
            await workflow.execute_child_workflow(
                RollBackRelease.run,
                StartRollback(
                    order=undo_order(planned.plan),
                    plan=planned.plan,
                    round=self._round,
                    reason=reason,
                    patience=self._patience,
                    by=Steer(actor="slipway", via="rollout", reason=reason),
                ),
                id=rollback_id(result.target),
                static_summary=reason[:180],
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )

    async def _services(self, opened: RoundOpened, release: Release) -> ServicesFound:
        """Return where the change is deployed; repositories without services cost nothing."""
        if not opened.facts.services and CONFIG not in self._facts.paths:
            return ServicesFound()
        if self._idea.spec.deploy.strategy == "none":
            return ServicesFound()
        return await workflow.execute_activity_method(
            Deployments.find_services,
            FindServices(
                key=self._idea.key,
                place=Place(repository=self._idea.repository, service="", environment=""),
                base_sha=release.parent_sha or opened.base_sha,
                sha=release.sha,
            ),
            **deploying(self._patience, "find the services that the change touches"),
        )

    async def _may_deploy(
        self, place: Place, release: Release, deployed_at_ms: tuple[int, ...]
    ) -> None:
        facts = self._facts.but(
            phase="deploy",
            service=place.service,
            environment=place.environment,
            deployed_at_ms=deployed_at_ms,
            asked="deploy" in self._idea.spec.approvals,
        )
        subject = {"idea": self._idea.key, "sha": release.sha, "target": place.target}
        await self._pass(
            facts,
            subject=json.dumps(subject, sort_keys=True, separators=(",", ":")),
            base_sha=release.parent_sha,
            head_sha=release.sha,
        )

    async def _until_released(self, place: Place, release: Release) -> RolloutResult:
        """Roll out until that has passed or was undone; what stands still waits for a person."""
        confirmed = False
        while True:
            await self._enter(
                Stage.DEPLOYING, f"{release.tag or release.sha[:12]} to {place.target}"
            )
            result = await self._roll_out(place, release, confirmed=confirmed)
            match result.status:
                case RolloutState.PASSED | RolloutState.UNDONE:
                    return result
                case RolloutState.SUPERSEDED:
                    raise Over(Stage.SUPERSEDED, FailureClass.NONE, result.reason)
                case _:
                    command = f"slipway idea retry {self._idea.key}, or cancel"
                    await self._until_retried(f"{command}: {result.reason}")
                    confirmed = True

    async def _roll_out(self, place: Place, release: Release, *, confirmed: bool) -> RolloutResult:
        """Start a rollout, or wait for the one that has the target; its result."""
        while True:
            self._turn, self._baking = None, ""
            start = self._start_rollout(place, release, confirmed=confirmed)
            try:
                self._rollout = await workflow.start_child_workflow(
                    DeployRelease.run,
                    start,
                    id=deploy_id(place.target),
                    static_summary=f"{_name(release)} to {place.target}"[:180],
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    cancellation_type=(
                        workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
                    ),
                )
            except WorkflowAlreadyStartedError:
                if await self._superseded(start):
                    turn: RolloutTurn | None = self._turn
                    return _gave_way(start, turn.superseded_by if turn else "")
                continue
            return await self._result_of(place)

    async def _result_of(self, place: Place) -> RolloutResult:
        handle = self._rollout
        if handle is None:
            raise AssertionError("a rollout was started")
        try:
            await self._shown(handle, place)
            result = await handle
        except asyncio.CancelledError:
            await self._taken_back(handle)
            raise
        finally:
            self._rollout = None
        if self._draining and result.status is not RolloutState.PASSED:
            raise asyncio.CancelledError  # nothing is mended any more
        return result

    async def _shown(self, handle: Rollout, place: Place) -> None:
        """Tell when the release has all the traffic; what it needs then is time."""
        await workflow.wait_condition(lambda: handle.done() or self._baking == place.target)
        if not handle.done():
            await self._desk.enter(Stage.MONITORING, f"{place.target} has all the traffic")

    async def _taken_back(self, handle: Rollout) -> None:
        """Cancel the rollout, which gives the traffic back; wait until that is proven."""
        handle.cancel()
        with suppress(ChildWorkflowError, asyncio.CancelledError):
            await handle

    async def _superseded(self, start: StartRollout) -> bool:
        """Wait in the rollout that has the target; whether another release took this one along."""
        holder = workflow.get_external_workflow_handle(deploy_id(start.place.target))
        try:
            await holder.signal("join", start)
        except Exception:  # it ended meanwhile: the target is free
            return False
        await self._until(
            lambda: self._turn is not None,
            self._wait("BlockedOnCapacity", start.place.target, "the rollout before it ends"),
        )
        turn: RolloutTurn | None = self._turn
        return turn is not None and not turn.go

    def _start_rollout(self, place: Place, release: Release, *, confirmed: bool) -> StartRollout:
        return StartRollout(
            rollout=ulid(now_ms(), workflow.random().getrandbits(80)),
            place=place,
            key=self._idea.key,
            round=self._round,
            sha=release.sha,
            tag=release.tag,
            base_moved=release.base_moved,
            initiator=self._idea.initiator.id,
            patience=self._patience,
            waiter=workflow.info().workflow_id,
            confirmed=confirmed,
        )

    @property
    def _title(self) -> str:
        """What this round is called in the repository."""
        if self._remedy is None:
            return self._idea.spec.title
        word = "Revert" if self._remedy.is_revert else "Repair"
        return f"{word}: {self._idea.spec.title}"

    # Repair -----------------------------------------------------------------------------

    async def _remediate(self, release: Release, result: RolloutResult) -> Remedy:
        """Choose how to mend what was undone; a second undo in a row is a person's to judge."""
        self._undone = (*self._undone, result)
        await self._enter(Stage.REMEDIATING, f"{result.target}: {result.reason}")
        if len(self._undone) > 1:
            command = f"slipway idea retry {self._idea.key} (which reverts), or cancel"
            await self._until_retried(f"undone twice; {command}: {result.reason}")
        declared = self._idea.spec.repair
        repair = declared if declared and len(self._undone) == 1 else Repair(kind="revert")
        self._remedy = Remedy(release, result, repair)
        self._merge_result = None
        self._tries, self._failures = {}, {}
        self._desk.next_round()
        return self._remedy

    async def _record_cure(self, remedy: Remedy, release: Release) -> None:
        """Say which commit mends the undone merges, so that both together may be released."""
        kind = {"forward": "fix", "revert": "revert", "flag_off": "flag_off"}[remedy.repair.kind]
        order = CureMerges.model_validate(
            {
                "repository": self._idea.repository.id,
                "shas": remedy.result.merges,
                "cure": release.sha,
                "kind": kind,
            }
        )
        await workflow.execute_activity_method(
            Deployments.cure_merges,
            order,
            **deploying(self._patience, "record what mends the undone merges"),
        )
        for sha in order.shas:
            self._desk.note(
                QuarantineCured(
                    repository=order.repository, sha=sha, cure=order.cure, cure_kind=order.kind
                )
            )

    async def _revert(self, remedy: Remedy) -> bool:
        """Take the undone change back on the idea branch; whether every byte is as before it.

        A commit picked with its own parent and itself exchanged is its inverse.
        """
        release = remedy.release
        if not release.parent_sha:
            reason = "where the undone change begins is not known: revert it by hand"
            raise Over(Stage.FAILED, FailureClass.UNKNOWN, reason)
        composed = await workflow.execute_activity_method(
            Source.compose_task,
            ComposeTask(
                key=self._idea.key,
                round=self._round,
                task="revert",
                attempt=1,
                repository=self._idea.repository,
                sha=release.parent_sha,
                parent_sha=release.sha,
                title=self._title,
                at_ms=now_ms(),
            ),
            **plumbing(self._patience, "take the undone change back"),
        )
        if composed.status == "conflict":
            paths = ", ".join(composed.conflicts[:5])
            reason = f"others have changed {paths} since; mend it by hand, or revise the idea"
            raise Over(Stage.FAILED, FailureClass.CONFLICT, reason)
        return await self._is_as_before(release, composed.head_sha)

    async def _is_as_before(self, release: Release, head_sha: str) -> bool:
        touched = await self._paths(release.parent_sha, release.sha)
        differs = await self._paths(release.parent_sha, head_sha)
        return touched is not None and differs is not None and not touched & differs

    async def _paths(self, base_sha: str, sha: str) -> set[str] | None:
        """Return the paths that differ; None when there are too many to travel."""
        change = await workflow.execute_activity_method(
            Source.measure_change,
            MeasureChange(repository=self._idea.repository, base_sha=base_sha, sha=sha),
            **plumbing(self._patience, "compare with what was before"),
        )
        paths = {file.path for file in change.files}
        return paths if len(paths) == change.file_count else None


def repairing(idea: Idea, repair: Repair) -> Idea:
    """Return the idea as the planner sees it in a round that mends: the repair is all its work."""
    spec = idea.spec.but(
        changes=repair.changes, tasks=repair.tasks, recipe=repair.recipe, goal=repair.goal
    )
    return idea.but(spec=spec)


def _name(release: Release) -> str:
    return release.tag or release.sha[:12]


def _gave_way(start: StartRollout, heir: str) -> RolloutResult:
    return RolloutResult(
        rollout=start.rollout,
        target=start.place.target,
        status=RolloutState.SUPERSEDED,
        reason=f"released together with idea {heir}, which contains it",
        sha=start.sha,
        tag=start.tag,
        superseded_by=heir,
    )
