"""Releases on disk: whole or not there, built once, never mistaken for another."""

# Single calls of the file system do not block.
# ruff: noqa: ASYNC240

import asyncio
import sys
from pathlib import Path

import pytest

from domain.command import CommandOrder, CommandOutcome
from domain.deployment import BuildOrder, Place
from domain.errors import Rejected, Unavailable
from domain.repository import Repository
from domain.service import Environment, Service
from integrations.gates.environment import SYSTEM_PATH
from integrations.git import Git
from integrations.local_releases import Releases
from integrations.process import Processes
from tests.integrations import git_sandbox
from tests.processes import KEEPER

SERVICE = Service(run=("x",), environments={"prod": Environment(port=8000)})


class Yard:
    """A repository, its store, and the releases made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "releases"
        self.git = Git(folder / "objects")
        self.processes = Processes(sys.executable, KEEPER, "limits")
        self.releases = Releases(self.folder, self.git, self.processes)
        self.source = folder / "a shop"
        self.sha = ""
        self.place = Place(
            repository=Repository(id="", name="", location="", base=""),
            service="web",
            environment="prod",
        )

    async def prepare(self, files: dict[str, str]) -> "Yard":
        git_sandbox.make(self.source, files)
        repository, _ = await self.git.inspect(str(self.source))
        self.place = self.place.but(repository=repository)
        self.sha = await self.git.import_base(repository)
        return self

    def order(self, *build: str) -> BuildOrder:
        return BuildOrder(place=self.place, sha=self.sha, service=SERVICE.but(build=build))


@pytest.fixture
async def yard(tmp_path: Path) -> Yard:
    return await Yard(tmp_path).prepare({"app.py": "print(1)\n", "sub/x.sh": "exit 0\n"})


async def test_a_release_is_the_commit_and_what_was_built(yard: Yard):
    made = await yard.releases.build(yard.order("mkdir out", "cat app.py > out/copy"))

    tree = Path(made.location)
    assert (tree / "out" / "copy").read_text() == "print(1)\n"
    assert (tree / "sub" / "x.sh").exists()
    assert not (tree / ".git").exists()
    assert tree.is_relative_to(yard.folder)
    assert yard.releases.check(yard.place, made) == tree
    assert "cat app.py" in Path(made.log).read_text()


async def test_what_is_built_knows_its_own_folder_and_stays_there(yard: Yard):
    made = await yard.releases.build(yard.order("pwd > where"))

    assert (Path(made.location) / "where").read_text().strip() == made.location
    assert " " not in made.location  # many tools cannot live in a path with a space


async def test_a_build_that_was_cut_short_begins_anew(yard: Yard):
    class Cut:
        """Ends like a worker that is killed while it builds."""

        async def run(self, order: CommandOrder, on_event: object = None) -> CommandOutcome:
            (Path(order.folder) / "tree" / "half").write_text("half")
            raise asyncio.CancelledError

        async def tier(self) -> object:
            raise NotImplementedError

    releases = Releases(yard.folder, yard.git, Cut())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await releases.build(yard.order("true"))
    assert list(yard.folder.rglob("half"))
    made = await yard.releases.build(yard.order("true"))

    assert not (Path(made.location) / "half").exists()


async def test_a_failed_build_is_no_release_and_its_log_stays(yard: Yard):
    with pytest.raises(Rejected) as caught:
        await yard.releases.build(yard.order("echo on the way", "echo here >&2; false"))

    problem = caught.value.problem
    assert problem.code == "build_failed"
    assert "here" in problem.message
    assert "exit code 1" in problem.message
    assert "on the way" in Path(problem.path).read_text()
    assert not list(yard.folder.rglob("artefact.json"))


async def test_a_build_sees_nothing_of_ours(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_DATABASE_URL", "secret")
    made = await yard.releases.build(yard.order("env > seen"))

    assert "secret" not in (Path(made.location) / "seen").read_text()


async def test_a_build_finds_the_programs_that_gates_find(yard: Yard):
    made = await yard.releases.build(yard.order('echo "$PATH" > seen'))

    assert (Path(made.location) / "seen").read_text().strip() == SYSTEM_PATH


async def test_another_commit_in_its_place_is_not_taken_for_it(yard: Yard):
    made = await yard.releases.build(yard.order())
    for wrong, code in (
        (made.but(digest="0" * 64), "wrong_digest"),
        (made.but(sha="0" * 40), "wrong_digest"),
        (made.but(location="/etc"), "no_release"),
        (made.but(location=""), "no_release"),
        (made.but(location=f"{made.location}/../../../x/room/tree"), "no_release"),
    ):
        with pytest.raises(Rejected) as caught:
            yard.releases.check(yard.place, wrong)
        assert caught.value.problem.code == code


async def test_a_release_of_another_target_is_not_taken(yard: Yard):
    made = await yard.releases.build(yard.order())
    with pytest.raises(Rejected) as caught:
        yard.releases.check(yard.place.but(environment="staging"), made)

    assert caught.value.problem.code == "no_release"


async def test_a_record_that_was_damaged_means_to_build_again(yard: Yard):
    made = await yard.releases.build(yard.order("date +%N > when"))
    when = (Path(made.location) / "when").read_text()
    record = Path(made.location).parent.parent / "artefact.json"
    record.write_text('{"half": ')
    again = await yard.releases.build(yard.order("date +%N > when"))

    assert again == made
    assert (Path(made.location) / "when").read_text() != when


async def test_a_folder_that_cannot_be_written_is_unavailable(yard: Yard):
    yard.folder.write_text("in the way")
    with pytest.raises(Unavailable) as caught:
        await yard.releases.build(yard.order())

    assert caught.value.problem.code == "disk"


async def test_what_is_not_kept_is_removed_with_all_it_built(yard: Yard):
    made = await yard.releases.build(yard.order("mkdir shut", "touch shut/x", "chmod 500 shut"))

    assert await yard.releases.prune(yard.place, (yard.sha,)) == ()
    assert Path(made.location).exists()
    assert await yard.releases.prune(yard.place, ()) == (yard.sha,)
    assert not Path(made.location).exists()
    assert await yard.releases.prune(yard.place, ()) == ()
