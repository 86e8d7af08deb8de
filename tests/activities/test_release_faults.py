"""Releases whose instances die, whose workers repeat themselves, whose clocks are set."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.deployments import Deployments, EndInstances, ShiftTraffic, StartReplicas
from activities.undoing import Restored, RestoreTraffic, Undoing, VerifyUndo
from activities.watching import JudgeStep, Watching
from domain.deployment import FULL, Artefact, Instance, WeightOrder
from domain.errors import Rejected, Unavailable
from domain.rollout import PlannedStep, RolloutPlan, Served
from domain.service import Analysis
from tests.fleet import Town
from tests.fleet import now_ms as wall_ms
from tests.rollouts import plan, service

OLD, NEW = "a" * 40, "b" * 40
BEFORE, NOW = "01J0000000000000000000000A", "01J0000000000000000000000B"


class Scene:
    """A rollout of two instances beside a release of two, on a town's driver and records."""

    def __init__(self) -> None:
        self.service = service(replicas=2, analysis=Analysis(tick=0.02, min_requests=1))
        self.town = Town(self.service)
        self.fleet = self.town.fleets["web"]
        self.plan: RolloutPlan = plan(
            NOW,
            sha=NEW,
            service=self.service,
            steps=(PlannedStep(index=0, weight=2_000, hold_s=0.2),),
            anchor=self._served(BEFORE, OLD),
        )
        for rollout, sha in ((BEFORE, OLD), (NOW, NEW)):
            for replica in range(2):
                self.put(rollout, replica, sha)
        self.skew_ms = 0

    def _served(self, rollout: str, sha: str) -> Served:
        return Served(
            target=plan().place.target, rollout=rollout, sha=sha, tag=sha[:3],
            artefact=Artefact(sha=sha, digest=f"d-{sha[:8]}", location="/nowhere"),
            at_ms=1, service=self.service,
        )  # fmt: skip

    def put(self, rollout: str, replica: int, sha: str, state: str = "ready") -> str:
        name = f"{rollout}.{replica}"
        self.fleet.instances[name] = Instance.model_validate(
            {
                "instance": name, "target": self.plan.place.target, "digest": f"d-{sha[:8]}",
                "sha": sha, "address": f"127.0.0.1:{20_000 + replica}", "state": state,
                "reason": "" if state == "ready" else "it was killed",
            }
        )  # fmt: skip
        return name

    async def route(self, weights: dict[str, int]) -> None:
        order = WeightOrder(
            place=self.plan.place, service=self.service, environment=self.plan.environment,
            weights=weights, expected_generation=self.fleet.generation, op=f"set {weights}",
        )  # fmt: skip
        await self.fleet.set_weights(order)

    def now_ms(self) -> int:
        return wall_ms() + self.skew_ms

    async def do(self, name: str, order: Any) -> Any:
        """Run an activity as a worker would."""
        town = self.town
        driver = lambda _: town.fleets  # noqa: E731
        classes = (
            Deployments(driver, town.memory, town.line, town, town, self.now_ms),
            Watching(driver, town.memory, town, town, self.now_ms),
            Undoing(driver, town.memory, town, self.now_ms),
        )
        work = next(getattr(each, name) for each in classes if hasattr(each, name))
        environment = ActivityEnvironment()
        environment.info = environment.info.__class__(
            **{**environment.info.__dict__, "heartbeat_timeout": timedelta(seconds=30)}
        )
        async with asyncio.timeout(20):
            return await environment.run(work, order)

    def weights(self) -> dict[str, int]:
        return {name: route.weight for name, route in self.fleet.routes.items() if route.weight}

    def shift(self, weight: int = 2_000) -> ShiftTraffic:
        return ShiftTraffic(
            plan=self.plan, weight=weight, expected=self.fleet.generation, op=f"{NOW}/step/0"
        )

    def restore(self) -> RestoreTraffic:
        plan = self.plan
        return RestoreTraffic(
            place=plan.place, key=plan.key, rollout=NOW, service=self.service,
            environment=plan.environment, anchor=plan.anchor, op=f"{NOW}/undo",
        )  # fmt: skip


@pytest.fixture
def scene() -> Scene:
    return Scene()


def after(calls: int, real: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    """Return the call, which lets something happen after so many of them."""
    counted = 0

    async def call(*args: Any) -> Any:
        nonlocal counted
        counted += 1
        done = await real(*args)
        if counted == calls:
            then()
        return done

    return call


# Shifting ---------------------------------------------------------------------------------


async def test_traffic_waits_for_an_instance_that_starts_again(scene: Scene):
    killed = scene.put(NOW, 1, NEW, "starting")
    with pytest.raises(Unavailable) as caught:
        await scene.do("shift_traffic", scene.shift())
    moved = scene.weights()
    scene.put(NOW, 1, NEW)
    await scene.do("shift_traffic", scene.shift())

    assert caught.value.problem.code == "not_ready"
    assert moved == {}
    assert scene.weights() == {
        f"{NOW}.0": 1_000, killed: 1_000, f"{BEFORE}.0": 4_000, f"{BEFORE}.1": 4_000,
    }  # fmt: skip


@pytest.mark.parametrize("state", ["crash_loop", "gone"])
async def test_no_traffic_moves_to_a_release_that_lost_an_instance_for_good(scene: Scene, state):
    scene.put(NOW, 1, NEW, state)
    if state == "gone":
        scene.fleet.instances.pop(f"{NOW}.1")

    with pytest.raises(Rejected) as caught:
        await scene.do("shift_traffic", scene.shift(FULL))

    assert caught.value.problem.code == {"crash_loop": "never_ready", "gone": "gone"}[state]
    assert scene.weights() == {}


async def test_an_instance_that_was_killed_keeps_the_share_that_it_had(scene: Scene):
    await scene.route({f"{BEFORE}.0": 5_000, f"{BEFORE}.1": 5_000})
    scene.put(BEFORE, 1, OLD, "starting")

    await scene.do("shift_traffic", scene.shift())

    assert scene.weights()[f"{BEFORE}.1"] == 4_000


async def test_a_repeated_shift_orders_what_the_first_try_ordered(scene: Scene):
    order = scene.shift()
    scene.put(BEFORE, 1, OLD, "down")
    real = scene.town.memory.end_weights
    scene.town.memory.end_weights = _killed
    with pytest.raises(Unavailable):
        await scene.do("shift_traffic", order)
    scene.town.memory.end_weights = real
    scene.put(BEFORE, 1, OLD)
    await scene.do("shift_traffic", order)

    (change,) = await scene.town.memory.weight_changes(NOW)
    assert len(scene.fleet.orders) == 1
    assert {name: share for name, share in change.weights.items() if share} == scene.weights()
    assert change.generation == scene.fleet.generation


async def _killed(*_: Any) -> None:
    raise Unavailable("the worker was killed")


async def test_a_worker_that_wakes_after_the_undo_moves_nothing(scene: Scene):
    await scene.route({f"{BEFORE}.0": 5_000, f"{BEFORE}.1": 5_000})
    late = scene.shift()
    await scene.do("restore_traffic", scene.restore())
    shifted = await scene.do("shift_traffic", late)

    assert shifted.status == "stale"
    assert scene.weights() == {f"{BEFORE}.0": 5_000, f"{BEFORE}.1": 5_000}
    assert scene.town.memory.changes[late.op].generation is None


# Starting and ending ----------------------------------------------------------------------


async def test_a_release_before_that_was_killed_may_come_back_at_the_start(scene: Scene):
    for replica in range(2):
        scene.put(BEFORE, replica, OLD, "down")
    looks = after(2, scene.fleet.inspect, lambda: scene.put(BEFORE, 0, OLD))
    scene.fleet.inspect = after(3, looks, lambda: scene.put(BEFORE, 1, OLD))
    artefact = Artefact(sha=NEW, digest=f"d-{NEW[:8]}", location="/nowhere")

    replicas = await scene.do("start_replicas", StartReplicas(plan=scene.plan, artefact=artefact))

    assert [each.instance for each in replicas.instances] == [f"{NOW}.0", f"{NOW}.1"]


@pytest.mark.parametrize("refused", [False, True])
async def test_what_gets_traffic_while_it_is_drained_is_not_stopped(scene: Scene, refused: bool):
    async def drain(*_: Any) -> bool:
        await scene.route({f"{BEFORE}.0": FULL})
        if refused:
            raise Rejected("it gets traffic", code="has_weight")
        return True

    scene.fleet.drain = drain
    order = EndInstances(
        place=scene.plan.place, service=scene.service, environment=scene.plan.environment,
        rollout=BEFORE,
    )  # fmt: skip
    scene.fleet.instances.pop(f"{BEFORE}.1")

    assert await scene.do("end_instances", order) == ()
    assert scene.fleet.stopped == []


# Undoing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["down", "crash_loop"])
async def test_an_undo_starts_again_what_has_died_twice(scene: Scene, state):
    for replica in range(2):
        scene.put(BEFORE, replica, OLD, state)
    await scene.route({f"{NOW}.0": 5_000, f"{NOW}.1": 5_000})

    await scene.do("restore_traffic", scene.restore())

    assert scene.weights() == {f"{BEFORE}.0": 5_000, f"{BEFORE}.1": 5_000}
    assert sorted(scene.fleet.stopped) == [f"{BEFORE}.0", f"{BEFORE}.1"]


async def test_an_undo_looks_again_when_what_it_saw_is_gone(scene: Scene):
    await scene.route({f"{NOW}.0": 5_000, f"{NOW}.1": 5_000})
    real = scene.fleet.set_weights

    async def gone(order: WeightOrder) -> int:
        scene.fleet.set_weights = real
        scene.fleet.instances.pop(f"{BEFORE}.1")
        raise Rejected("there is no such instance", code="unknown_instance")

    scene.fleet.set_weights = gone
    await scene.do("restore_traffic", scene.restore())

    assert scene.weights() == {f"{BEFORE}.0": FULL}


async def test_an_undo_spreads_the_traffic_when_a_replica_is_back(scene: Scene):
    await scene.route({f"{NOW}.0": 5_000, f"{NOW}.1": 5_000})
    scene.put(BEFORE, 1, OLD, "starting")
    restored = await scene.do("restore_traffic", scene.restore())
    at_first = scene.weights()
    scene.fleet.inspect = after(1, scene.fleet.inspect, lambda: scene.put(BEFORE, 1, OLD))
    undo = await verified(scene, restored)

    assert at_first == {f"{BEFORE}.0": FULL}
    assert undo.verified, undo.reason
    assert scene.weights() == {f"{BEFORE}.0": 5_000, f"{BEFORE}.1": 5_000}
    assert all(each.generation for each in await scene.town.memory.weight_changes(NOW))


async def verified(scene: Scene, restored: Restored) -> Any:
    order = VerifyUndo(
        order=scene.restore(), restored=restored, plan=None, verdict=None, decided_ms=1,
        patience_s=15, least=100,
    )  # fmt: skip
    return await scene.do("verify_undo", order)


# Clocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_a_clock_that_is_set_neither_stops_the_watch_nor_ends_it(scene: Scene, step_ms: int):
    await scene.route({f"{BEFORE}.0": 8_000, f"{NOW}.0": 2_000})
    scene.fleet.clock = scene.now_ms
    real = scene.town.memory.put_tick

    def set_clock() -> None:
        scene.skew_ms = step_ms

    scene.town.memory.put_tick = after(3, real, set_clock)
    judged = await scene.do("judge_step", JudgeStep(plan=scene.plan, step=0, hold_s=0.2, cap_s=5))

    ticks = await scene.town.memory.ticks(NOW)
    assert judged.verdict.verdict == "pass"
    assert min(tick.ms for tick in ticks) >= 0
    assert len(ticks) >= 5


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_a_clock_that_is_set_does_not_leave_an_undo_unproven(scene: Scene, step_ms: int):
    await scene.route({f"{NOW}.0": 5_000, f"{NOW}.1": 5_000})
    restored = await scene.do("restore_traffic", scene.restore())
    scene.fleet.clock = scene.now_ms

    def set_clock() -> None:
        scene.skew_ms = step_ms

    scene.fleet.inspect = after(1, scene.fleet.inspect, set_clock)
    assert (await verified(scene, restored)).verified
