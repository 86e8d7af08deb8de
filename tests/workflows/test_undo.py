"""Undoing by hand what has passed: no rollout is open, so the way back tells all of it."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle

from activities.undoing import RestoreTraffic
from domain.delivery import Steer
from domain.deployment import FULL
from domain.rollout import RolloutPlan, RolloutState, Undo
from tests.fakes import World
from tests.fleet import Town
from tests.workflows.scenario import QUICK
from tests.workflows.test_deploy import NEW, OLD, SERVICE, installed, serving, start_of
from workflows.deploy import DeployRelease
from workflows.names import DELIVERY, deploy_id, rollback_id
from workflows.undo import RollBackRelease, StartRollback

pytestmark = pytest.mark.server

BY = Steer(actor="ann", via="cli", reason="the shop is slow")


@pytest.fixture
def begin(temporal) -> Callable[..., Awaitable[WorkflowHandle]]:
    async def start(order) -> WorkflowHandle:
        id_ = deploy_id(order.place.target)
        return await temporal.client.start_workflow(
            DeployRelease.run, order, id=id_, task_queue=DELIVERY
        )

    return start


async def passed_twice(town: Town, world: World, begin, name: str) -> RolloutPlan:
    """Release two commits that pass; the plan of the second one."""
    await installed(town, begin, name)
    town.line.commits.append(NEW)
    result = await (await begin(start_of(NEW, name))).result()
    assert result.status is RolloutState.PASSED, result.reason
    plan: RolloutPlan = world.told("rollout_planned")[-1].plan
    return plan


def rollback(plan: RolloutPlan, *, by: Steer | None) -> StartRollback:
    order = RestoreTraffic(
        place=plan.place,
        key=plan.key,
        rollout=plan.rollout,
        service=plan.service,
        environment=plan.environment,
        anchor=plan.anchor,
        op=f"{plan.rollout}/by-hand/1",
    )
    return StartRollback(
        order=order, plan=plan, round=1, reason=BY.reason, patience=QUICK, least=50, by=by
    )


async def undone(temporal, start: StartRollback) -> Undo:
    return await temporal.client.execute_workflow(
        RollBackRelease.run,
        start,
        id=rollback_id(start.plan.place.target),
        task_queue=DELIVERY,
    )


async def test_what_has_passed_gives_its_traffic_back_to_what_passed_before(temporal, begin):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        plan = await passed_twice(town, world, begin, f"r-{uuid4().hex[:8]}")
        undo = await undone(temporal, rollback(plan, by=BY))

    target = plan.place.target
    assert undo.verified, undo.reason
    assert town.fleet.weight_of(OLD) == FULL
    assert (town.memory.current[target].sha, town.memory.passed[target].sha) == (OLD, OLD)
    assert f"{plan.rollout}.0" in town.fleet.stopped


async def test_the_way_back_by_hand_is_on_record_from_order_to_end(temporal, begin):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        plan = await passed_twice(town, world, begin, f"r-{uuid4().hex[:8]}")
        before = len(world.facts)
        await undone(temporal, rollback(plan, by=BY))

    told = world.facts[before:]
    assert [fact.kind for fact in told] == [
        "steered", "rollout_moved", "merges_quarantined", "rollout_undone", "rollout_ended",
    ]  # fmt: skip
    assert (told[0].verb, told[0].actor, told[0].reason) == ("rollback", "ann", BY.reason)
    assert told[1].state is RolloutState.UNDOING
    assert set(town.memory.barred) == {NEW}
    assert told[-1].result.status is RolloutState.UNDONE


async def test_what_a_rollout_undoes_itself_it_also_tells_itself(temporal, begin):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        plan = await passed_twice(town, world, begin, f"r-{uuid4().hex[:8]}")
        before = len(world.facts)
        await undone(temporal, rollback(plan, by=None))

    assert [fact.kind for fact in world.facts[before:]] == ["rollout_undone"]
    assert not town.memory.barred


class Village(Town):
    """Nobody comes by here but we ourselves."""

    async def visit(self, url: str, count: int, rate: float) -> int:
        for name, route in self.fleet.routes.items():
            self.fleet._totals[name] = self.fleet._totals.get(name, 0) + count * route.weight / FULL
        return count


async def test_without_users_an_undo_is_proven_by_our_own_requests_in_seconds(temporal, begin):
    town, world = Village(SERVICE), World()
    async with serving(temporal, town, world):
        plan = await passed_twice(town, world, begin, f"r-{uuid4().hex[:8]}")
        town.fleet.rps = 0
        undo = await undone(temporal, rollback(plan, by=BY).but(least=100))

    assert undo.verified, undo.reason
    assert undo.verified_ms - undo.restored_ms < 20_000
