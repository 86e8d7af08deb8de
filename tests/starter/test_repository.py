import os
import subprocess
from pathlib import Path

import pytest

from domain.errors import Misconfigured, Rejected
from starter.repository import resolve


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    run = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
    )
    return run.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def test_a_work_tree_is_named_by_its_folder_and_checked_out_branch(repo: Path):
    (repo / "src").mkdir()

    found = resolve(str(repo / "src"))

    assert ("shop", str(repo), "refs/heads/main") == (found.name, found.location, found.base)
    assert found.id.startswith("shop-")
    assert len(found.id) == len("shop-") + 8


def test_all_work_trees_of_a_repository_are_one(repo: Path, tmp_path: Path):
    git(repo, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    (tmp_path / "link").symlink_to(repo)

    main, tree, link = (resolve(str(p)) for p in (repo, tmp_path / "tree", tmp_path / "link"))

    assert main.id == tree.id == link.id
    assert tree.base == "refs/heads/other"


def test_two_repositories_with_one_name_are_two(repo: Path, tmp_path: Path):
    other = tmp_path / "x" / "shop"
    other.mkdir(parents=True)
    git(other, "init", "-q", "-b", "main")
    git(other, "commit", "-q", "--allow-empty", "-m", "first")

    assert resolve(str(repo)).id != resolve(str(other)).id


def test_a_bare_repository_is_its_own_location(repo: Path, tmp_path: Path):
    git(tmp_path, "clone", "-q", "--bare", str(repo), "shop.git")

    found = resolve(str(tmp_path / "shop.git"))

    assert (str(tmp_path / "shop.git"), "shop") == (found.location, found.name)


def test_names_of_any_script_and_with_spaces_are_taken(tmp_path: Path):
    folder = tmp_path / "Пример 'of' spaces"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "-dash")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")

    found = resolve(str(folder))

    assert (str(folder), "refs/heads/-dash") == (found.location, found.base)
    assert found.name == "of-spaces"


def test_a_branch_can_be_named(repo: Path):
    git(repo, "branch", "next")

    assert resolve(str(repo), base="next").base == "refs/heads/next"


@pytest.mark.parametrize("base", ["nope", "-x", "--help", "main^{tree}"])
def test_a_branch_that_is_none_is_refused_with_those_there_are(repo: Path, base: str):
    with pytest.raises(Rejected, match="has no branch") as caught:
        resolve(str(repo), base=base)

    assert (
        caught.value.problem.code,
        caught.value.problem.hint,
    ) == ("no_branch", "It has: main. Name one with --base.")


def test_a_detached_head_asks_for_the_branch(repo: Path):
    git(repo, "checkout", "-q", "--detach")

    with pytest.raises(Rejected, match="detached head") as caught:
        resolve(str(repo))

    assert "--base" in caught.value.problem.hint


def test_a_repository_without_commit_is_refused(tmp_path: Path):
    git(tmp_path, "init", "-q", "-b", "main")

    with pytest.raises(Rejected, match="no commit") as caught:
        resolve(str(tmp_path))

    assert caught.value.problem.code == "empty_repository"


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("/nonexistent", "no_repository"),
        ("https://example.org/x.git", "remote_repository"),
        ("git@example.org:x/y.git", "remote_repository"),
    ],
)
def test_what_is_no_repository_here_is_refused(location: str, code: str):
    with pytest.raises(Rejected) as caught:
        resolve(location)

    assert caught.value.problem.code == code


def test_a_plain_folder_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    with pytest.raises(Rejected, match="not a git repository"):
        resolve(str(tmp_path))


def test_settings_of_the_repository_run_nothing(repo: Path, tmp_path: Path):
    marker = tmp_path / "ran"
    git(repo, "config", "core.fsmonitor", f"touch {marker}")
    git(repo, "config", "alias.rev-parse", f"!touch {marker}")

    resolve(str(repo))

    assert not marker.exists()


def test_without_git_it_says_so(repo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(Misconfigured, match="no `git`"):
        resolve(str(repo))
