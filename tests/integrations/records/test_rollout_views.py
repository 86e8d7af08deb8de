"""What doors read of rollouts, on both databases."""

import pytest

from domain.errors import Rejected
from domain.rollout import Quarantined, RolloutResult, RolloutState, Undo
from domain.rollout_fact import (
    HookRan,
    MergesQuarantined,
    RolloutMoved,
    RolloutPlanned,
    RolloutUndone,
    VerdictGiven,
    ended,
)
from domain.rollout_view import RolloutFilter
from starter.reads import Reads
from tests.facts import KEY, facts, start
from tests.rollouts import FIRST, SECOND, SHA, TARGET, THIRD, plan, served, tick, verdict

S = RolloutState
UNDO = Undo(rollout=FIRST, verified=True, reason="errors", restored_ms=60, checks=("all is back",))


async def undone(database) -> None:
    """Tell the whole life of a rollout that was undone."""
    await database.register(start())
    barred = Quarantined(
        repository="shop-0a1b2c3d", sha=SHA, rollout=FIRST, key=KEY, reason="errors", at_ms=70
    )
    end = RolloutResult(
        rollout=FIRST, target=TARGET, status=S.UNDONE, reason="errors", sha=SHA, tag="v1.0.0"
    )
    told = (
        (10, RolloutPlanned(plan=plan())),
        (20, HookRan(rollout=FIRST, hook="pre", ok=True, reason="fine")),
        (30, RolloutMoved(rollout=FIRST, state=S.SHIFTING, weight=500, reason="5 %")),
        (40, VerdictGiven(rollout=FIRST, step=0, verdict=verdict(verdict="watching"))),
        (50, VerdictGiven(rollout=FIRST, step=0, verdict=verdict())),
        (60, RolloutMoved(rollout=FIRST, state=S.UNDOING)),
        (70, RolloutUndone(undo=UNDO)),
        (70, MergesQuarantined(items=(barred,))),
        (80, ended(end)),
    )
    for number, (at_ms, fact) in enumerate(told):
        await database.append(facts(f"t{number}", fact, at_ms=at_ms))
    kept = database.rollouts
    await kept.begin_weights(FIRST, "op1", {"a": 500}, 1, 30)
    await kept.end_weights("op1", 2, 31)
    await kept.put_tick(tick())


async def test_the_record_of_a_rollout_tells_its_whole_life(database, url):
    await undone(database)

    async with Reads(url) as reads:
        found = await reads.rollout(FIRST)
        seen = await reads.ticks(FIRST)

    assert found.model_dump(by_alias=True)["schema"] == "slipway.rollout/1"
    assert (found.rollout, found.key, found.target, found.state) == (FIRST, KEY, TARGET, S.UNDONE)
    assert (found.exposure, found.started_at_ms, found.ended_at_ms) == (0.05, 30, 80)
    assert found.plan == plan()
    assert [(move.at_ms, move.state, move.weight) for move in found.moves] == [
        (30, S.SHIFTING, 500),
        (60, S.UNDOING, 0),
    ]
    assert [(one.at_ms, one.step, one.verdict.verdict) for one in found.verdicts] == [
        (40, 0, "watching"),
        (50, 0, "fail"),
    ]
    assert found.last_verdicts == {0: verdict()}
    assert [(hook.at_ms, hook.hook, hook.ok) for hook in found.hooks] == [(20, "pre", True)]
    assert [(one.op, one.generation) for one in found.weights] == [("op1", 2)]
    assert (found.undo, [one.sha for one in found.barred]) == (UNDO, [SHA])
    assert found.result is not None
    assert seen == (tick(),)


async def test_the_record_of_an_idea_names_its_rollouts(database, url):
    await undone(database)

    async with Reads(url) as reads:
        record = await reads.record(KEY)

    assert [(line.rollout, line.state) for line in record.rollouts] == [(FIRST, S.UNDONE)]
    told = [entry.text for entry in record.timeline]
    assert f"plans v1.0.0 for {TARGET} in steps of 5 %, 100 %" in told
    assert "undone, verified: errors" in told


async def test_lists_the_newest_first_and_filters(database, url):
    for key in (KEY, "other"):
        await database.register(start(key))
    await database.append(facts("one", RolloutPlanned(plan=plan(FIRST)), at_ms=1))
    elsewhere = plan(SECOND, place=plan().place.but(service="api"))
    await database.append(facts("two", RolloutPlanned(plan=elsewhere), key="other", at_ms=2))
    end = RolloutResult(rollout=THIRD, target=TARGET, status=S.HELD, reason="full", sha=SHA)
    await database.append(facts("three", ended(end), at_ms=3))

    async with Reads(url) as reads:
        everything = await reads.list_rollouts()
        newest = await reads.list_rollouts(limit=1)
        active = await reads.list_rollouts(RolloutFilter(active=True))
        named = await reads.list_rollouts(RolloutFilter(target="API/"))
        literal = await reads.list_rollouts(RolloutFilter(target="_"))
        of_idea = await reads.list_rollouts(RolloutFilter(key=KEY))
        here = await reads.list_rollouts(RolloutFilter(repository="shop-0a1b2c3d"))
        begun = await reads.rollouts_begun(FIRST[:-1])
        several = await reads.rollouts_begun("01J")

    assert [line.rollout for line in everything] == [THIRD, SECOND, FIRST]
    assert [line.rollout for line in newest] == [THIRD]
    assert [line.rollout for line in active] == [SECOND, FIRST]
    assert [line.rollout for line in named] == [SECOND]
    assert literal == ()
    assert [line.rollout for line in of_idea] == [THIRD, FIRST]
    assert [line.rollout for line in here] == [THIRD, SECOND, FIRST]
    assert (here[0].service, here[0].environment) == ("web", "production")
    assert (begun, several) == ((FIRST,), (THIRD, SECOND, FIRST))


async def test_reads_what_is_served_and_its_traffic(database, url):
    await undone(database)
    await database.rollouts.set_current(served())

    async with Reads(url) as reads:
        assert await reads.served(TARGET) == (served(), None)
        assert await reads.recent_traffic(TARGET) == (10.0, 1.5 / 96)


async def test_without_records_there_is_nothing(url):
    async with Reads(url) as reads:
        assert await reads.list_rollouts() == ()
        assert await reads.rollouts_begun("01J") == ()
        assert await reads.ticks(FIRST) == ()
        assert await reads.served(TARGET) == (None, None)
        assert await reads.recent_traffic(TARGET) == (0.0, 0.0)
        with pytest.raises(Rejected) as refused:
            await reads.rollout(FIRST)

    assert refused.value.problem.code == "unknown_rollout"


async def test_an_unknown_rollout_is_said(database, url):
    await database.open()

    async with Reads(url) as reads:
        with pytest.raises(Rejected) as refused:
            await reads.rollout("01J")

    assert refused.value.problem.code == "unknown_rollout"
