"""A watch whose records are on a disk that is full for a while."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from temporalio.testing import ActivityEnvironment

from activities.deployments import start_all
from activities.watching import JudgeStep, Watching
from domain.deployment import Artefact, StartOrder, WeightOrder
from domain.errors import Unavailable
from domain.judge import judge
from domain.rollout import PlannedStep
from domain.service import Analysis, Environment
from integrations.database import Database
from tests.fleet import Fleets, Town, now_ms
from tests.rollouts import FIRST, SECOND, plan, service

STEP = PlannedStep(index=0, weight=2_000, hold_s=0.3)
MORE_THAN_ALL = 1_000_000  # pages


async def test_a_watch_goes_on_from_its_ticks_when_there_is_room_again(tmp_path: Path) -> None:
    database, pages = Database(f"sqlite:///{tmp_path}/s.db"), [MORE_THAN_ALL]
    await database.open()
    event.listen(
        database._access._engine,
        "begin",
        lambda conn: conn.exec_driver_sql(f"PRAGMA max_page_count={pages[0]}"),
    )
    order = JudgeStep(
        plan=plan(service=service(analysis=Analysis(tick=0.02)), steps=(STEP,)),
        step=0, hold_s=0.3, cap_s=5,
    )  # fmt: skip
    town = Town(order.plan.service)
    await serve(town, order)
    watching = Watching(lambda _: town.fleets, database.rollouts, town, town, now_ms)

    pages[0] = 1  # as many as there are: what fits into them is still written
    with pytest.raises(Unavailable) as full:
        await surroundings().run(watching.judge_step, order)
    before = await database.rollouts.ticks(FIRST)
    pages[0] = MORE_THAN_ALL
    judged = await surroundings().run(watching.judge_step, order)
    ticks = await database.rollouts.ticks(FIRST)
    await database.close()

    assert full.value.problem.code == "disk_full"
    assert ticks[: len(before)] == before
    assert [tick.seq for tick in ticks] == list(range(len(ticks)))
    assert judged.verdict.verdict == "pass"
    assert judged.verdict == judge(order.plan.setup, ticks, step=0, hold_over=True)


async def serve(town: Town, order: JudgeStep) -> None:
    """Let users ask the release, and the one before it."""
    fleets: Fleets = town.fleets
    for rollout, sha in ((FIRST, "a" * 40), (SECOND, "b" * 40)):
        template = StartOrder(
            place=order.plan.place, rollout=rollout, replica=0,
            artefact=Artefact(sha=sha, digest=sha[:8], location="/nowhere"),
            service=order.plan.service, environment=Environment(port=8080),
        )  # fmt: skip
        await start_all(fleets, template, lambda _: None)
    await fleets.set_weights(
        WeightOrder(
            place=order.plan.place, service=order.plan.service,
            environment=Environment(port=8080), expected_generation=1, op="canary",
            weights={f"{FIRST}.0": 2_000, f"{SECOND}.0": 8_000},
        )
    )  # fmt: skip


def surroundings() -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = environment.info.__class__(
        **{**environment.info.__dict__, "heartbeat_timeout": timedelta(seconds=30)}
    )
    return environment
