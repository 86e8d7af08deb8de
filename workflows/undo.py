"""RollBackRelease: give the traffic back to what passed before, and prove that it worked."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.deployments import Deployments, EndInstances
from activities.undoing import Restored, RestoreTraffic, Undoing, VerifyUndo
from domain.delivery import CALM, Patience, Steer
from domain.fact import Steered
from domain.record import Record
from domain.rollout import RolloutPlan, RolloutResult, RolloutState, Undo
from domain.rollout_fact import RolloutMoved, RolloutUndone, ended
from domain.verdict import Verdict
from workflows.chronicle import Chronicle, now_ms
from workflows.failures import failure_of
from workflows.names import ENV, IDEA, REPO
from workflows.options import deploying, shifting, watching
from workflows.quarantine import bar_merges


class StartRollback(Record):
    """`plan` is that of the rollout which is undone.

    With `by` a person undoes what no rollout looks after any more; its end is told here then.
    """

    order: RestoreTraffic
    plan: RolloutPlan
    round: int
    reason: str
    verdict: Verdict | None = None
    patience: Patience = CALM
    verify_s: float = 600
    least: int = 200  # requests that the restored release must have answered
    by: Steer | None = None  # None: the rollout itself, which tells its end


@workflow.defn
class RollBackRelease:
    """Its first step moves the traffic; nothing that policy says holds it up."""

    @workflow.run
    async def run(self, start: StartRollback) -> Undo:
        decided = now_ms()
        chronicle = Chronicle(start.order.key, start.patience)
        restored = await workflow.execute_activity_method(
            Undoing.restore_traffic,
            start.order,
            **shifting(start.patience, "give all traffic to the release before"),
        )
        self._mark(start)
        if start.by is not None:
            await self._begin_alone(start, start.by, chronicle)
        undo = await self._proven(start, restored, decided)
        await chronicle.tell(start.round, RolloutUndone(undo=undo))
        if start.by is not None:
            await self._end_alone(start, undo, chronicle)
        await self._end_instances(start)
        return undo

    async def _begin_alone(self, start: StartRollback, by: Steer, chronicle: Chronicle) -> None:
        """Tell who wanted it, and bar what is undone, as its rollout would have done."""
        steered = Steered(verb="rollback", actor=by.actor, via=by.via, reason=by.reason)
        moved = RolloutMoved(
            rollout=start.order.rollout, state=RolloutState.UNDOING, reason=start.reason
        )
        barred = await bar_merges(start.plan, start.reason, start.patience)
        await chronicle.tell(start.round, steered, moved, barred, actor=by.actor)

    async def _end_alone(self, start: StartRollback, undo: Undo, chronicle: Chronicle) -> None:
        plan = start.plan
        result = RolloutResult(
            rollout=plan.rollout,
            target=plan.place.target,
            status=RolloutState.UNDONE if undo.verified else RolloutState.RESTORED_UNVERIFIED,
            reason=start.reason,
            sha=plan.sha,
            tag=plan.tag,
            undo=undo,
            merges=plan.merges,
        )
        await chronicle.tell(start.round, ended(result))

    async def _proven(self, start: StartRollback, restored: Restored, decided: int) -> Undo:
        """Return what could be proven; an undo that happened is never lost over its proof."""
        try:
            return await workflow.execute_activity_method(
                Undoing.verify_undo,
                VerifyUndo(
                    order=start.order,
                    restored=restored,
                    plan=start.plan,
                    verdict=start.verdict,
                    decided_ms=decided,
                    patience_s=start.verify_s,
                    least=start.least,
                ),
                **watching(start.patience, start.verify_s, "prove that the undo worked"),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            _, reason = failure_of(error)
            return Undo(
                rollout=start.order.rollout,
                verified=False,
                reason=reason,
                generation=restored.generation,
                decided_ms=decided,
                restored_ms=restored.at_ms,
            )

    async def _end_instances(self, start: StartRollback) -> None:
        order = start.order
        await workflow.execute_activity_method(
            Deployments.end_instances,
            EndInstances(
                place=order.place,
                service=order.service,
                environment=order.environment,
                rollout=order.rollout,
            ),
            **deploying(start.patience, "stop the release that was undone"),
        )

    def _mark(self, start: StartRollback) -> None:
        """Make it searchable; after the traffic is back, for that comes first."""
        workflow.upsert_search_attributes(
            [
                IDEA.value_set(start.order.key),
                REPO.value_set(start.order.place.repository.id),
                ENV.value_set(start.order.place.environment),
            ]
        )


def undo_order(plan: RolloutPlan) -> RestoreTraffic:
    """Return the order that takes a rollout back to the release before it."""
    return RestoreTraffic(
        place=plan.place,
        key=plan.key,
        rollout=plan.rollout,
        service=plan.service,
        environment=plan.environment,
        anchor=plan.anchor,
        op=f"{plan.rollout}/undo",
    )
