"""`slipway release list|show|plan`, `slipway service check`: real commands on real records."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
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
from domain.service import Service
from domain.tick import Side
from integrations.database import Database
from starter import entry
from starter.codes import Exit
from starter.repository import look_at
from tests.facts import KEY, facts, start
from tests.rollouts import FIRST, SECOND, SHA, TARGET, plan, served, tick, verdict
from tests.starter.test_repository import git

S = RolloutState
SERVICES = """\
schema: slipway.repo/1
services:
  web:
    paths: [web/**]
    run: [serve, "{port}"]
    needs: [db]
    strategy: {hold: 60, confirm: [promote]}
    environments:
      production: {port: 8080}
  db:
    paths: [db/**]
    run: [db, "{port}"]
    environments:
      production: {port: 9000, strategy: {kind: blue_green}}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("SLIPWAY_DATABASE_URL", raising=False)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "140")
    return Settings()


@pytest.fixture
def run(chosen: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; its exit code and what it said."""

    def run(*line: str) -> tuple[int, str, str]:
        code = entry.run(line)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / ".slipway.yaml").write_text(SERVICES)
    (folder / "web").mkdir()
    (folder / "web" / "app.py").write_text("1\n")
    commit(folder, "first")
    return folder


def commit(folder: Path, message: str) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def write(chosen: Settings, *told: object, kept: Callable[..., object] | None = None) -> None:
    """Put facts of the idea on record, each a second after the one before."""

    async def writing() -> None:
        database = Database(chosen.database)
        await database.register(start())
        for number, fact in enumerate(told, start=1):
            await database.append(facts(f"t{number}", fact, at_ms=number * 1_000))
        if kept:
            await kept(database.rollouts)
        await database.close()

    asyncio.run(writing())


def undone(chosen: Settings) -> None:
    barred = Quarantined(
        repository="r", sha=SHA, rollout=FIRST, key=KEY, reason="errors", at_ms=6_000,
        cure="c" * 40, cure_kind="fix",
    )  # fmt: skip
    undo = Undo(
        rollout=FIRST, verified=True, reason="errors rose", decided_ms=5_000, restored_ms=5_500,
        verified_ms=65_500, checks=("all traffic is back",),
    )  # fmt: skip
    end = RolloutResult(
        rollout=FIRST, target=TARGET, status=S.UNDONE, reason="errors rose", sha=SHA,
        tag="v1.0.0", bad_since_ms=4_000,
    )  # fmt: skip
    write(
        chosen,
        RolloutPlanned(plan=plan()),
        HookRan(rollout=FIRST, hook="pre", ok=False, reason="no disk"),
        RolloutMoved(rollout=FIRST, state=S.SHIFTING, weight=500),
        VerdictGiven(rollout=FIRST, step=0, verdict=verdict()),
        VerdictGiven(rollout=FIRST, step=2, verdict=verdict(verdict="no_data", reason="silence")),
        RolloutUndone(undo=undo),
        MergesQuarantined(items=(barred,)),
        ended(end),
    )


def test_nothing_is_listed_where_nothing_was_released(run: Run):
    assert run("release", "list") == (Exit.DONE, "No rollouts.\n", "")
    assert run("release", "list", "--json")[1] == '{"rollouts": []}\n'


def test_lists_rollouts_of_a_target(chosen: Settings, run: Run):
    elsewhere = plan(SECOND, place=plan().place.but(service="api"))
    write(chosen, RolloutPlanned(plan=plan()), RolloutPlanned(plan=elsewhere))

    code, said, _ = run("release", "list")
    named = json.loads(run("release", "list", "--target", "web/", "--json")[1])

    assert code == Exit.DONE
    assert said.index(SECOND) < said.index(FIRST)
    assert all(word in said for word in ("v1.0.0", TARGET, "planned"))
    assert [line["rollout"] for line in named["rollouts"]] == [FIRST]


def test_shows_how_a_rollout_went_and_was_undone(chosen: Settings, run: Run):
    undone(chosen)

    code, said, _ = run("release", "show", FIRST)

    assert code == Exit.DONE
    for words in (
        f"v1.0.0 → {TARGET}",
        "undone",
        "errors rose from 0.1 % to 15 %",
        "1 of 1,000",
        "9 of 60",
        "2.5 times to no bound",
        "6.5 of 5.3",
        "+25.0%",
        "it grew",
        "undone, verified",
        "decided  1.0 s later",
        "traffic back  0.5 s later",
        "verified  1 min 0 s later",
        "all traffic is back",
        "fix cccccccccccc",
        "hook pre",
        "no disk",
        "silence",
    ):
        assert words in said


@pytest.mark.parametrize("given", [FIRST, FIRST.lower(), FIRST[:-1], KEY, KEY[:6]])
def test_a_rollout_is_found_by_its_id_or_its_idea(chosen: Settings, run: Run, given: str):
    undone(chosen)

    code, said, _ = run("release", "show", given, "--json")

    found = json.loads(said, parse_constant=pytest.fail)["rollouts"]
    assert code == Exit.DONE
    assert [(one["schema"], one["rollout"]) for one in found] == [("slipway.rollout/1", FIRST)]
    assert found[0]["plan"]["steps"][0]["mde"] == {"error": "Infinity"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("nobody", "unknown_rollout"),
        ("01J", "ambiguous_rollout"),
        ("%", "unknown_rollout"),
    ],
)
def test_what_is_not_clear_is_said(chosen: Settings, run: Run, given: str, code: str):
    write(chosen, *(RolloutPlanned(plan=plan(name)) for name in (FIRST, SECOND)))

    ended_with, said, _ = run("release", "show", given, "--json")

    assert (ended_with, json.loads(said)["error"]["code"]) == (Exit.INVALID, code)


def test_an_idea_without_rollout_is_said(chosen: Settings, run: Run):
    write(chosen)

    code, _, said = run("release", "show", KEY)

    assert code == Exit.INVALID
    assert f"{KEY} has no rollout yet" in said


def test_services_of_a_work_tree_are_checked_as_they_lie_there(repo: Path, run: Run):
    (repo / ".slipway.yaml").write_text(SERVICES.replace("hold: 60", "hold: 30"))

    code, said, _ = run("service", "check", str(repo))
    of_file = run("service", "check", str(repo / ".slipway.yaml"), "--json")
    below = run("service", "check", str(repo / "web"), "--json")

    assert code == Exit.DONE
    assert said.index("db ") < said.index("web ")
    assert "5 % for 30 s → 10 % for 30 s" in " ".join(said.split())
    assert "a person says yes at: promote" in said
    assert of_file[1] == below[1]
    told = json.loads(of_file[1])["releases"]
    assert [(one["service"], one["kind"]) for one in told] == [
        ("db", "blue_green"),
        ("web", "canary"),
    ]
    assert told[1]["seconds"] == 4 * 30 + 1_800


def test_services_of_a_bare_repository_are_those_of_its_base(repo: Path, tmp_path: Path, run: Run):
    bare = tmp_path / "bare.git"
    git(repo, "clone", "-q", "--bare", str(repo), str(bare))

    code, said, _ = run("service", "check", str(bare), "--json")

    assert code == Exit.DONE
    assert len(json.loads(said)["releases"]) == 2


def test_wrong_services_are_told_with_line_and_field(repo: Path, run: Run):
    (repo / ".slipway.yaml").write_text(SERVICES.replace("needs: [db]", "needs: [cache]"))

    code, said, problems = run("service", "check", str(repo))

    assert (code, said) == (Exit.INVALID, "")
    assert "line 6: `services.web.needs[0]` no service is called 'cache'" in problems
    assert "Traceback" not in problems


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "unreadable"), (b"\xff", "not_utf8"), (b"", "empty"), (b"schema: x", "literal_error")],
)
def test_what_is_no_service_file_is_one_error(tmp_path: Path, run: Run, content, code: str):
    file = tmp_path / "some.yaml"
    if content is not None:
        file.write_bytes(content)

    ended_with, said, _ = run("service", "check", str(file), "--json")

    assert (ended_with, json.loads(said)["error"]["code"]) == (Exit.INVALID, code)


def test_a_repository_without_services_is_said(repo: Path, run: Run):
    (repo / ".slipway.yaml").write_text("schema: slipway.repo/1\n")

    assert "declares no services" in run("service", "check", str(repo))[1]
    commit(repo, "none")
    code, said, _ = run("release", "plan", str(repo), "--json")
    git(repo, "rm", "-q", ".slipway.yaml")
    commit(repo, "gone")
    without = run("release", "plan", str(repo), "--json")
    checked = run("service", "check", str(repo), "--json")

    assert (code, json.loads(said)["error"]["code"]) == (Exit.INVALID, "no_services")
    assert json.loads(without[1])["error"]["code"] == "no_services"
    assert json.loads(checked[1])["error"]["code"] == "no_services"


def test_a_first_release_is_told_with_those_that_follow(repo: Path, run: Run):
    code, said, _ = run("release", "plan", str(repo), "--rps", "50")

    flat = " ".join(said.split())
    assert code == Exit.DONE
    assert said.index(".db/production") < said.index(".web/production")
    assert "first install: nothing to compare with" in flat
    assert "at 50 requests per second, of which 0.20% are bad" in flat
    assert "those that follow" in flat
    assert "2 10 % 1 min 2 min 0.20% →" in flat


def test_a_plan_counts_with_what_was_seen_and_what_passed_last(
    chosen: Settings, repo: Path, run: Run
):
    passed = git(repo, "rev-parse", "HEAD")
    (repo / "web" / "app.py").write_text("2\n")
    (repo / ".slipway.yaml").write_text(SERVICES.replace("hold: 60", "hold: 1"))
    sha = commit(repo, "second")
    target = f"{look_at(str(repo)).id}.web/production"
    before = Service.model_validate(
        {
            "run": ["old", "{port}"],
            "strategy": {"steps": [{"weight": 20, "hold": 60}, {"weight": 100, "hold": 0}]},
            "environments": {"production": {"port": 8080}},
        }
    )

    async def kept(records) -> None:
        for name in ("web", "db"):
            anchor = served(sha=passed, target=target.replace(".web/", f".{name}/"))
            await records.set_passed(anchor.but(service=before))
        await records.put_tick(
            tick(control=Side(started=950, done=950, error=9), canary=Side(started=50, done=50))
        )

    mine = plan(place=plan().place.but(repository=look_at(str(repo))))
    write(chosen, RolloutPlanned(plan=mine), kept=kept)

    found = json.loads(run("release", "plan", str(repo), "--json")[1])

    assert (found["ref"], found["sha"]) == ("main", sha)
    assert found["untouched"] == [target.replace(".web/", ".db/")]
    told = found["releases"][0]
    assert (told["target"], told["anchor"]) == (target, "v1.0.0")
    assert told["traffic"] == {"rps": 100.0, "base_rate": 9.5 / 951}
    assert [(step["weight"], step["hold_s"]) for step in told["steps"]] == [
        (2_000, 60),
        (10_000, 0),
    ]
    assert "its changed strategy count from the next release on" in told["notes"]
    assert "not touched" in run("release", "plan", str(repo))[1]


def test_another_commit_may_be_planned_even_on_a_detached_head(repo: Path, run: Run):
    git(repo, "tag", "v1")
    git(repo, "checkout", "-q", "--detach")

    head, tagged = run("release", "plan", str(repo)), run("release", "plan", str(repo), "--ref=v1")
    code, said, _ = run("release", "plan", str(repo), "--ref", "v9", "--json")

    assert (head[0], tagged[0]) == (Exit.DONE, Exit.DONE)
    assert "its traffic is not known yet" in head[1]
    assert tagged[1].startswith("v1")
    assert (code, json.loads(said)["error"]["code"]) == (Exit.INVALID, "no_commit")


def test_only_the_wanted_place_is_planned(repo: Path, run: Run):
    chosen_, none = (
        run("release", "plan", str(repo), "--service", name, "--env", "production", "--json")
        for name in ("db", "nobody")
    )

    assert [one["service"] for one in json.loads(chosen_[1])["releases"]] == ["db"]
    assert json.loads(none[1])["error"]["code"] == "unknown_service"


def test_a_foreign_commit_that_is_not_here_counts_as_touched(
    chosen: Settings, repo: Path, run: Run
):
    target = f"{look_at(str(repo)).id}.db/production"

    async def kept(records) -> None:
        await records.set_passed(served(sha="9" * 40, target=target))

    write(chosen, kept=kept)

    found = json.loads(run("release", "plan", str(repo), "--service", "db", "--json")[1])

    assert [one["target"] for one in found["releases"]] == [target]
