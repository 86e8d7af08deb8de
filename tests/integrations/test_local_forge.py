"""Delivering into the user's repository: once, by compare and swap, never into a work tree."""

import json
from pathlib import Path

import pytest

from domain.forge import MergeOrder, TagOrder
from domain.repository import Repository
from integrations.git import Git
from integrations.local_forge import LocalForge
from tests.integrations.git_sandbox import commit, git, head, make, make_bare, write


class Bench:
    """One repository, its store, and the forge between them."""

    def __init__(self, folder: Path, location: Path, base: str = "", update_base: bool = False):
        self.store = Git(folder / "objects")
        self.forge = LocalForge(self.store)
        self.folder, self.location = folder, location
        self.base, self.update_base = base, update_base
        self.repo = Repository(id="", name="", location="", base="")
        self.moves = False

    async def look(self) -> str:
        self.repo, _ = await self.store.inspect(str(self.location), self.base, self.update_base)
        facts = await self.forge.look(self.repo)
        self.moves = facts.base_moves
        return facts.base_sha

    async def order(self, text: str = "new\n", key: str = "idea", round_: int = 1) -> MergeOrder:
        base = await self.look()
        op = f"{key}/{round_}/merge"
        tree = await self.store.replace_file(self.repo.id, base, "app.py", text.encode())
        message = f"change\n\nSlipway-Operation: {op}\n"
        sha = await self.store.commit(self.repo.id, tree, (base,), message, 1_700_000_000_000)
        return MergeOrder(
            op=op, key=key, repository=self.repo, since_sha=base, base_moves=self.moves,
            base_sha=base, sha=sha, tree=tree,
        )  # fmt: skip

    def tag(self, order: MergeOrder, name: str) -> TagOrder:
        op = order.op.replace("/merge", "/tag")
        message = f"notes\n\nSlipway-Operation: {op}\n"
        return TagOrder(
            op=op, repository=self.repo, name=name, sha=order.sha, message=message, at_ms=1_000
        )


@pytest.fixture
def work(tmp_path: Path) -> Bench:
    return Bench(tmp_path, make(tmp_path / "repo"))


@pytest.fixture
def bare(tmp_path: Path) -> Bench:
    return Bench(tmp_path, make_bare(tmp_path / "repo.git"))


async def test_beside_a_work_tree_the_result_is_a_branch_of_its_own(work: Bench) -> None:
    write(work.location, {"app.py": "dirty\n"})
    (work.location / ".git" / "index").read_bytes()
    before = head(work.location)
    order = await work.order()
    merged = await work.forge.merge(order)
    assert (merged.status, merged.branch, merged.sha) == ("merged", "slipway/idea", order.sha)
    assert head(work.location, "refs/heads/slipway/idea") == order.sha
    assert head(work.location) == before
    assert (work.location / "app.py").read_text() == "dirty\n"
    assert git(work.location, "status", "--porcelain") == "M app.py"
    assert git(work.location, "fsck", "--strict") == ""
    assert not (work.location / ".git" / "FETCH_HEAD").exists()


async def test_in_a_bare_repository_the_base_moves(bare: Bench) -> None:
    order = await bare.order()
    merged = await bare.forge.merge(order)
    assert (merged.status, merged.branch) == ("merged", "main")
    assert head(bare.location) == order.sha
    assert git(bare.location, "show", "main:app.py") == "new"


async def test_update_base_moves_a_branch_that_is_checked_out_nowhere(tmp_path: Path) -> None:
    location = make(tmp_path / "repo")
    bench = Bench(tmp_path, location, "main", update_base=True)
    order = await bench.order()
    assert order.base_moves is False
    git(location, "checkout", "-q", "-b", "else")
    order = await bench.order()
    assert (await bench.forge.merge(order)).branch == "main"
    assert head(location) == order.sha
    again = await bench.order("newer\n", "second")
    git(location, "checkout", "-q", "main")
    refused = await bench.forge.merge(again)
    assert refused.status == "refused"
    assert "checked out" in refused.reason


async def test_merging_again_finds_the_first_merge_even_below_later_commits(bare: Bench) -> None:
    order = await bare.order()
    await bare.forge.merge(order)
    other = await bare.order("later\n", "later")
    await bare.forge.merge(other)
    again = await bare.forge.merge(order)
    assert (again.status, again.sha) == ("merged", order.sha)
    assert head(bare.location) == other.sha
    assert git(bare.location, "rev-list", "--count", "main") == "3"
    assert await bare.forge.read_change(order) == again
    assert await bare.forge.read_change(order.but(op="none/1/merge")) is None


async def test_what_a_killed_write_has_left_goes_even_when_the_write_is_found_done(
    bare: Bench,
) -> None:
    order = await bare.order()
    await bare.forge.merge(order)
    tag = bare.tag(order, "v1.0.0")
    await bare.forge.tag(tag)
    journal = bare.store.journal(bare.repo.id, "user")
    lock = bare.location / "HEAD.lock"
    note = json.dumps({"pid": 1, "new": order.sha, "locks": [str(lock)]})
    for again in (bare.forge.merge(order), bare.forge.tag(tag)):
        journal.write_text(note)
        lock.touch()
        await again
        assert not lock.exists()
        assert journal.read_text() == ""


async def test_a_moved_base_is_told_and_nothing_is_written(work: Bench) -> None:
    order = await work.order()
    commit(work.location, {"b": "b"})
    assert (await work.forge.merge(order)).status == "moved"
    assert git(work.location, "branch", "--list", "slipway/*") == ""


async def test_what_is_no_fast_forward_is_refused(bare: Bench) -> None:
    order = await bare.order()
    alone = await bare.store.commit(bare.repo.id, order.tree, (), "no parent", 0)
    refused = await bare.forge.merge(order.but(sha=alone))
    assert (refused.status, refused.reason) == ("refused", "the result is no fast-forward")
    aside = await bare.store.commit(bare.repo.id, order.tree, (alone,), "other parent", 0)
    assert (await bare.forge.merge(order.but(sha=aside))).status == "refused"


async def test_branches_of_the_user_are_left_alone(work: Bench) -> None:
    git(work.location, "branch", "slipway")
    refused = await work.forge.merge(await work.order())
    assert refused.status == "refused"
    assert "slipway" in refused.reason
    git(work.location, "branch", "-D", "slipway")
    git(work.location, "checkout", "-q", "-b", "slipway/idea")
    commit(work.location, {"c": "c"})
    git(work.location, "checkout", "-q", "main")
    refused = await work.forge.merge(await work.order())
    assert "exists already" in refused.reason


async def test_a_branch_of_the_user_that_the_result_contains_is_moved_on(work: Bench) -> None:
    git(work.location, "branch", "slipway/idea")
    order = await work.order()
    assert (await work.forge.merge(order)).status == "merged"
    assert head(work.location, "refs/heads/slipway/idea") == order.sha


async def test_hooks_of_the_user_do_not_run(work: Bench) -> None:
    for name in ("reference-transaction", "post-update", "pre-receive", "update", "post-receive"):
        hook = work.location / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {work.folder}/ran\nexit 1\n")
        hook.chmod(0o755)
    order = await work.order()
    assert (await work.forge.merge(order)).status == "merged"
    assert await work.forge.tag(work.tag(order, "slipway-idea")) == "slipway-idea"
    assert not (work.folder / "ran").exists()


async def test_a_tag_is_written_once_and_carries_the_notes(bare: Bench) -> None:
    order = await bare.order()
    await bare.forge.merge(order)
    tag = bare.tag(order, "v1.0.0")
    assert await bare.forge.tag(tag) == "v1.0.0"
    assert await bare.forge.tag(tag.but(name="v1.0.1")) == "v1.0.0"
    assert git(bare.location, "tag", "--list") == "v1.0.0"
    assert git(bare.location, "rev-parse", "v1.0.0^{commit}") == order.sha
    assert (
        git(bare.location, "for-each-ref", "--format=%(contents:subject)", "refs/tags") == "notes"
    )
    assert git(bare.location, "fsck", "--strict") == ""


async def test_a_name_that_is_taken_is_left_to_its_owner(bare: Bench) -> None:
    git(bare.location, "tag", "v1.0.0")
    order = await bare.order()
    await bare.forge.merge(order)
    assert await bare.forge.tag(bare.tag(order, "v1.0.0")) == ""
    assert git(bare.location, "cat-file", "-t", "v1.0.0") == "commit"


async def test_versions_are_those_the_base_can_reach_and_all_others(work: Bench) -> None:
    git(work.location, "tag", "v1.0.0")
    git(work.location, "checkout", "-q", "-b", "side")
    commit(work.location, {"s": "s"})
    git(work.location, "tag", "v9.0.0")
    git(work.location, "checkout", "-q", "main")
    base = await work.look()
    reachable, every = await work.forge.versions(work.repo, base)
    assert (reachable, sorted(every)) == (("v1.0.0",), ["v1.0.0", "v9.0.0"])


def test_branch_and_tag_never_share_a_name(work: Bench) -> None:
    assert work.forge.tag_name("idea", 1) == "slipway-idea"
    assert work.forge.tag_name("idea", 2) == "slipway-idea-r2"


async def test_a_shallow_clone_gets_its_result_too(tmp_path: Path) -> None:
    origin = make(tmp_path / "origin")
    commit(origin, {"b": "b"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", "shallow")
    bench = Bench(tmp_path, tmp_path / "shallow")
    order = await bench.order()
    assert (await bench.forge.merge(order)).status == "merged"
    assert git(bench.location, "show", "slipway/idea:app.py") == "new"


async def test_a_repository_on_sha256_gets_its_result_too(tmp_path: Path) -> None:
    location = make(tmp_path / "repo", options=("--object-format=sha256",))
    bench = Bench(tmp_path, location)
    order = await bench.order()
    assert (await bench.forge.merge(order)).status == "merged"
    assert await bench.forge.tag(bench.tag(order, "slipway-idea")) == "slipway-idea"
    assert git(location, "fsck", "--strict") == ""
