"""The driver protocol: every driver passes these tests."""

import asyncio
from collections import Counter
from collections.abc import Awaitable

import pytest

from domain.deployment import FULL
from domain.errors import Rejected
from tests.integrations.drivers.site import Stage, together


async def test_a_release_is_built_once_and_named_by_its_content(stage: Stage):
    one, again = await stage.build("one"), await stage.build("one")
    two = await stage.build("two")

    assert again == one
    assert two.digest != one.digest
    assert two.sha != one.sha


async def test_other_build_words_are_another_release(stage: Stage):
    one = await stage.build("one")
    stage.service = stage.service.but(build=("cp VERSION BUILT", "true"))

    assert (await stage.build("one")).digest != one.digest


async def test_two_builds_of_one_commit_at_once_are_one(stage: Stage):
    await stage.commit("one")
    built = await together(stage.build("one"), stage.build("one"), stage.build("one"))

    assert len({repr(each) for each in built}) == 1


async def test_a_build_that_fails_is_refused_with_its_last_words(stage: Stage):
    stage.service = stage.service.but(build=("echo the wood is wet; exit 7",))
    with pytest.raises(Rejected, match="the wood is wet") as caught:
        await stage.build("one")

    assert caught.value.problem.code == "build_failed"
    stage.service = stage.service.but(build=())
    assert (await stage.build("one")).digest


async def test_an_instance_becomes_ready_and_says_what_it_is(stage: Stage):
    seen = await stage.run("one", "r1")

    assert (seen.instance, seen.state, seen.target) == ("r1.0", "ready", stage.place.target)
    assert seen.version == "v-r1"
    status, body = await stage.get(address=seen.address)
    assert (status, body) == (200, "one blue")


async def test_a_repeated_start_ensures_and_starts_no_second_one(stage: Stage):
    seen = await stage.run("one", "r1")
    again = await stage.driver.start(stage.start_order(await stage.build("one"), "r1"))

    assert again.instance == seen.instance
    assert again.address == seen.address
    inspection = await stage.driver.inspect(stage.place, stage.environment)
    assert [each.instance for each in inspection.instances] == ["r1.0"]


async def test_replicas_run_side_by_side(stage: Stage):
    artefact = await stage.build("one")
    for replica in range(2):
        await stage.driver.start(stage.start_order(artefact, "r1", replica))
    both = [
        await stage.becomes(f"r1.{replica}", lambda each: each.state == "ready")
        for replica in range(2)
    ]

    assert both[0].address != both[1].address


async def test_what_was_not_built_is_not_started(stage: Stage):
    artefact = await stage.build("one")
    with pytest.raises(Rejected) as caught:
        await stage.driver.start(stage.start_order(artefact.but(digest="0" * 64), "r1"))

    assert caught.value.problem.code == "wrong_digest"
    assert (await stage.probe("r1.0")).state == "gone"


async def test_one_that_cannot_run_says_why(stage: Stage):
    artefact = await stage.build("broken")
    await stage.driver.start(stage.start_order(artefact, "r1"))
    seen = await stage.becomes("r1.0", lambda each: each.state in ("down", "crash_loop"))

    assert "this version is broken" in seen.reason


async def test_nothing_is_served_before_traffic_is_given(stage: Stage):
    seen = await stage.run("one", "r1")
    inspection = await stage.driver.inspect(stage.place, stage.environment)

    assert inspection.generation == 0
    assert inspection.weight_of(seen.instance) == 0


async def test_traffic_follows_the_weights(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    await stage.give_all("r1.0")
    first = Counter([(await stage.get())[1] for _ in range(20)])
    generation = await stage.give_all("r2.0")
    second = Counter([(await stage.get())[1] for _ in range(20)])
    await stage.driver.set_weights(
        stage.weights({"r1.0": FULL // 2, "r2.0": FULL // 2}, generation, "half")
    )
    third = Counter([(await stage.get())[1] for _ in range(100)])

    assert first == {"one blue": 20}
    assert second == {"two blue": 20}
    assert 20 <= third["one blue"] <= 80
    assert sum(third.values()) == 100


async def test_inspection_tells_what_is_served(stage: Stage):
    one, two = await stage.run("one", "r1"), await stage.run("two", "r2")
    generation = await stage.driver.set_weights(
        stage.weights({"r1.0": 9_000, "r2.0": 1_000}, 0, "step")
    )
    seen = await stage.driver.inspect(stage.place, stage.environment)

    assert (seen.target, seen.generation) == (stage.place.target, generation)
    assert (seen.weight_of("r1.0"), seen.weight_of("r2.0")) == (9_000, 1_000)
    digests = {route.instance: route.digest for route in seen.routes}
    assert digests == {"r1.0": one.digest, "r2.0": two.digest}


async def test_a_stale_order_is_refused_and_changes_nothing(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    generation = await stage.give_all("r1.0")
    with pytest.raises(Rejected) as caught:
        await stage.driver.set_weights(stage.weights({"r2.0": FULL}, generation - 1, "late"))

    assert caught.value.problem.code == "stale"
    seen = await stage.driver.inspect(stage.place, stage.environment)
    assert (seen.generation, seen.weight_of("r1.0")) == (generation, FULL)


async def test_a_repeated_order_is_answered_the_same_and_done_once(stage: Stage):
    await stage.run("one", "r1")
    order = stage.weights({"r1.0": FULL}, 0, "once")
    first, second = await stage.driver.set_weights(order), await stage.driver.set_weights(order)

    assert second == first
    seen = await stage.driver.inspect(stage.place, stage.environment)
    assert seen.generation == first


async def test_a_late_repeat_after_another_change_is_refused(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    canary = stage.weights({"r2.0": FULL}, 0, "canary")
    generation = await stage.driver.set_weights(canary)
    await stage.driver.set_weights(stage.weights({"r1.0": FULL}, generation, "undo"))
    with pytest.raises(Rejected) as caught:
        await stage.driver.set_weights(canary)

    assert caught.value.problem.code == "stale"
    assert {(await stage.get())[1] for _ in range(10)} == {"one blue"}


async def test_of_two_orders_at_once_one_wins(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    orders = [stage.weights({name: FULL}, 0, f"op-{name}") for name in ("r1.0", "r2.0")]
    ends = await asyncio.gather(
        *(stage.driver.set_weights(order) for order in orders), return_exceptions=True
    )

    assert sorted(type(end).__name__ for end in ends) == ["Rejected", "int"]


@pytest.mark.parametrize(
    ("shares", "code"),
    [({"r9.0": FULL}, "unknown_instance"), ({"r1.0": 9_999}, "bad_weights"),
     ({"r1.0": FULL + 1, "r9.0": 0}, "bad_weights"),
     ({"r1.0": FULL + 5, "r2.0": -5}, "bad_weights")],
)  # fmt: skip
async def test_impossible_weights_are_refused(stage: Stage, shares: dict[str, int], code: str):
    await stage.run("one", "r1")
    with pytest.raises(Rejected) as caught:
        await stage.driver.set_weights(stage.weights(shares, 0, "impossible"))

    assert caught.value.problem.code == code
    seen = await stage.driver.inspect(stage.place, stage.environment)
    assert seen.generation == 0


async def test_requests_are_counted_by_instance_and_class(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    await stage.give_all("r1.0")
    for path in ("/", "/", "/", "/bad"):
        await stage.get(path)
    first = await stage.settled("r1.0", {"started": 4, "2xx": 3, "5xx": 1})
    await stage.give_all("r2.0")
    await stage.get()
    second = await stage.settled("r2.0", {"started": 1, "2xx": 1})

    assert first == {"started": 4, "2xx": 3, "5xx": 1}
    assert second == {"started": 1, "2xx": 1}
    assert await stage.settled("r1.0", first) == first


async def test_a_request_in_flight_is_started_and_not_done(stage: Stage):
    one = await stage.run("one", "r1")
    await stage.give_all("r1.0")
    asked = asyncio.create_task(stage.get("/slow"))
    during = await stage.settled("r1.0", {"started": 1})
    await stage.get("/go", address=one.address)
    await asked

    assert during == {"started": 1}
    assert await stage.settled("r1.0", {"started": 1, "2xx": 1}) == {"started": 1, "2xx": 1}


async def test_draining_waits_for_the_last_answer_or_its_deadline(stage: Stage):
    one = await stage.run("one", "r1")
    await stage.run("two", "r2")
    await stage.give_all("r1.0")
    asked = asyncio.create_task(stage.get("/slow"))
    await stage.settled("r1.0", {"started": 1})
    await stage.give_all("r2.0")
    draining = asyncio.create_task(stage.driver.drain(stage.place, stage.environment, "r1.0", 20))
    in_time = await stage.driver.drain(stage.place, stage.environment, "r1.0", 0.05)
    still = not draining.done()
    await stage.get("/go", address=one.address)

    assert not in_time
    assert still
    assert await draining
    assert await asked == (200, "one blue")
    assert (await stage.counts("r1.0"))["2xx"] == 1


async def test_what_gets_traffic_is_not_drained(stage: Stage):
    await stage.run("one", "r1")
    await stage.give_all("r1.0")
    with pytest.raises(Rejected) as caught:
        await stage.driver.drain(stage.place, stage.environment, "r1.0", 1)

    assert caught.value.problem.code == "has_weight"


async def test_a_stopped_instance_is_gone_and_stopping_again_is_fine(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    await stage.give_all("r1.0")
    await stage.driver.stop(stage.place, stage.environment, "r2.0")
    await stage.driver.stop(stage.place, stage.environment, "r2.0")

    assert (await stage.probe("r2.0")).state == "gone"
    assert await stage.get() == (200, "one blue")


async def test_it_can_be_started_again_after_it_was_stopped(stage: Stage):
    await stage.run("one", "r1")
    await stage.driver.stop(stage.place, stage.environment, "r1.0")
    seen = await stage.run("one", "r1")

    assert seen.state == "ready"


async def test_no_request_fails_while_traffic_moves_to_and_fro(stage: Stage):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    await stage.give_all("r1.0")
    moving = asyncio.create_task(_move(stage))
    answers = Counter[int]()
    while not moving.done():
        answers.update(status for status, _ in await asyncio.gather(*_four(stage)))
    await moving

    assert set(answers) == {200}
    assert sum(answers.values()) > 20


def _four(stage: Stage) -> list[Awaitable[tuple[int, str]]]:
    return [stage.get() for _ in range(4)]


async def _move(stage: Stage) -> None:
    for turn in range(16):
        await stage.give_all(f"r{turn % 2 + 1}.0", op=f"turn/{turn}")
        await stage.get()


async def test_old_releases_are_removed_and_those_in_use_are_kept(stage: Stage):
    one = await stage.build("one")
    two = await stage.run("two", "r2")
    three = await stage.build("three")
    removed = await stage.driver.prune(stage.place, stage.environment, (three.sha,))

    assert removed == (one.sha,)
    assert await stage.driver.prune(stage.place, stage.environment, (three.sha,)) == ()
    assert (await stage.probe(two.instance)).state == "ready"
    with pytest.raises(Rejected):
        await stage.driver.start(stage.start_order(one, "r1"))


async def test_it_says_what_it_can_do(stage: Stage):
    can = stage.driver.capabilities()

    assert can.name in ("local", "haproxy", "command")
    assert can.weights
    assert set(can.classes) <= {"4xx", "5xx", "connect", "timeout", "reset"}
