"""WatchRelease: watch a release that has all the traffic, until it has proven itself or failed."""

from temporalio import workflow

from activities.release_orders import JudgeStep, StepJudged
from activities.watching import Watching
from domain.delivery import CALM, Patience
from domain.record import Record
from workflows.names import ENV, IDEA, REPO
from workflows.options import watching


class StartWatch(Record):
    order: JudgeStep
    patience: Patience = CALM


@workflow.defn
class WatchRelease:
    """The bake: the same judge, against what the release before did in the same rollout."""

    @workflow.run
    async def run(self, start: StartWatch) -> StepJudged:
        plan = start.order.plan
        workflow.upsert_search_attributes(
            [
                IDEA.value_set(plan.key),
                REPO.value_set(plan.place.repository.id),
                ENV.value_set(plan.place.environment),
            ]
        )
        return await workflow.execute_activity_method(
            Watching.judge_step,
            start.order,
            **watching(
                start.patience, start.order.cap_s, f"watch {plan.tag or plan.sha[:12]} at 100 %"
            ),
        )
