"""`slipway insight dora`: the real command on real records."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from config.settings import Settings
from domain.rollout import RolloutResult, RolloutState, Undo
from domain.rollout_fact import RolloutMoved, RolloutPlanned, RolloutUndone, ended
from integrations.database import Database
from starter import entry
from starter.codes import Exit
from starter.insight import repository_id
from tests.facts import facts, start
from tests.rollouts import FIRST, SECOND, SHA, TARGET, plan
from tests.starter.test_repository import git

S = RolloutState


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("SLIPWAY_DATABASE_URL", raising=False)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    return Settings()


def write(chosen: Settings) -> None:
    """Put one release that passed and one that was undone on record, an hour ago."""
    hour_ago = time.time_ns() // 1_000_000 - 3_600_000
    undo = Undo(
        rollout=SECOND, verified=True, reason="", decided_ms=hour_ago + 90_000,
        restored_ms=hour_ago + 91_000,
    )  # fmt: skip

    def end(rollout: str, status: RolloutState, **more: object):
        told = {"rollout": rollout, "target": TARGET, "status": status, "reason": "", "sha": SHA}
        return ended(RolloutResult.model_validate(told | more))

    async def writing() -> None:
        database = Database(chosen.database)
        await database.register(start())
        told = (
            RolloutPlanned(plan=plan(FIRST)),
            RolloutMoved(rollout=FIRST, state=S.BAKING, weight=10_000),
            end(FIRST, S.PASSED),
            RolloutPlanned(plan=plan(SECOND)),
            RolloutMoved(rollout=SECOND, state=S.SHIFTING, weight=2_000),
            RolloutUndone(undo=undo),
            end(SECOND, S.UNDONE, bad_since_ms=hour_ago + 60_000),
        )
        for number, fact in enumerate(told):
            await database.append(facts(f"t{number}", fact, at_ms=hour_ago + number * 1_000))
        await database.close()

    asyncio.run(writing())


def test_shows_the_figures(chosen: Settings, capsys: pytest.CaptureFixture[str]):
    write(chosen)

    code = entry.run(["insight", "dora", "--days", "7"])

    said = " ".join(capsys.readouterr().out.split())
    assert code == Exit.DONE
    for words in (
        "production of all repositories last 7 days",
        "deployment frequency 0.14 a day, on 1 days median 1 days of a week",
        "change fail rate 50.0% 1 of 2; 10.0% by share of the traffic",
        "rework rate 0.0% 0 of 2",
        "failed deployment recovery time 1 min 1 min 1",
        "mitigate 1.0 s 1.0 s 1",
        "resolve – –",
    ):
        assert words in said


def test_one_document_of_one_repository(chosen: Settings, capsys: pytest.CaptureFixture[str]):
    write(chosen)

    codes = [
        entry.run(["insight", "dora", "--json", "--repo", named])
        for named in ("shop-0a1b2c3d", "other")
    ]

    here, elsewhere = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert codes == [Exit.DONE, Exit.DONE]
    assert (here["schema"], here["repository"]) == ("slipway.dora/1", "shop-0a1b2c3d")
    assert (here["deployments"], elsewhere["deployments"]) == (2, 0)
    assert elsewhere["change_fail_rate"] is None


def test_nothing_is_shown_where_nothing_was_released(
    chosen: Settings, capsys: pytest.CaptureFixture[str]
):
    code = entry.run(["insight", "dora", "--env", "staging"])

    said = capsys.readouterr().out
    assert code == Exit.DONE
    assert "staging of all repositories" in said
    assert "No deployment has ended in this time." in said


def test_a_repository_is_named_by_its_path_or_its_id(tmp_path: Path):
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")

    assert repository_id(str(folder)).startswith("shop-")
    assert repository_id("shop-0a1b2c3d") == "shop-0a1b2c3d"
    assert repository_id("") == ""


@pytest.mark.parametrize("days", ["0", "x", "-1"])
def test_a_span_of_time_that_is_none_is_refused(days: str, capsys: pytest.CaptureFixture[str]):
    code = entry.run(["insight", "dora", "--days", days])

    assert code == Exit.INVALID
    assert "Traceback" not in capsys.readouterr().err
