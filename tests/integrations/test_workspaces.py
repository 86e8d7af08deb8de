"""Workspaces: made whole, tied to nothing of ours, removed in every case."""

import asyncio
import os
import subprocess
import sys

import pytest

from domain.errors import Rejected, Unavailable
from integrations import workspaces as module
from integrations.git import Git
from integrations.workspaces import Workspaces
from tests.agent_bench import FILES, REPOSITORY, Bench
from tests.integrations import git_sandbox
from tests.processes import until


@pytest.fixture
async def bench(tmp_path):
    return await Bench(tmp_path).open()


def git(folder, *args: str) -> str:
    """Run plain git as a tool in the workspace would."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent / "home")}
    done = subprocess.run(
        ["git", *args], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


async def test_a_workspace_holds_the_files_and_a_clean_repository_of_one_commit(bench):
    checkout = await bench.workspaces.create(REPOSITORY, bench.base, "one")

    files = {
        str(path.relative_to(checkout)): path.read_text()
        for path in checkout.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(checkout).parts
    }
    assert files == FILES
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "rev-parse", "HEAD") == bench.base
    assert git(checkout, "log", "--format=%s") == "first"
    assert git(checkout, "fsck", "--full") == ""
    assert git(checkout, "symbolic-ref", "HEAD") == "refs/heads/slipway"


async def test_the_repository_of_a_workspace_leads_nowhere(bench):
    checkout = await bench.workspaces.create(REPOSITORY, bench.base, "one")

    text = "".join(
        path.read_text(errors="replace") for path in (checkout / ".git").rglob("*")
        if path.is_file()
    )  # fmt: skip
    assert str(bench.folder) not in text
    assert not (checkout / ".git/objects/info/alternates").exists()
    assert not (checkout / ".git/hooks").exists()


async def test_a_repository_with_longer_object_ids_gets_one_of_its_kind(tmp_path):
    source = git_sandbox.make(tmp_path / "long", FILES, options=("--object-format=sha256",))
    store = Git(tmp_path / "stores")
    repository = (await store.inspect(str(source)))[0]
    base = await store.import_base(repository)

    checkout = await Workspaces(tmp_path / "ws", store).create(repository.id, base, "one")

    assert len(base) == 64
    assert git(checkout, "status", "--porcelain") == ""


async def test_what_an_earlier_run_left_is_removed_first(bench):
    first = await bench.workspaces.create(REPOSITORY, bench.base, "one")
    (first / "left").write_text("x")
    os.close(bench.workspaces._held.pop(first.parent))  # as if its process had died

    second = await bench.workspaces.create(REPOSITORY, bench.base, "one")

    assert second == first
    assert not (second / "left").exists()


async def test_a_second_run_waits_until_the_first_has_let_go(bench):
    first = await bench.workspaces.create(REPOSITORY, bench.base, "one")
    other = Workspaces(bench.folder / "workspaces", bench.git)
    second = asyncio.create_task(other.create(REPOSITORY, bench.base, "one"))
    (first / "mine").write_text("x")

    await asyncio.wait([second], timeout=0.2)
    assert not second.done()
    await bench.workspaces.destroy(first)
    checkout = await second

    assert not (checkout / "mine").exists()
    await bench.workspaces.destroy(first)  # no longer ours: nothing happens
    assert (checkout / "src/app.py").exists()


async def test_a_run_that_never_lets_go_makes_the_second_try_later(bench, monkeypatch):
    monkeypatch.setattr(module, "BUSY", 0.1)
    await bench.workspaces.create(REPOSITORY, bench.base, "one")

    with pytest.raises(Unavailable):
        await Workspaces(bench.folder / "workspaces", bench.git).create(
            REPOSITORY, bench.base, "one"
        )


async def test_destroying_removes_all_of_it(bench):
    checkout = await bench.workspaces.create(REPOSITORY, bench.base, "one")
    bench.workspaces.lock("one").write_text("")
    (checkout / "closed").mkdir(mode=0o000)

    await bench.workspaces.destroy(checkout)

    assert list((bench.folder / "workspaces").iterdir()) == []


async def test_a_cancelled_creation_leaves_nothing(bench):
    creation = asyncio.create_task(bench.workspaces.create(REPOSITORY, bench.base, "one"))
    await until((bench.folder / "workspaces/one/home").exists)

    creation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creation

    assert list((bench.folder / "workspaces").iterdir()) == []


async def test_a_commit_that_is_not_there_leaves_nothing(bench):
    with pytest.raises(Rejected):
        await bench.workspaces.create(REPOSITORY, "0" * 40, "one")

    assert list((bench.folder / "workspaces").iterdir()) == []


DYING = """
import asyncio, os, sys
from pathlib import Path
from integrations.git import Git
from integrations.workspaces import Workspaces
folder = Path(sys.argv[1])
workspaces = Workspaces(folder / "workspaces", Git(folder / "objects"))
asyncio.run(workspaces.create(sys.argv[2], sys.argv[3], "dead.1"))
os.kill(os.getpid(), 9)
"""


async def test_sweeping_removes_what_dead_processes_left_and_nothing_else(bench):
    alive = await bench.workspaces.create(REPOSITORY, bench.base, "alive")
    words = (sys.executable, "-c", DYING, str(bench.folder), REPOSITORY, bench.base)
    dead = await asyncio.create_subprocess_exec(*words)
    assert await dead.wait() == -9
    assert (bench.folder / "workspaces/dead.1/checkout/src/app.py").exists()

    removed = await Workspaces(bench.folder / "workspaces", bench.git).sweep()

    assert removed == 1
    assert alive.exists()
    assert not (bench.folder / "workspaces/dead.1").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x" * 201])
async def test_names_that_lead_elsewhere_are_refused(bench, name):
    with pytest.raises(Rejected) as refused:
        await bench.workspaces.create(REPOSITORY, bench.base, name)

    assert refused.value.problem.code == "bad_workspace_name"


async def test_closed_files_can_be_opened_up_for_collecting(tmp_path):
    (tmp_path / "closed/inner").mkdir(parents=True)
    (tmp_path / "closed/inner/file").write_text("x")
    (tmp_path / "closed/inner/file").chmod(0o100)
    (tmp_path / "outside").write_text("y")
    (tmp_path / "outside").chmod(0o400)
    (tmp_path / "closed/link").symlink_to(tmp_path / "outside")
    (tmp_path / "closed/inner").chmod(0o000)

    module._open_up(tmp_path / "closed")

    assert (tmp_path / "closed/inner").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "closed/inner/file").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o400
