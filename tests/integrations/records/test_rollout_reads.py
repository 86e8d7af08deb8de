"""What those read who watch a rollout or undo one, on both databases."""

from domain.rollout import RolloutResult, RolloutState
from domain.rollout_fact import RolloutMoved, RolloutPlanned, ended
from starter.reads import Reads
from tests.facts import facts, start
from tests.rollouts import FIRST, SECOND, SHA, TARGET, THIRD, plan, served, tick

S = RolloutState


async def test_new_ticks_are_those_after_the_last_one_that_was_seen(database, url):
    ticks = (tick(0), tick(1), tick(2), tick(0, step=1), tick(1, step=1))
    for each in (*ticks, tick(7, rollout=SECOND)):
        await database.rollouts.put_tick(each)

    async with Reads(url) as reads:
        all_ = await reads.ticks_after(FIRST, -1, -1)
        some = await reads.ticks_after(FIRST, 0, 1)
        none = await reads.ticks_after(FIRST, 1, 1)

    assert (all_, some, none) == (ticks, ticks[2:], ())


async def test_the_past_of_a_target_is_told_oldest_first_without_what_was_never_planned(
    database, url
):
    await database.register(start())
    elsewhere = plan(THIRD, place=plan().place.but(service="api"))
    refused = RolloutResult(rollout=THIRD, target=TARGET, status=S.HELD, reason="full", sha=SHA)
    passed = RolloutResult(rollout=FIRST, target=TARGET, status=S.PASSED, reason="well", sha=SHA)
    told = (
        RolloutPlanned(plan=plan(SECOND, anchor=served(FIRST), merges=("m",))),
        RolloutPlanned(plan=plan(FIRST)),
        RolloutMoved(rollout=SECOND, state=S.SHIFTING, weight=500),
        ended(passed),
        ended(refused),
    )
    for number, fact in enumerate(told):
        await database.append(facts(f"t{number}", fact, at_ms=number))
    await database.append(facts("e", RolloutPlanned(plan=elsewhere.but(rollout="X"))))

    async with Reads(url) as reads:
        past = await reads.past_rollouts(TARGET)

    assert [(each.rollout, each.state) for each in past] == [
        (FIRST, S.PASSED),
        (SECOND, S.SHIFTING),
    ]
    assert (past[1].anchor, past[1].merges) == (served(FIRST), ("m",))


async def test_of_an_empty_database_there_is_nothing(url):
    async with Reads(url) as reads:
        assert await reads.ticks_after(FIRST, -1, -1) == ()
        assert await reads.past_rollouts(TARGET) == ()
