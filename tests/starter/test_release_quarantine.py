"""`slipway release barred|mended`: what was undone, and the word that it is mended."""

import json
import subprocess
from pathlib import Path

import pytest
import pytest_asyncio

from config.settings import Settings
from domain.rollout import Quarantined
from starter.repository import look_at
from tests.starter.rollouts_told import KEY, Teller
from tests.starter.rollouts_told import chosen as chosen
from tests.starter.rollouts_told import run as run

WHO = ("-c", "user.name=ann", "-c", "user.email=ann@localhost")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def commits(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository with three commits, oldest first."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    names = []
    for number in range(3):
        git(folder, *WHO, "commit", "--quiet", "--allow-empty", "--message", str(number))
        names.append(git(folder, "rev-parse", "HEAD"))
    return folder, names


@pytest_asyncio.fixture
async def shop(chosen: Settings, commits: tuple[Path, list[str]]) -> tuple[str, list[str]]:
    """The second commit was undone."""
    folder, shas = commits
    teller = Teller(chosen)
    await teller.database.open()
    await teller.begin()
    item = Quarantined(
        repository=look_at(str(folder)).id, sha=shas[1], rollout="R", key=KEY,
        reason="a fifth of the answers were bad", at_ms=1,
    )  # fmt: skip
    await teller.database.rollouts.quarantine((item,))
    await teller.close()
    return str(folder), shas


def test_tells_what_is_barred_and_why(run, shop):
    folder, shas = shop
    code, out, _ = run("release", "barred", "--repo", folder)

    assert code == 0
    assert shas[1][:12] in out
    assert "nothing yet" in out
    assert "a fifth of the answers were bad" in out


def test_a_person_can_say_what_mends_it(run, shop):
    folder, shas = shop
    words = ("release", "mended", shas[1][:8], "--by", "main", "--repo", folder, "--json")
    code, out, _ = run(*words)
    again, _, _ = run(*words)
    _, listed, _ = run("release", "barred", "--repo", folder, "--json")
    intact, _, _ = run("audit", "verify", "--json")

    assert (code, again, intact) == (0, 0, 0)
    assert json.loads(out)["cure"] == shas[2]
    assert [item["cure"] for item in json.loads(listed)["barred"]] == [shas[2]]


@pytest.mark.parametrize(
    ("merge", "by", "code"),
    [(2, "main", "not_barred"), (1, "HEAD~2", "not_later"), (1, "nothing", "no_commit")],
)
def test_a_wrong_word_changes_nothing(run, shop, merge, by, code):
    folder, shas = shop
    words = ("release", "mended", shas[merge], "--by", by, "--repo", folder, "--json")
    ended, out, _ = run(*words)
    _, listed, _ = run("release", "barred", "--repo", folder, "--json")

    assert ended == 2
    assert json.loads(out)["error"]["code"] == code
    assert [item["cure"] for item in json.loads(listed)["barred"]] == [""]
