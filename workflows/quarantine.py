"""Quarantine: bar the merges of an undone release from being released again without a cure."""

from temporalio import workflow

from activities.deployments import Deployments, QuarantineMerges
from domain.delivery import Patience
from domain.rollout import Quarantined, RolloutPlan
from domain.rollout_fact import MergesQuarantined
from workflows.chronicle import now_ms
from workflows.options import deploying


async def bar_merges(plan: RolloutPlan, reason: str, patience: Patience) -> MergesQuarantined:
    """Bar every merge of a plan; the fact that tells it."""
    order = QuarantineMerges(plan=plan, reason=reason[:500])
    merges = await workflow.execute_activity_method(
        Deployments.quarantine_merges,
        order,
        **deploying(patience, "bar what was undone from coming back"),
    )
    items = tuple(
        Quarantined(
            repository=plan.place.repository.id,
            sha=sha,
            rollout=plan.rollout,
            key=plan.key,
            reason=order.reason,
            at_ms=now_ms(),
        )
        for sha in merges
    )
    return MergesQuarantined(items=items)
