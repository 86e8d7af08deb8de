"""What the figures of delivery are computed from, on both databases."""

from domain.change import Change, Release
from domain.delivery import Stage
from domain.fact import AttemptEnded, GatesRan, ReleaseMade, StageReached
from domain.insight import Deployment, MergedChange
from domain.review import GateResult, Verdict
from domain.rollout import RolloutResult, RolloutState, Undo
from domain.rollout_fact import (
    RolloutMoved,
    RolloutPlanned,
    RolloutUndone,
    VerdictGiven,
    ended,
)
from starter.reads import Reads
from tests.facts import KEY, WAY_TO_RUNNING, facts, stages, start
from tests.rollouts import FIRST, SECOND, SHA, TARGET, THIRD, plan, verdict

S = RolloutState
GATE = GateResult(gate="tests", kind="tests", verdict=Verdict.PASSED, reason="all")


async def merged(database, key: str = KEY, *, base_moved: bool = True) -> None:
    """Tell an idea that writes at 10, is put to review at 20 and again at 25, and merges at 40."""
    await database.register(start(key).but(at_ms=5))
    await database.append(stages(f"{key}-way", *WAY_TO_RUNNING, key=key))
    change = Change(base_sha="b", sha="s", tree="t")
    gates = GatesRan(where="review", sha="s", base_sha="b", results=(GATE,))
    release = Release(
        round=1, sha=SHA, tree="t", branch="main", tag="v1.0.0", base_moved=base_moved
    )
    for at_ms, fact in (
        (8, AttemptEnded(task="t", attempt=1, backend="x", status="failed")),
        (10, AttemptEnded(task="t", attempt=2, backend="x", status="changed", change=change)),
        (12, AttemptEnded(task="u", attempt=1, backend="x", status="changed", change=change)),
        (15, gates.but(where="task")),
        (20, StageReached(stage=Stage.REVIEWING)),
        (22, gates),
        (23, gates),
        (24, StageReached(stage=Stage.RUNNING)),
        (25, StageReached(stage=Stage.REVIEWING)),
        (30, StageReached(stage=Stage.INTEGRATING)),
        (40, ReleaseMade(release=release)),
    ):
        await database.append(facts(f"{key}-{at_ms}", fact, key=key, at_ms=at_ms))


async def rolled_out(database, rollout: str, at_ms: int, *told: object, **planned: object) -> None:
    """Tell a rollout that had 5 % of the traffic from `at_ms` on, then what is given."""
    first = RolloutPlanned(plan=plan(rollout, **planned))
    shifting = RolloutMoved(rollout=rollout, state=S.SHIFTING, weight=500)
    for number, fact in enumerate((first, shifting, *told)):
        order = facts(f"{rollout}-{number}", fact, at_ms=at_ms + 10 * number)
        await database.append(order)


def end(rollout: str, status: RolloutState, **more: object):
    told = {"rollout": rollout, "target": TARGET, "status": status, "reason": "", "sha": SHA}
    return ended(RolloutResult.model_validate(told | more))


async def test_a_merged_change_comes_with_all_its_times(database, url):
    await merged(database)
    await merged(database, "aside", base_moved=False)

    async with Reads(url) as reads:
        found = await reads.merged_changes()
        here = await reads.merged_changes("shop-0a1b2c3d")
        elsewhere = await reads.merged_changes("other")

    expected = MergedChange(
        key=KEY, round=1, repository="shop-0a1b2c3d", sha=SHA, created_ms=5, committed_ms=10,
        opened_ms=20, reviewed_ms=22, merged_ms=40,
    )  # fmt: skip
    assert found == here == (expected,)
    assert elsewhere == ()


async def test_a_deployment_that_passed_and_one_that_was_undone(database, url):
    await database.register(start())
    undo = Undo(
        rollout=SECOND, verified=True, reason="errors", decided_ms=205, restored_ms=208,
    )  # fmt: skip
    said = verdict(at_ms=190)
    await rolled_out(database, FIRST, 100, end(FIRST, S.PASSED), merges=("m1", SHA))
    await rolled_out(
        database,
        SECOND,
        160,
        VerdictGiven(rollout=SECOND, step=0, verdict=said.but(verdict="watching")),
        VerdictGiven(rollout=SECOND, step=0, verdict=said),
        RolloutUndone(undo=undo),
        end(SECOND, S.UNDONE, bad_since_ms=180),
    )

    async with Reads(url) as reads:
        passed, undone = await reads.deployments("production")

    assert passed == Deployment(
        rollout=FIRST, key=KEY, repository="shop-0a1b2c3d", target=TARGET, sha=SHA,
        merges=("m1", SHA), started_ms=110, passed_ms=120, exposure=0.05, ended_ms=120,
    )  # fmt: skip
    assert undone == Deployment(
        rollout=SECOND, key=KEY, repository="shop-0a1b2c3d", target=TARGET, sha=SHA,
        merges=(SHA,), started_ms=170, failed=True, exposure=0.05, bad_since_ms=180,
        judged_ms=190, decided_ms=205, restored_ms=208, ended_ms=210,
    )  # fmt: skip


async def test_what_passed_and_was_undone_by_a_person_keeps_when_it_had_passed(database, url):
    await database.register(start())
    back = (RolloutMoved(rollout=FIRST, state=S.UNDOING), end(FIRST, S.UNDONE))
    await rolled_out(database, FIRST, 100, end(FIRST, S.PASSED), *back)

    async with Reads(url) as reads:
        found = (await reads.deployments("production"))[0]

    assert (found.passed_ms, found.failed, found.ended_ms) == (120, True, 140)
    assert (found.judged_ms, found.decided_ms, found.restored_ms) == (None, None, None)


async def test_only_what_had_traffic_in_the_environment_is_a_deployment(database, url):
    await database.register(start())
    staging = plan().place.but(environment="staging")
    await database.append(facts("plan", RolloutPlanned(plan=plan(FIRST)), end(FIRST, S.FAILED)))
    await rolled_out(database, SECOND, 100, end(SECOND, S.HELD))
    await rolled_out(database, THIRD, 200, place=staging)

    async with Reads(url) as reads:
        found = await reads.deployments("production")
        here = await reads.deployments("production", "shop-0a1b2c3d")
        elsewhere = await reads.deployments("production", "other")
        staged = await reads.deployments("staging")

    assert [(one.rollout, one.failed) for one in found] == [(SECOND, False)]
    assert here == found
    assert elsewhere == ()
    assert [one.rollout for one in staged] == [THIRD]


async def test_what_stands_still_after_a_verdict_has_failed(database, url):
    await database.register(start())
    said = VerdictGiven(rollout=FIRST, step=0, verdict=verdict(at_ms=0))
    await rolled_out(database, FIRST, 100, said, end(FIRST, S.HELD))

    async with Reads(url) as reads:
        found = (await reads.deployments("production"))[0]

    assert (found.failed, found.judged_ms) == (True, 120)


async def test_without_records_there_is_nothing(url):
    async with Reads(url) as reads:
        assert await reads.merged_changes() == ()
        assert await reads.deployments("production") == ()
