"""Source: rounds, composing, staging, merging and tagging on real repositories."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.source import (
    ComposeTask,
    DiscardIdea,
    MeasureChange,
    MergeEntry,
    OpenRound,
    ReadBase,
    ReadHead,
    Source,
    Staged,
    StageEntry,
    TagEntry,
)
from domain.errors import Rejected, Unavailable
from domain.idea import ChangeKind
from domain.repository import Repository
from domain.review import GateSet
from domain.train import TrainEntry
from integrations.git import Git
from integrations.local_forge import LocalForge
from tests.activities.effects_twin import EffectsTwin
from tests.integrations.git_sandbox import commit, git, head, make, make_bare

AT = 1_795_000_000_000


class Bench:
    """A source on one repository, and short ways to use it."""

    def __init__(self, folder: Path, location: Path) -> None:
        self.store = Git(folder / "objects")
        self.effects = EffectsTwin()
        forge = LocalForge(self.store)
        self.source = Source(forge, self.store, self.effects, lambda repo: "train", "delivery")
        self.folder, self.location = folder, location
        self.repo = Repository(id="", name="", location="", base="")

    async def do(self, name: str, order: Any) -> Any:
        """Run an activity by its name."""
        return await ActivityEnvironment().run(getattr(self.source, name), order)

    async def open(self, key: str = "idea", round_: int = 1) -> Any:
        self.repo, _ = await self.store.inspect(str(self.location), "")
        order = OpenRound(key=key, round=round_, repository=self.repo)
        return await self.do("open_round", order)

    async def work(self, parent: str, files: dict[str, str]) -> str:
        """Return a commit on `parent` as an agent's workspace would leave it."""
        sha = parent
        for path, text in files.items():
            tree = await self.store.replace_file(self.repo.id, sha, path, text.encode())
            sha = await self.store.commit(self.repo.id, tree, (parent,), "agent", AT)
        return sha

    async def compose(
        self, sha: str, parent: str, task: str = "one", key: str = "idea", attempt: int = 1
    ) -> Any:
        order = ComposeTask(
            key=key, round=1, task=task, attempt=attempt, repository=self.repo, sha=sha,
            parent_sha=parent, title=f"Do {task}\nnow", at_ms=AT,
        )  # fmt: skip
        return await self.do("compose_task", order)

    async def entry(self, files: dict[str, str], key: str = "idea", **more: Any) -> TrainEntry:
        """Return an idea with one task that changed these files, ready for the train."""
        opened = await self.open(key)
        sha = await self.work(opened.base_sha, files)
        composed = await self.compose(sha, opened.base_sha, key=key)
        return TrainEntry(
            key=key, round=1, workflow_id=f"idea/{key}", repository=self.repo,
            base_sha=opened.base_sha, head_sha=composed.head_sha, tree=composed.tree,
            title=f"Title of {key}", notes="Because.", change=ChangeKind.FEATURE,
            gates=GateSet(project="other", gates=()), subject_sha256="s", **more,
        )  # fmt: skip

    async def stage(self, entry: TrainEntry, onto: str = "", **more: Any) -> tuple[Staged, Any]:
        base = await self.do("read_base", ReadBase(repository=self.repo))
        order = StageEntry(
            entry=entry, onto=onto or base.base_sha, base_sha=base.base_sha,
            base_moves=base.base_moves, at_ms=AT, **more,
        )  # fmt: skip
        return await self.do("stage_entry", order), base

    async def merge(self, entry: TrainEntry, staged: Staged, base: Any) -> Any:
        order = MergeEntry(
            entry=entry, staged=staged, onto=base.base_sha, base_moves=base.base_moves
        )
        return await self.do("merge_entry", order)

    async def tag(self, entry: TrainEntry, sha: str, tag: str, base: Any) -> str:
        order = TagEntry(entry=entry, sha=sha, tag=tag, base_moves=base.base_moves, at_ms=AT)
        tagged = await self.do("tag_entry", order)
        return str(tagged.tag)


@pytest.fixture
def work(tmp_path: Path) -> Bench:
    return Bench(tmp_path, make(tmp_path / "repo", {"a": "1\n2\n3\n4\n5\n6\n7\n8\n", "b": "b\n"}))


@pytest.fixture
def bare(tmp_path: Path) -> Bench:
    files = {"a": "1\n", "b": "b\n", "CHANGELOG.md": "# Log\n"}
    return Bench(tmp_path, make_bare(tmp_path / "repo.git", files))


async def test_a_round_starts_at_the_base_and_stays_there(work: Bench) -> None:
    first = await work.open()
    assert first.base_sha == first.head_sha == head(work.location)
    commit(work.location, {"c": "c"})
    again = await work.open()
    assert (again.base_sha, again.head_sha) == (first.base_sha, first.head_sha)
    second = await work.open(round_=2)
    assert second.base_sha == head(work.location)


async def test_a_crash_between_the_two_refs_of_a_round_is_mended(work: Bench) -> None:
    first = await work.open()
    await work.store.swap(work.repo.id, "refs/slipway/ideas/idea/r1", "", first.base_sha)
    commit(work.location, {"c": "c"})
    again = await work.open()
    assert (again.base_sha, again.head_sha) == (first.base_sha, first.base_sha)


@pytest.mark.parametrize(("code", "expected"), [("moved", Unavailable), ("bad_ref", Rejected)])
async def test_an_earlier_try_that_still_runs_is_no_refusal(
    work: Bench, monkeypatch: pytest.MonkeyPatch, code: str, expected: type[Exception]
) -> None:
    await work.open()

    async def rival(*_: object) -> None:
        raise Rejected("somebody was faster", code=code)

    monkeypatch.setattr(work.store, "swap", rival)
    with pytest.raises(expected):
        await work.do("discard_idea", DiscardIdea(key="idea", repository=work.repo))


async def test_a_round_that_was_never_opened_has_no_head(work: Bench) -> None:
    await work.open()
    with pytest.raises(Rejected) as error:
        await work.do("read_head", ReadHead(key="idea", round=7, repository=work.repo))
    assert error.value.problem.code == "no_branch"


async def test_tasks_line_up_on_the_idea_branch_in_the_order_they_come(work: Bench) -> None:
    opened = await work.open()
    one = await work.work(opened.base_sha, {"a": "0\n1\n2\n3\n4\n5\n6\n7\n8\n"})
    two = await work.work(opened.base_sha, {"b": "B\n"})
    first = await work.compose(one, opened.base_sha, "one")
    second = await work.compose(two, opened.base_sha, "two")
    assert (first.rebased, second.rebased) == (False, True)
    now = await work.do("read_head", ReadHead(key="idea", round=1, repository=work.repo))
    assert (now.head_sha, now.tree) == (second.head_sha, second.tree)
    chain = await work.store.commits(work.repo.id, opened.base_sha, now.head_sha)
    assert chain == (first.head_sha, second.head_sha)
    message = await work.store.message_of(work.repo.id, second.head_sha)
    assert message == (
        "Do two now\n\nSlipway-Idea: idea\nSlipway-Task: two\n"
        "Slipway-Operation: idea/1/task/two/1\n"
    )


async def test_composing_twice_is_composing_once(work: Bench) -> None:
    opened = await work.open()
    one = await work.work(opened.base_sha, {"b": "B\n"})
    first = await work.compose(one, opened.base_sha)
    other = await work.work(opened.base_sha, {"a": "x\n"})
    await work.compose(other, opened.base_sha, "two")
    again = await work.compose(one, opened.base_sha)
    chain = await work.store.commits(work.repo.id, opened.base_sha, again.head_sha)
    assert len(chain) == 2
    assert chain[0] == first.head_sha


async def test_composing_at_once_loses_nothing(work: Bench) -> None:
    opened = await work.open()
    made = [await work.work(opened.base_sha, {f"f{n}": "x\n"}) for n in range(6)]
    await asyncio.gather(
        *(work.compose(sha, opened.base_sha, f"t{n}") for n, sha in enumerate(made))
    )
    now = await work.do("read_head", ReadHead(key="idea", round=1, repository=work.repo))
    files = await work.store.files(work.repo.id, now.head_sha)
    assert {f"f{n}" for n in range(6)} <= set(files)


async def test_a_conflict_of_tasks_names_the_files_and_moves_nothing(work: Bench) -> None:
    opened = await work.open()
    one = await work.work(opened.base_sha, {"b": "one\n"})
    two = await work.work(opened.base_sha, {"b": "two\n"})
    first = await work.compose(one, opened.base_sha, "one")
    second = await work.compose(two, opened.base_sha, "two")
    assert (second.status, second.conflicts) == ("conflict", ("b",))
    assert second.head_sha == first.head_sha


async def test_a_branch_that_never_stands_still_is_tried_again_later(
    work: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await work.open()
    one = await work.work(opened.base_sha, {"b": "one\n"})

    async def moved(*_: object) -> None:
        raise Rejected("moved", code="moved")

    monkeypatch.setattr(work.store, "swap", moved)
    with pytest.raises(Unavailable):
        await work.compose(one, opened.base_sha)


async def test_measuring_and_discarding(work: Bench) -> None:
    entry = await work.entry({"b": "B\n"})
    order = MeasureChange(repository=work.repo, base_sha=entry.base_sha, sha=entry.head_sha)
    change = await work.do("measure_change", order)
    assert (change.file_count, change.insertions, change.deletions) == (1, 1, 1)
    await work.store.swap(work.repo.id, "refs/slipway/tasks/idea/1/one/1", entry.head_sha, None)
    await work.open("other")
    for _ in range(2):
        await work.do("discard_idea", DiscardIdea(key="idea", repository=work.repo))
    left = await work.store.refs(work.repo.id, "refs/slipway/")
    assert {ref for ref, _ in left} == {
        "refs/slipway/base/main",
        "refs/slipway/ideas/other/r1",
        "refs/slipway/rounds/other/r1",
    }


async def test_from_entry_to_branch_and_tag_beside_a_work_tree(work: Bench) -> None:
    entry = await work.entry({"b": "B\n"})
    staged, base = await work.stage(entry)
    assert (staged.status, staged.tag, staged.tree) == ("staged", "slipway-idea", entry.tree)
    merged = await work.merge(entry, staged, base)
    assert (merged.status, merged.branch) == ("merged", "slipway/idea")
    assert await work.tag(entry, merged.sha, staged.tag, base) == "slipway-idea"
    assert git(work.location, "log", "--format=%s%n%(trailers:key=Slipway-Operation)", "-1",
               "slipway/idea").split("\n")[-1] == "Slipway-Operation: idea/1/merge"  # fmt: skip
    notes = git(work.location, "for-each-ref", "--format=%(contents)", "refs/tags")
    assert "Title of idea" in notes
    assert "Because." in notes


async def test_staging_the_same_twice_gives_the_same_commit(bare: Bench) -> None:
    entry = await bare.entry({"b": "B\n"})
    assert await bare.stage(entry) == await bare.stage(entry)


async def test_the_changelog_is_part_of_what_is_staged(bare: Bench) -> None:
    git(bare.location, "tag", "v1.4.0", "main")
    entry = await bare.entry({"b": "B\n"})
    staged, base = await bare.stage(entry)
    assert staged.tag == "v1.5.0"
    await bare.merge(entry, staged, base)
    log = git(bare.location, "show", "main:CHANGELOG.md")
    assert log == "# Log\n\n## v1.5.0 - 2026-11-18\n\n### Added\n\n- Title of idea"
    assert git(bare.location, "rev-list", "--count", "main") == "2"


async def test_a_changelog_that_the_idea_wrote_itself_is_left_alone(bare: Bench) -> None:
    entry = await bare.entry({"CHANGELOG.md": "# Log\n\n- mine\n"})
    staged, base = await bare.stage(entry)
    await bare.merge(entry, staged, base)
    assert git(bare.location, "show", "main:CHANGELOG.md") == "# Log\n\n- mine"


async def test_a_changelog_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    location = make(tmp_path / "repo", {"b": "b"})
    (location / "CHANGELOG.md").write_bytes(b"\xff\xfe")
    git(location, "add", "-A")
    git(location, "commit", "-q", "-m", "odd")
    bench = Bench(tmp_path, location)
    entry = await bench.entry({"b": "B\n"})
    staged, _ = await bench.stage(entry)
    assert staged.tree == entry.tree


async def test_entries_of_a_batch_stand_on_each_other_with_tags_of_their_own(bare: Bench) -> None:
    one = await bare.entry({"a": "A\n"}, "one")
    two = await bare.entry({"b": "B\n"}, "two")
    first, base = await bare.stage(one)
    second, _ = await bare.stage(two, onto=first.sha, taken=(first.tag,))
    assert (first.tag, second.tag) == ("v0.1.0", "v0.2.0")
    await bare.merge(one, first, base)
    done = await bare.merge(two, second, base.but(base_sha=first.sha))
    assert head(bare.location) == done.sha == second.sha
    log = git(bare.location, "show", "main:CHANGELOG.md")
    assert log.index("Title of two") < log.index("Title of one")


async def test_a_merge_that_was_lost_on_the_way_back_is_found(bare: Bench) -> None:
    entry = await bare.entry({"b": "B\n"})
    staged, base = await bare.stage(entry)
    bare.effects.forget = True
    first = await bare.merge(entry, staged, base)
    bare.effects.forget = False
    assert await bare.merge(entry, staged, base) == first
    assert await bare.merge(entry, staged, base) == first.but(tree="")
    assert git(bare.location, "rev-list", "--count", "main") == "2"
    again, _ = await bare.stage(entry)
    assert (again.status, again.sha, again.tree) == ("merged", staged.sha, staged.tree)


async def test_a_tag_that_was_lost_on_the_way_back_is_found(bare: Bench) -> None:
    entry = await bare.entry({"b": "B\n"})
    staged, base = await bare.stage(entry)
    merged = await bare.merge(entry, staged, base)
    bare.effects.forget = True
    first = await bare.tag(entry, merged.sha, staged.tag, base)
    bare.effects.forget = False
    assert await bare.tag(entry, merged.sha, "v9.9.9", base) == first
    assert await bare.tag(entry, merged.sha, "v9.9.9", base) == first
    assert git(bare.location, "tag", "--list") == first


async def test_a_tag_name_taken_meanwhile_gives_way_to_the_next(bare: Bench, work: Bench) -> None:
    entry = await bare.entry({"b": "B\n"})
    staged, base = await bare.stage(entry)
    merged = await bare.merge(entry, staged, base)
    git(bare.location, "tag", staged.tag, base.base_sha)
    assert await bare.tag(entry, merged.sha, staged.tag, base) == "v0.1.1"
    entry = await work.entry({"b": "B\n"})
    staged, base = await work.stage(entry)
    merged = await work.merge(entry, staged, base)
    git(work.location, "tag", staged.tag)
    assert await work.tag(entry, merged.sha, staged.tag, base) == "slipway-idea-2"


async def test_a_newer_base_is_what_the_change_is_put_on(work: Bench) -> None:
    entry = await work.entry({"b": "B\n"})
    moved = commit(work.location, {"c": "c\n"})
    staged, base = await work.stage(entry)
    assert base.base_sha == moved
    assert await work.store.parents_of(work.repo.id, staged.sha) == (moved,)
    assert (await work.merge(entry, staged, base)).status == "merged"
    assert git(work.location, "show", "slipway/idea:c") == "c"


async def test_a_conflict_with_the_base_names_the_files(work: Bench) -> None:
    entry = await work.entry({"b": "B\n"})
    commit(work.location, {"b": "other\n"})
    staged, _ = await work.stage(entry)
    assert (staged.status, staged.conflicts) == ("conflict", ("b",))


async def test_a_change_that_the_base_has_already_is_empty(work: Bench) -> None:
    entry = await work.entry({"b": "B\n"})
    commit(work.location, {"b": "B\n"})
    staged, _ = await work.stage(entry)
    assert staged.status == "empty"


async def test_an_approval_holds_on_a_newer_base_only_for_the_same_patch(work: Bench) -> None:
    text = "1\n2\n3\n4\n5\n6\n7\n8\n"
    entry = await work.entry({"a": text.replace("8", "eight")}, approvals=("idea/1/merge/1",))
    commit(work.location, {"c": "c\n"})
    staged, base = await work.stage(entry)
    assert staged.status == "staged"
    commit(work.location, {"a": text.replace("5", "five")})
    altered, _ = await work.stage(entry)
    assert altered.status == "altered"
    assert (await work.stage(entry.but(approvals=())))[0].status == "staged"
    assert (await work.merge(entry, staged, base)).status == "moved"
    assert work.effects.approvals == {"idea/1/merge": ("idea/1/merge/1",)}


async def test_a_switched_off_repository_gets_no_merge(bare: Bench) -> None:
    entry = await bare.entry({"b": "B\n"})
    staged, base = await bare.stage(entry)
    bare.effects.off = f"repository/{bare.repo.id}"
    with pytest.raises(Rejected) as error:
        await bare.merge(entry, staged, base)
    assert error.value.problem.code == "switched_off"
    assert head(bare.location) == entry.base_sha
