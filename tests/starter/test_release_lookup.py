"""Which rollout is meant: by target or a part of it, by idea, by rollout, or by nothing."""

import pytest

from config.settings import Settings
from domain.deployment import Place
from domain.errors import Rejected
from domain.rollout_fact import RolloutPlanned
from starter.lookup import open_reads
from starter.release_lookup import meant, targets_of
from tests.facts import KEY
from tests.rollouts import FIRST, SECOND, THIRD, place, plan
from tests.starter.rollouts_told import S, Teller, passed, result
from tests.starter.rollouts_told import chosen as chosen

FOURTH = "01J000000000000000000000D0"
WEB, API, STAGE = place(), place("api"), place("api", "stage")


async def told(chosen: Settings) -> None:
    """Tell of a passed release of web, an open one of api, and a failed one of its stage."""
    teller = Teller(chosen)
    await teller.begin(KEY, "zones-1")
    await teller.tell(*of(FIRST, WEB), passed(plan(FIRST, place=WEB)))
    await teller.tell(*of(SECOND, API), key="zones-1")
    await teller.tell(*of(THIRD, STAGE), result(plan(THIRD, place=STAGE), S.FAILED), key="zones-1")
    await teller.close()


def of(rollout: str, where: Place) -> tuple[RolloutPlanned, ...]:
    return (RolloutPlanned(plan=plan(rollout, place=where)),)


async def found(chosen: Settings, given: str, *, prefer_open: bool = True) -> str:
    async with open_reads(chosen) as reads:
        return (await meant(reads, given, prefer_open=prefer_open)).rollout


async def refused(chosen: Settings, given: str) -> tuple[str, str]:
    async with open_reads(chosen) as reads:
        with pytest.raises(Rejected) as caught:
            await meant(reads, given)
    return caught.value.problem.code, caught.value.problem.hint


@pytest.mark.parametrize(
    ("given", "rollout"),
    [
        (WEB.target, FIRST),
        ("web", FIRST),
        ("web/production", FIRST),
        ("shop-0a1b2c3d.web", FIRST),
        ("we", FIRST),
        (KEY, FIRST),
        ("add-h", FIRST),
        (THIRD, THIRD),
        (THIRD.lower(), THIRD),
        ("api/stage", THIRD),
        ("api/s", THIRD),
        ("api", SECOND),  # the open one of the two
        ("zones", SECOND),
        ("", SECOND),
    ],
)
async def test_a_target_an_idea_and_a_rollout_are_found_by_their_beginning(
    chosen: Settings, given: str, rollout: str
):
    await told(chosen)

    assert await found(chosen, given) == rollout


async def test_without_a_preference_several_targets_are_not_guessed(chosen: Settings):
    await told(chosen)

    with pytest.raises(Rejected, match="'api' is several targets") as caught:
        await found(chosen, "api", prefer_open=False)

    assert API.target in caught.value.problem.hint
    assert STAGE.target in caught.value.problem.hint


async def test_several_open_rollouts_are_not_guessed(chosen: Settings):
    await told(chosen)
    teller = Teller(chosen)
    await teller.begin("third")
    await teller.tell(*of(FOURTH, place("db")), key="third")
    await teller.close()

    assert (await refused(chosen, ""))[0] == "ambiguous_target"


async def test_what_does_not_exist_is_answered_with_what_does(chosen: Settings):
    await told(chosen)

    assert await refused(chosen, "wep") == ("unknown_target", "Did you mean web?")
    code, hint = await refused(chosen, "nothing-like-it")

    assert code == "unknown_target"
    assert WEB.target in hint


async def test_where_nothing_was_ever_released_it_says_so(chosen: Settings):
    assert (await refused(chosen, ""))[0] == "no_rollout"


async def test_where_nothing_is_open_the_newest_is_meant(chosen: Settings):
    teller = Teller(chosen)
    await teller.begin()
    for rollout in (FIRST, SECOND):
        await teller.tell(*of(rollout, WEB), passed(plan(rollout, place=WEB)))
    await teller.close()

    assert await found(chosen, "") == SECOND
    assert await found(chosen, "web") == SECOND


async def test_completion_offers_short_targets_and_ideas(chosen: Settings):
    await told(chosen)

    async with open_reads(chosen) as reads:
        offered = await targets_of(reads)

    assert offered == ("api/stage", "api/production", "web/production", "zones-1", KEY)
