"""RetireRelease: keep what was replaced warm for a while, then stop it."""

from datetime import timedelta

from temporalio import workflow

from activities.deployments import Deployments, EndInstances, PruneReleases
from domain.delivery import CALM, Patience
from domain.record import Record
from workflows.options import deploying


class StartRetirement(Record):
    order: EndInstances
    keep_s: float
    patience: Patience = CALM


@workflow.defn
class RetireRelease:
    """Ends the instances of one rollout; those that carry traffic again by then stay."""

    @workflow.run
    async def run(self, start: StartRetirement) -> tuple[str, ...]:
        await workflow.sleep(
            timedelta(seconds=start.keep_s), summary="the release before stays warm"
        )
        ended = await workflow.execute_activity_method(
            Deployments.end_instances,
            start.order,
            **deploying(start.patience, f"stop what {start.order.rollout} started"),
        )
        await workflow.execute_activity_method(
            Deployments.prune_releases,
            PruneReleases(place=start.order.place, environment=start.order.environment),
            **deploying(start.patience, "remove what nobody will come back to"),
        )
        return ended
