"""Rollouts that are cancelled, held or taken back, at whatever they are just doing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle

from domain.deployment import FULL
from domain.rollout import RolloutState
from tests.fakes import World
from tests.fleet import Town
from tests.workflows.test_deploy import (
    NEW,
    OLD,
    SERVICE,
    STEER,
    installed,
    serving,
    start_of,
    until,
)
from workflows.deploy import DeployRelease
from workflows.names import DELIVERY, deploy_id

pytestmark = pytest.mark.server


@pytest.fixture
def name() -> str:
    return f"r-{uuid4().hex[:8]}"


@pytest.fixture
def begin(temporal) -> Callable[..., Awaitable[WorkflowHandle]]:
    async def start(order) -> WorkflowHandle:
        id_ = deploy_id(order.place.target)
        return await temporal.client.start_workflow(
            DeployRelease.run, order, id=id_, task_queue=DELIVERY
        )

    return start


class Door:
    """Stands before a call: tells that it was reached, and lets it through when opened."""

    def __init__(self, town: Town, call: str, moves: int = 0, after: bool = False) -> None:
        """Stops a call of the driver, before it does anything or `after`.

        It is the first one after the traffic has moved so many times, counted from now.
        """
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.left = asyncio.Event()  # what stood before it is through, or has given up
        orders = town.fleet.orders
        moves += len(orders)
        real = getattr(town.fleet, call)

        async def guarded(*args: Any) -> Any:
            if len(orders) < moves or self.reached.is_set():
                return await real(*args)
            try:
                done = await real(*args) if after else None
                self.reached.set()
                await self.opened.wait()
                return done if after else await real(*args)
            finally:
                self.left.set()

        setattr(town.fleet, call, guarded)


# What a rollout is doing, as a call of the driver: before it has any effect, or when it had it.
MOMENTS = {
    "building": ("build", 0, False),
    "starting": ("start", 0, False),
    "started": ("start", 0, True),
    "about to shift": ("set_weights", 0, False),
    "just shifted": ("set_weights", 0, True),
    "watching": ("observe", 1, False),
    "about to shift all": ("set_weights", 1, False),
    "just shifted all": ("set_weights", 1, True),
    "baking": ("observe", 2, False),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_rollout_can_be_cancelled_whatever_it_does(temporal, begin, name, moment):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        door = Door(town, *MOMENTS[moment])
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await door.reached.wait()
        await handle.cancel()
        door.opened.set()
        result = await handle.result()
        await door.left.wait()

    exposed = list(MOMENTS).index(moment) >= list(MOMENTS).index("about to shift")
    assert result.status is (RolloutState.UNDONE if exposed else RolloutState.FAILED)
    assert [fact.result.status for fact in world.told("rollout_ended")][1:] == [result.status]
    assert town.fleet.weight_of(OLD) == FULL
    assert [each.sha for each in town.fleet.instances.values()] == [OLD]
    assert set(town.memory.barred) == ({NEW} if exposed else set())


@pytest.mark.parametrize("moment", ["restoring", "proving", "ending"])
async def test_an_undo_goes_on_to_its_end_when_its_rollout_is_cancelled(
    temporal, begin, name, moment
):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        calls = {"restoring": ("set_weights", 1), "proving": ("inspect", 2), "ending": ("drain", 2)}
        town.fleet.bad = {NEW: 0.3}
        town.line.commits.append(NEW)
        door = Door(town, *calls[moment])
        handle = await begin(start_of(NEW, name))
        await door.reached.wait()
        await handle.cancel()
        door.opened.set()
        result = await handle.result()

    assert result.status is RolloutState.UNDONE
    assert result.undo.verified, result.undo.reason
    assert result.merges == (NEW,)
    assert [fact.result.status for fact in world.told("rollout_ended")][1:] == [result.status]
    assert [each.sha for each in town.fleet.instances.values()] == [OLD]


@pytest.mark.parametrize("moment", ["building", "started"])
async def test_an_undo_that_is_wanted_before_there_is_traffic_lets_none_move(
    temporal, begin, name, moment
):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        door = Door(town, *MOMENTS[moment])
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await door.reached.wait()
        await handle.execute_update(DeployRelease.roll_back, STEER)
        door.opened.set()
        result = await handle.result()

    assert result.status is RolloutState.FAILED
    assert "I say so" in result.reason
    assert result.exposure == 0
    assert [order.weights for order in town.fleet.orders[1:]] == []


async def test_an_undo_that_is_wanted_while_traffic_moves_is_not_forgotten(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        door = Door(town, "set_weights", 1, True)
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await door.reached.wait()
        await handle.execute_update(DeployRelease.roll_back, STEER)
        door.opened.set()
        result = await handle.result()

    assert result.status is RolloutState.UNDONE
    watched = {tick.step for tick in town.memory.ticked.values() if tick.rollout == result.rollout}
    assert watched == {0}  # the bake never began


async def test_a_rollout_that_is_held_before_there_is_traffic_lets_none_move(temporal, begin, name):
    town, world = Town(SERVICE), World()
    async with serving(temporal, town, world):
        await installed(town, begin, name)
        door = Door(town, *MOMENTS["building"])
        town.line.commits.append(NEW)
        handle = await begin(start_of(NEW, name))
        await door.reached.wait()
        await handle.execute_update(DeployRelease.hold_rollout, STEER)
        door.opened.set()
        await until(handle, lambda board: board.state is RolloutState.WAITING)
        still = town.fleet.weight_of(OLD)
        await handle.execute_update(DeployRelease.promote_rollout, STEER)
        result = await handle.result()

    assert still == FULL
    assert result.status is RolloutState.PASSED
