"""What is kept of rollouts, on both databases."""

import asyncio

import pytest
from alembic import command
from alembic.config import Config

from domain.delivery import Outcome, Stage
from domain.errors import Rejected
from domain.fact import IdeaEnded
from domain.rollout import Quarantined, RolloutPlan, RolloutResult, RolloutState, Undo
from domain.rollout_fact import (
    HookRan,
    MergesQuarantined,
    QuarantineCured,
    RolloutMoved,
    RolloutPlanned,
    RolloutUndone,
    VerdictGiven,
    ended,
)
from domain.tick import Side
from integrations import migrations, tables
from integrations.database import Database
from integrations.engine import create_file, is_file, parse
from tests.facts import KEY, facts, start
from tests.integrations.records.rows import rows, run
from tests.rollouts import FIRST, SECOND, SHA, TARGET, THIRD, plan, served, tick, verdict

S = RolloutState


def moved(state: RolloutState, weight: int = 0, step: int = 0, **more: object) -> RolloutMoved:
    told = {"rollout": FIRST, "state": state, "weight": weight, "step": step}
    return RolloutMoved.model_validate(told | more)


def result(status: RolloutState, **more: object) -> RolloutResult:
    told = {"rollout": FIRST, "target": TARGET, "status": status, "reason": "why", "sha": SHA}
    return RolloutResult.model_validate(told | more)


async def story(url: str) -> list[tuple[str, str]]:
    told = sorted(await rows(url, tables.rollout_story), key=lambda row: row["seq"])
    return [(row["rollout"], row["kind"]) for row in told]


async def test_a_rollout_goes_its_way_in_rows(database, url):
    await database.register(start())
    await database.append(facts("plan", RolloutPlanned(plan=plan()), at_ms=10))
    await database.append(facts("build", moved(S.BUILDING), at_ms=20))
    await database.append(facts("five", moved(S.SHIFTING, 500, reason="step 1"), at_ms=30))
    await database.append(facts("all", moved(S.BAKING, 10_000, 1), at_ms=40))
    await database.append(
        facts("judged", VerdictGiven(rollout=FIRST, step=1, verdict=verdict()), at_ms=50)
    )

    row = (await rows(url, tables.rollouts))[0]
    assert (row["key"], row["round"], row["actor"], row["tenant"]) == (KEY, 1, "ada", "default")
    assert (row["target"], row["repository"]) == (TARGET, "shop-0a1b2c3d")
    assert (row["service"], row["environment"]) == ("web", "production")
    assert (row["sha"], row["tag"], row["first"]) == (SHA, "v1.0.0", False)
    assert (row["state"], row["step"], row["weight"]) == ("baking", 1, 10_000)
    assert (row["created_at_ms"], row["started_at_ms"]) == (10, 30)
    assert (row["updated_at_ms"], row["ended_at_ms"], row["exposure"]) == (40, None, 10_000)
    assert RolloutPlan.model_validate_json(row["plan"]) == plan()
    assert [kind for _, kind in await story(url)] == [
        "rollout_planned", "rollout_moved", "rollout_moved", "rollout_moved", "verdict_given",
    ]  # fmt: skip


async def test_an_undone_rollout_keeps_undo_result_and_largest_share(database, url):
    await database.register(start())
    undo = Undo(rollout=FIRST, verified=True, reason="errors", restored_ms=60)
    told = result(S.UNDONE, verdict=verdict(), undo=undo, exposure=0.05, bad_since_ms=44)
    await database.append(
        facts(
            "all",
            RolloutPlanned(plan=plan()),
            moved(S.SHIFTING, 1_000),
            moved(S.UNDOING, 250),
            RolloutUndone(undo=undo),
            ended(told),
        )
    )

    row = (await rows(url, tables.rollouts))[0]
    assert (row["state"], row["exposure"], row["bad_since_ms"]) == ("undone", 1_000, 44)
    assert row["weight"] == 0
    assert Undo.model_validate_json(row["undo"]) == undo
    kept = RolloutResult.model_validate_json(row["result"])
    assert (kept.status, kept.verdict, kept.undo) == (S.UNDONE, None, None)
    assert row["ended_at_ms"] == 2_000


async def test_planning_anew_keeps_the_state_and_the_first_time(database, url):
    await database.register(start())
    await database.append(facts("plan", RolloutPlanned(plan=plan()), at_ms=10))
    await database.append(facts("wait", moved(S.WAITING), at_ms=20))

    await database.append(facts("again", RolloutPlanned(plan=plan(tag="v1.0.1")), at_ms=30))

    row = (await rows(url, tables.rollouts))[0]
    assert (row["state"], row["tag"], row["created_at_ms"]) == ("waiting", "v1.0.1", 10)


async def test_a_rollout_that_was_refused_before_its_plan_is_on_record(database, url):
    await database.register(start())
    await database.append(facts("wait", moved(S.WAITING, target=TARGET)))
    opened = await database.rollouts.open_rollouts(TARGET)
    await database.append(facts("end", ended(result(S.HELD, tag="v1.0.0"))))

    row = (await rows(url, tables.rollouts))[0]
    assert [line.state for line in opened] == [S.WAITING]
    assert (row["state"], row["target"], row["reason"]) == ("held", TARGET, "why")
    assert row["plan"] is None


async def test_an_end_alone_makes_a_row_too(database, url):
    await database.register(start())

    await database.append(facts("end", ended(result(S.FAILED, exposure=0.5, bad_since_ms=7))))

    row = (await rows(url, tables.rollouts))[0]
    assert (row["state"], row["exposure"], row["bad_since_ms"]) == ("failed", 5_000, 7)


async def test_a_late_word_of_an_ended_rollout_is_told_but_changes_nothing(database, url):
    await database.register(start())
    await database.append(
        facts("undone", RolloutPlanned(plan=plan()), ended(result(S.UNDONE)), at_ms=10)
    )

    await database.append(facts("late", moved(S.BAKING, 10_000), ended(result(S.PASSED)), at_ms=20))

    row = (await rows(url, tables.rollouts))[0]
    assert (row["state"], row["weight"], row["ended_at_ms"]) == ("undone", 0, 10)
    assert len(await story(url)) == 4


async def test_a_passed_rollout_may_be_undone_after_its_idea_has_ended(database, url):
    await database.register(start())
    await database.append(facts("passed", RolloutPlanned(plan=plan()), ended(result(S.PASSED))))
    await database.append(facts("end", IdeaEnded(outcome=Outcome(stage=Stage.FAILED))))

    await database.append(facts("undo", moved(S.UNDOING), ended(result(S.UNDONE))))

    assert (await rows(url, tables.rollouts))[0]["state"] == "undone"


async def test_hooks_are_part_of_the_story(database, url):
    await database.register(start())

    await database.append(facts("hook", HookRan(rollout=FIRST, hook="pre", ok=True)))

    assert await story(url) == [(FIRST, "hook_ran")]


async def test_the_first_tick_of_its_place_wins(database):
    first, other = tick(), tick(canary=Side(started=9_999))

    stored = [await database.rollouts.put_tick(each) for each in (first, other, first)]

    assert stored == [first] * 3
    assert await database.rollouts.ticks(FIRST) == (first,)


async def test_two_workers_who_saw_different_things_agree_on_one_tick(database):
    seen = [tick(canary=Side(started=number)) for number in range(8)]

    stored = await asyncio.gather(*map(database.rollouts.put_tick, seen))

    assert stored == [stored[0]] * 8
    assert await database.rollouts.ticks(FIRST) == (stored[0],)


async def test_ticks_come_back_in_order_to_the_last_digit(database):
    third = 1 / 3
    put = [
        tick(10, step=0, metrics={"p99": (third, float("inf"))}),
        tick(9, step=0),
        tick(0, step=1),
        tick(0, rollout=SECOND),
    ]
    for each in put:
        await database.rollouts.put_tick(each)

    found = await database.rollouts.ticks(FIRST)

    assert found == (put[1], put[0], put[2])
    assert found[1].metrics["p99"] == (third, float("inf"))


async def test_recent_traffic_is_that_of_the_target_alone(database):
    await database.register(start())
    elsewhere = plan(SECOND, place=plan().place.but(environment="staging"))
    await database.append(facts("p", RolloutPlanned(plan=plan()), RolloutPlanned(plan=elsewhere)))
    await database.rollouts.put_tick(tick(control=Side(started=300, done=299, error=2)))
    await database.rollouts.put_tick(tick(rollout=SECOND, control=Side(started=9_000, done=9_000)))

    rps, base = await database.rollouts.recent_traffic(TARGET)

    assert (rps, base) == (30.5, 2.5 / 300)
    assert await database.rollouts.recent_traffic("nowhere") == (0.0, 0.0)


async def test_a_weight_change_is_intended_and_read_back_once(database):
    kept = database.rollouts
    first = await kept.begin_weights(FIRST, "op1", {"a": 500, "b": 9_500}, 3, 10)
    begun = await kept.weight_changes(FIRST)
    again = await kept.begin_weights(FIRST, "op1", {"a": 500, "c": 9_500}, 4, 20)
    await kept.end_weights("op1", 5, 30)
    await kept.end_weights("op1", 5, 40)
    await kept.begin_weights(FIRST, "op1", {"a": 1}, 9, 50)
    await kept.begin_weights(FIRST, "op2", {"a": 10_000}, 5, 60)
    await kept.begin_weights(SECOND, "op3", {}, 1, 5)

    done = await kept.weight_changes(FIRST)

    assert [(one.generation, one.done_at_ms) for one in begun] == [(None, None)]
    assert [one.op for one in done] == ["op1", "op2"]
    assert first == again == done[0].weights == {"a": 500, "b": 9_500}  # it may be in force
    assert (done[0].expected_generation, done[0].generation) == (4, 5)
    assert (done[0].begun_at_ms, done[0].done_at_ms) == (10, 30)


async def test_a_weight_change_that_was_answered_twice_differently_is_refused(database):
    await database.rollouts.begin_weights(FIRST, "op1", {}, 3, 10)
    await database.rollouts.end_weights("op1", 4, 20)

    with pytest.raises(Rejected) as differs:
        await database.rollouts.end_weights("op1", 5, 30)
    with pytest.raises(Rejected) as unknown:
        await database.rollouts.end_weights("op2", 5, 30)

    assert differs.value.problem.code == "readback_differs"
    assert unknown.value.problem.code == "unknown_weights"


async def test_an_older_rollout_never_replaces_a_newer_one(database):
    kept = database.rollouts
    assert await kept.served(TARGET) == (None, None)
    for order in (SECOND, FIRST):
        await kept.set_current(served(order))
        await kept.set_passed(served(order))

    found = await kept.served(TARGET)
    await kept.set_passed(served(THIRD))

    assert found == (served(SECOND), served(SECOND))
    assert await kept.served(TARGET) == (served(SECOND), served(THIRD))


async def test_an_undo_puts_the_older_one_back_and_late_words_do_not_undo_it(database):
    kept = database.rollouts
    await kept.set_current(served(FIRST))
    await kept.set_current(served(SECOND))

    await kept.set_current(served(FIRST), instead_of=SECOND)
    await kept.set_current(served(SECOND))
    after = (await kept.served(TARGET))[0]
    await kept.set_current(served(THIRD))
    await kept.set_current(served(FIRST), instead_of=SECOND)

    assert after == served(FIRST)
    assert (await kept.served(TARGET))[0] == served(THIRD)


async def test_merges_are_barred_and_cured_by_fact_or_by_hand(database):
    await database.register(start())
    barred = Quarantined(repository="r", sha=SHA, rollout=FIRST, key=KEY, reason="errors", at_ms=10)
    other = barred.but(sha="6" * 40, at_ms=11)
    kept = database.rollouts
    await kept.quarantine((barred, other))
    await database.append(facts("bar", MergesQuarantined(items=(barred,))))
    cure = QuarantineCured(repository="r", sha=SHA, cure="c" * 40, cure_kind="fix")
    await database.append(facts("cure", cure))
    await kept.cure("r", other.sha, "d" * 40, "revert")
    await kept.cure("r", "7" * 40, "d" * 40, "revert")
    await kept.quarantine((barred,))

    found = await kept.quarantined("r")

    assert [(one.cure, one.cure_kind) for one in found] == [
        ("c" * 40, "fix"),
        ("d" * 40, "revert"),
    ]
    assert found[0] == barred.but(cure="c" * 40, cure_kind="fix")
    assert await kept.quarantined("elsewhere") == ()


async def test_a_cured_merge_that_is_undone_again_needs_a_new_cure(database):
    barred = Quarantined(
        repository="r", sha=SHA, rollout=SECOND, key=KEY, reason="errors", at_ms=10
    )
    kept = database.rollouts
    await kept.quarantine((barred,))
    await kept.cure("r", SHA, "c" * 40, "fix")

    await kept.quarantine((barred.but(rollout=FIRST),))
    late = await kept.quarantined("r")
    await kept.quarantine((barred.but(rollout=THIRD, reason="again"),))

    assert late[0].cure == "c" * 40
    assert await kept.quarantined("r") == (barred.but(rollout=THIRD, reason="again"),)


async def test_finds_open_rollouts_and_those_since(database):
    await database.register(start())
    for at_ms, name in enumerate((FIRST, SECOND, THIRD), start=1):
        told = RolloutPlanned(plan=plan(name))
        await database.append(facts(f"plan-{name}", told, at_ms=at_ms))
    elsewhere = plan("0", place=plan().place.but(service="api"))
    await database.append(facts("else", RolloutPlanned(plan=elsewhere), at_ms=3))
    await database.append(
        facts("end", ended(result(S.SUPERSEDED, superseded_by=SECOND, exposure=0.05)), at_ms=4)
    )

    opened = await database.rollouts.open_rollouts(TARGET)
    since = await database.rollouts.rollouts_since(TARGET, 2)
    everything = await database.rollouts.rollouts_since(TARGET, 0)

    assert [line.rollout for line in opened] == [SECOND, THIRD]
    assert [line.rollout for line in since] == [SECOND, THIRD]
    first = everything[0]
    assert (first.rollout, first.state, first.exposure) == (
        FIRST, S.SUPERSEDED, 0.05,
    )  # fmt: skip


async def test_a_database_of_the_release_before_is_upgraded_with_what_it_holds(url):
    if is_file(parse(url)):
        create_file(parse(url))

    def at_0001(conn):
        config = Config()
        config.set_main_option("script_location", str(migrations.__path__[0]))
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        conn.execute(tables.ideas.insert().values(key=KEY, stage="Running", title="old"))

    await run(url, at_0001)
    database = Database(url)

    await database.append(facts("plan", RolloutPlanned(plan=plan())))
    await database.close()

    assert (await rows(url, tables.ideas))[0]["title"] == "old"
    assert (await rows(url, tables.rollouts))[0]["key"] == KEY
    assert await run(url, migrations.schema_of) == tables.SCHEMA


async def test_infinite_numbers_are_kept(database, url):
    await database.register(start())

    told = VerdictGiven(rollout=FIRST, step=0, verdict=verdict())
    await database.append(facts("judged", told))

    row = (await rows(url, tables.rollout_story))[0]
    assert VerdictGiven.model_validate_json(row["fact"]) == told
