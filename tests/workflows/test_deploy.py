"""Rollouts on a real server: real activities over a driver whose traffic is made up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.worker import Worker

from domain.delivery import Steer
from domain.deployment import FULL, Place
from domain.policy import Decision, PolicyOutcome
from domain.repository import Repository
from domain.rollout import Quarantined, RolloutResult, RolloutState, StartRollout
from domain.rollout_board import RolloutBoard
from tests.fakes import World
from tests.fleet import RPS, Town, now_ms
from tests.workflows.releasing import SERVICE
from tests.workflows.scenario import QUICK
from workflows.deploy import DeployRelease
from workflows.monitor import WatchRelease
from workflows.names import DELIVERY, DEPLOYMENTS, INTEGRATIONS, deploy_id
from workflows.retire import RetireRelease
from workflows.undo import RollBackRelease

pytestmark = pytest.mark.server

OLD, NEW, NEWER = "a" * 40, "b" * 40, "c" * 40
STEER = Steer(actor="ann", via="cli", reason="I say so")


@asynccontextmanager
async def serving(temporal, town: Town, world: World) -> AsyncIterator[None]:
    workflows = [DeployRelease, WatchRelease, RollBackRelease, RetireRelease]
    delivery = Worker(temporal.client, task_queue=DELIVERY, workflows=workflows)
    deployments = Worker(temporal.client, task_queue=DEPLOYMENTS, activities=town.activities())
    records = Worker(temporal.client, task_queue=INTEGRATIONS, activities=world.activities())
    async with delivery, deployments, records:
        yield


def start_of(sha: str, name: str) -> StartRollout:
    repository = Repository(id=name, name="r", location="/nowhere", base="refs/heads/main")
    return StartRollout(
        rollout=f"01ROLLOUT{sha[:4]}",
        place=Place(repository=repository, service="api", environment="production"),
        key=f"idea-{sha[:4]}",
        round=1,
        sha=sha,
        tag=f"v-{sha[0]}",
        base_moved=True,
        patience=QUICK,
    )


@pytest.fixture
def name() -> str:
    return f"r-{uuid4().hex[:8]}"


@pytest.fixture
def begin(temporal) -> Callable[[StartRollout], Awaitable[WorkflowHandle]]:
    async def start(order: StartRollout) -> WorkflowHandle:
        return await temporal.client.start_workflow(
            DeployRelease.run,
            order,
            id=deploy_id(order.place.target),
            task_queue=DELIVERY,
        )

    return start


async def installed(town: Town, begin, name: str) -> RolloutResult:
    """Release the first commit, which becomes the one to come back to."""
    town.line.commits.append(OLD)
    result: RolloutResult = await (await begin(start_of(OLD, name))).result()
    return result


async def until(handle: WorkflowHandle, seen: Callable[[RolloutBoard], bool]) -> RolloutBoard:
    async with asyncio.timeout(20):
        while True:
            board = await handle.query(DeployRelease.board)
            if seen(board):
                return board


def states(world: World, rollout: str) -> list[str]:
    return [fact.state for fact in world.told("rollout_moved") if fact.rollout == rollout]


async def test_installs_the_first_release_without_a_control(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        result = await installed(town, begin, name)

    assert result.status is RolloutState.PASSED
    assert result.verdict is not None
    assert result.verdict.label == "no_control"
    assert town.fleet.weight_of(OLD) == FULL
    assert town.memory.passed[result.target].sha == OLD


async def test_moves_traffic_step_by_step_and_comes_to_rest_on_the_new_release(
    temporal, begin, name
):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        result = await (await begin(start_of(NEW, name))).result()

    assert result.status is RolloutState.PASSED, result.reason
    shares = [order.weights for order in town.fleet.orders[1:]]
    assert [weights[f"{result.rollout}.0"] for weights in shares] == [2_000, FULL]
    assert town.memory.passed[result.target].sha == NEW
    assert states(world, result.rollout) == [
        "building", "starting", "shifting", "shifting", "baking",
    ]  # fmt: skip


async def test_undoes_a_release_that_fails_under_traffic_and_bars_its_merges(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        town.fleet.bad = {OLD: 0.002, NEW: 0.2}
        result = await (await begin(start_of(NEW, name))).result()

    assert result.status is RolloutState.UNDONE, result.reason
    assert result.verdict is not None
    assert result.verdict.verdict == "fail"
    assert result.undo is not None
    assert result.undo.verified, result.undo.reason
    assert town.fleet.weight_of(OLD) == FULL
    assert town.fleet.stopped == [f"{result.rollout}.0"]
    assert result.merges == (NEW,)
    assert set(town.memory.barred) == {NEW}
    assert result.exposure == pytest.approx(0.2)
    assert town.memory.current[result.target].sha == OLD


@pytest.mark.parametrize(
    ("bad", "status"), [(0.001, RolloutState.PASSED), (0.2, RolloutState.UNDONE)]
)
async def test_blue_green_is_judged_by_what_the_release_before_did(
    temporal, begin, name, bad, status
):
    switch = SERVICE.strategy.but(kind="blue_green", steps=())
    town, world = Town(SERVICE.but(strategy=switch)), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        town.fleet.bad = {NEW: bad}
        result = await (await begin(start_of(NEW, name))).result()

    assert result.status is status, result.reason
    assert result.verdict is not None
    assert result.verdict.label == "non_concurrent"
    assert [sorted(order.weights.values()) for order in town.fleet.orders[1:2]] == [[0, FULL]]


@pytest.mark.parametrize(
    ("bad", "status"), [(0.001, RolloutState.PASSED), (0.2, RolloutState.UNDONE)]
)
async def test_blue_green_after_an_install_without_users_is_judged_by_what_came_since(
    temporal, begin, name, bad, status
):
    switch = SERVICE.strategy.but(kind="blue_green", steps=())
    town, world = Town(SERVICE.but(strategy=switch)), World()
    async with serving(temporal, town, world):
        town.fleet.rps = 0
        await installed(town, begin, name)
        town.fleet.rps = RPS
        town.line.commits.append(NEW)
        town.fleet.bad = {NEW: bad}
        result = await (await begin(start_of(NEW, name))).result()

    assert result.status is status, result.reason
    assert result.verdict is not None
    assert result.verdict.classes[0].control_total >= SERVICE.analysis.min_requests
    assert result.undo is None or result.undo.verified, result.undo.reason


async def test_a_release_that_never_becomes_ready_gets_no_traffic(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        town.fleet.never_ready.add(NEW)
        result = await (await begin(start_of(NEW, name))).result()

    assert result.status is RolloutState.FAILED
    assert "it ends at once" in result.reason
    assert town.fleet.weight_of(OLD) == FULL
    assert f"{result.rollout}.0" in town.fleet.stopped
    assert not town.memory.barred


async def test_the_release_before_is_started_again_where_it_does_not_run(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        first = await installed(town, begin, name)
        town.fleet.instances.clear()
        town.fleet.routes.clear()
        town.line.commits.append(NEW)
        result = await (await begin(start_of(NEW, name))).result()

    assert result.status is RolloutState.PASSED, result.reason
    assert town.fleet.orders[1].weights == {
        f"{result.rollout}.0": 2_000,
        f"{first.rollout}.0": 8_000,
    }


async def test_a_release_without_a_way_back_needs_a_person(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.fleet.instances.clear()
        town.fleet.routes.clear()
        town.fleet.never_ready.add(OLD)
        town.line.commits.append(NEW)
        alone = await (await begin(start_of(NEW, name))).result()
        confirmed = start_of(NEW, name).but(confirmed=True, rollout="01CONFIRMED")
        town.fleet.instances.clear()
        result = await (await begin(confirmed)).result()

    assert alone.status is RolloutState.FAILED
    assert "does not start" in alone.reason
    assert result.status is RolloutState.PASSED
    assert result.verdict is not None
    assert result.verdict.label == "no_control"


async def test_an_undone_merge_can_not_come_back_in_another_release(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        result = await installed(town, begin, name)
        town.line.commits += [NEW, NEWER]
        town.memory.barred[NEW] = Quarantined(
            repository=name, sha=NEW, rollout="r", key="bad-idea", reason="500s", at_ms=1
        )
        held = await (await begin(start_of(NEWER, name))).result()
        town.memory.barred[NEW] = town.memory.barred[NEW].but(cure=NEWER, cure_kind="fix")
        cured = await (await begin(start_of(NEWER, name))).result()

    assert held.status is RolloutState.HELD
    assert "bad-idea" in held.reason
    assert town.memory.passed[result.target].sha == NEWER
    assert cured.status is RolloutState.PASSED


async def test_a_person_can_hold_and_promote(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await until(handle, lambda board: board.step == 0)
        await handle.execute_update(DeployRelease.hold_rollout, STEER)
        held = len(town.memory.ticked)
        # longer than the step's hold
        board = await until(handle, lambda board: len(town.memory.ticked) >= held + 15)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(DeployRelease.hold_rollout, STEER)
        await handle.execute_update(DeployRelease.promote_rollout, STEER)
        result = await handle.result()

    assert (board.step, board.weight) == (0, 2_000)
    assert result.status is RolloutState.PASSED


async def test_a_person_can_have_it_undone(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await until(handle, lambda board: board.step == 0)
        await handle.execute_update(DeployRelease.roll_back, STEER)
        result = await handle.result()

    assert result.status is RolloutState.UNDONE
    assert "I say so" in result.reason
    assert town.fleet.weight_of(OLD) == FULL


async def test_a_cancelled_rollout_gives_the_traffic_back(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await until(handle, lambda board: board.step == 0)
        await handle.cancel()
        result = await handle.result()

    assert result.status is RolloutState.UNDONE
    assert town.fleet.weight_of(OLD) == FULL


async def test_a_rollout_whose_traffic_somebody_else_moves_goes_back(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await until(handle, lambda board: board.step == 0)
        town.fleet.generation += 1
        result = await handle.result()

    assert result.status is RolloutState.UNDONE
    assert "somebody else" in result.reason


async def test_the_bake_ends_when_somebody_else_moves_the_traffic(temporal, begin, name):
    baked_long = SERVICE.but(strategy=SERVICE.strategy.but(bake=60))
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.memory.passed = {
            target: served.but(service=baked_long) for target, served in town.memory.passed.items()
        }
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await until(handle, lambda board: board.state is RolloutState.BAKING)
        town.fleet.generation += 1
        async with asyncio.timeout(20):
            result = await handle.result()

    assert result.status is RolloutState.UNDONE
    assert "somebody else" in result.reason


async def test_waits_for_the_end_of_a_freeze_window_before_the_first_step(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        frozen = Decision(
            phase="deploy", outcome=PolicyOutcome.DENY, frozen_until_ms=now_ms() + 1_500
        )
        world.decisions["deploy"] = [frozen]
        result = await (await begin(start_of(NEW, name))).result()

    assert states(world, result.rollout)[0] == "waiting"
    assert result.status is RolloutState.PASSED


async def test_a_contracting_schema_is_frozen_instead_of_undone(temporal, begin, name):
    town, world = Town(SERVICE.but(schema_change="contract")), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        town.line.commits.append(NEW)
        town.fleet.bad = {NEW: 0.3}
        handle = await begin(start_of(NEW, name))
        board = await until(handle, lambda board: board.state is RolloutState.WAITING)
        standing = town.fleet.weight_of(NEW)
        await handle.execute_update(DeployRelease.roll_back, STEER)
        result = await handle.result()

    assert "freeze" in board.reason
    assert standing == 2_000
    assert result.status is RolloutState.UNDONE


async def test_a_hook_that_fails_before_traffic_ends_the_rollout(temporal, begin, name):
    town, world = Town(SERVICE.but(pre_deploy="migrate")), World()
    town.failing_hooks.add("migrate")
    async with serving(temporal, town, world):
        town.line.commits.append(OLD)
        result = await (await begin(start_of(OLD, name))).result()

    assert result.status is RolloutState.FAILED
    assert "said no" in result.reason
    assert town.hooks == ["migrate"]
