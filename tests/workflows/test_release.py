"""An idea and its releases on a real server: from the merge to production, and back."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle

from domain.delivery import Stage, StartDelivery, Steer
from domain.deployment import FULL
from domain.idea import ChangeKind
from domain.policy import Decision, PolicyOutcome
from domain.repository import Repository
from domain.rollout import RolloutState
from domain.service import Environment
from tests.fakes import World
from tests.workflows.releasing import REPAIR, SERVICE, Forge, new_world, serving
from tests.workflows.scenario import QUICK, SPEC, answer_to, idea, until, waits_for
from tests.workflows.test_deploy import STEER
from workflows.deliver import DeliverIdea, DeliveryEnd
from workflows.names import DELIVERY

pytestmark = pytest.mark.server


async def end_of(handle: WorkflowHandle[DeliverIdea, DeliveryEnd]) -> DeliveryEnd:
    async with asyncio.timeout(30):
        return await handle.result()


@pytest.fixture
def world() -> Forge:
    return new_world()


@pytest.fixture
def start(temporal) -> Callable[..., Any]:
    name = f"r-{uuid4().hex[:8]}"

    async def begin(**changes: object) -> WorkflowHandle[DeliverIdea, DeliveryEnd]:
        repository = Repository(id=name, name="r", location="/nowhere", base="refs/heads/main")
        the = idea(repository=repository, spec=SPEC.but(**changes))
        return await temporal.client.start_workflow(
            DeliverIdea.run,
            StartDelivery(idea=the, patience=QUICK),
            id=f"idea/{the.key}",
            task_queue=DELIVERY,
        )

    return begin


def stages(world: World) -> list[str]:
    return [fact.stage.value for fact in world.told("stage_reached")]


def ends(world: World) -> list[RolloutState]:
    return [fact.result.status for fact in world.told("rollout_ended")]


async def test_an_idea_ends_when_its_release_has_proven_itself(temporal, start, world):
    async with serving(temporal.client, world):
        end = await end_of(await start())

    assert (end.outcome.stage, end.tag) == (Stage.COMPLETED, "v2")
    assert stages(world)[-3:] == ["Integrating", "Deploying", "Monitoring"]
    assert ends(world) == [RolloutState.PASSED]


async def test_a_release_that_fails_is_mended_by_the_same_idea(temporal, start, world):
    async with serving(temporal.client, world):
        await end_of(await start())
        world.town.fleet.bad = {"2" * 40: 0.3}
        world.facts.clear()
        end = await end_of(await start(repair=REPAIR))

    assert end.outcome.stage is Stage.COMPLETED
    assert ends(world) == [RolloutState.UNDONE, RolloutState.PASSED]
    told = stages(world)
    assert told[told.index("Remediating") :] == [
        "Remediating", "Planning", "Critiquing", "Scheduled", "Running", "Reviewing",
        "Integrating", "Deploying", "Monitoring",
    ]  # fmt: skip
    assert world.entries[-1].change is ChangeKind.FIX
    assert world.entries[-1].title.startswith("Repair: ")
    cured = world.town.memory.barred["2" * 40]
    assert (cured.cure, cured.cure_kind) == ("3" * 40, "fix")
    assert world.town.fleet.weight_of("3" * 40) == FULL


async def test_without_a_declared_repair_the_change_is_reverted(temporal, start, world):
    async with serving(temporal.client, world):
        await end_of(await start())
        world.town.fleet.bad = {"2" * 40: 0.3}
        end = await end_of(await start())

    revert = world.composed[-1]
    assert end.outcome.stage is Stage.ROLLED_BACK
    assert (revert.sha, revert.parent_sha) == ("1" * 40, "2" * 40)
    assert world.entries[-1].title.startswith("Revert: ")
    assert ends(world)[-2:] == [RolloutState.UNDONE, RolloutState.PASSED]


async def test_a_repair_that_fails_too_waits_for_a_person_and_is_reverted(temporal, start, world):
    async with serving(temporal.client, world):
        await end_of(await start())
        world.town.fleet.bad = {"2" * 40: 0.3, "3" * 40: 0.3}
        handle = await start(repair=REPAIR)
        board = await until(handle, waits_for("AwaitingInput"))
        await handle.execute_update(
            DeliverIdea.retry_task, Steer(actor="ann", via="cli", reason="revert it")
        )
        end = await end_of(handle)

    assert "undone twice" in board.waits[0].predicate
    assert end.outcome.stage is Stage.ROLLED_BACK


async def test_policy_may_ask_a_person_before_the_deployment(temporal, start, world):
    ask = Decision(phase="deploy", outcome=PolicyOutcome.REQUIRE, reason="r", approvers=("bob",))
    world.decisions["deploy"] = [ask]
    async with serving(temporal.client, world):
        handle = await start()
        envelope = await answer_to(handle, world)
        before = list(world.town.fleet.built)
        await handle.execute_update(DeliverIdea.answer_approval, envelope)
        end = await end_of(handle)

    assert before == []
    assert "AwaitingDeployApproval" in stages(world)
    assert end.outcome.stage is Stage.COMPLETED


async def test_a_cancelled_idea_takes_its_release_back(temporal, start, world):
    async with serving(temporal.client, world):
        await end_of(await start())
        handle = await start()
        board = await until(handle, lambda board: world.town.fleet.weight_of("2" * 40) > 0)
        await handle.execute_update(
            DeliverIdea.cancel_idea, Steer(actor="ann", via="cli", reason="no")
        )
        end = await end_of(handle)

    assert board.release is not None
    assert end.outcome.stage is Stage.CANCELLED
    assert ends(world)[-1] is RolloutState.UNDONE
    assert world.town.fleet.weight_of("1" * 40) == FULL


async def test_what_a_round_released_elsewhere_goes_back_with_it(temporal, start, world):
    town = world.town
    web = SERVICE.but(needs=("api",), environments={"production": Environment(port=8081)})
    town.line.services["web"] = web
    async with serving(temporal.client, world):
        await end_of(await start())
        town.fleets["web"].bad = {"2" * 40: 0.3}
        end = await end_of(await start())

    undone = [fact.undo.rollout for fact in world.told("rollout_undone")]
    assert end.outcome.stage is Stage.ROLLED_BACK
    assert len(undone) == 2
    for name, rollout in zip(("web", "api"), undone, strict=True):
        assert f"{rollout}.0" in town.fleets[name].stopped
    assert town.fleet.weight_of("2" * 40) == 0


async def test_a_paused_idea_freezes_the_weights_and_nothing_else(temporal, start, world):
    async with serving(temporal.client, world):
        await end_of(await start())
        handle = await start()
        await until(handle, lambda board: world.town.fleet.weight_of("2" * 40) == 2_000)
        await handle.execute_update(DeliverIdea.pause, STEER)
        seen = len(world.town.memory.ticked)
        await until(handle, lambda board: len(world.town.memory.ticked) > seen + 15)
        weight = world.town.fleet.weight_of("2" * 40)
        await handle.execute_update(DeliverIdea.resume, STEER)
        end = await end_of(handle)

    assert weight == 2_000
    assert end.outcome.stage is Stage.COMPLETED


async def test_a_drained_idea_finishes_its_release(temporal, start, world):
    async with serving(temporal.client, world):
        await end_of(await start())
        handle = await start()
        await until(handle, lambda board: world.town.fleet.weight_of("2" * 40) > 0)
        told = await handle.execute_update(DeliverIdea.cancel_idea, STEER.but(mode="drain"))
        end = await end_of(handle)

    assert "the release may finish" in told
    assert end.outcome.stage is Stage.COMPLETED
    assert world.town.fleet.weight_of("2" * 40) == FULL


async def test_a_later_release_takes_the_one_before_along(temporal, start, world):
    first_step, last_step = SERVICE.strategy.steps
    slow = SERVICE.strategy.but(steps=(first_step.but(hold=3), last_step))
    world.town.line.services["api"] = SERVICE.but(strategy=slow)
    async with serving(temporal.client, world):
        await end_of(await start())
        first = await start()
        await until(first, lambda board: board.stage is Stage.DEPLOYING)
        second = await start()
        ended = await end_of(first)
        last = await end_of(second)

    assert ended.outcome.stage is Stage.SUPERSEDED
    assert last.outcome.stage is Stage.COMPLETED
    assert world.town.fleet.weight_of("3" * 40) == FULL
