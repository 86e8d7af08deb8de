"""The object store: import, trees, commits, swaps, picks."""

# ruff: noqa: ASYNC240

import asyncio
import os
from pathlib import Path

import pytest

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.repository import Repository
from integrations.git import Git, base_ref, idea_ref
from integrations.git_command import check_ref, check_sha
from tests.integrations.git_sandbox import commit, git, head, make, make_bare, write


@pytest.fixture
def store(tmp_path: Path) -> Git:
    return Git(tmp_path / "objects")


async def opened(store: Git, location: Path, base: str = "") -> tuple[Repository, str]:
    repository, _ = await store.inspect(str(location), base)
    return repository, await store.import_base(repository)


def code_of(error: pytest.ExceptionInfo[Rejected]) -> str:
    return error.value.problem.code


async def tree_with(store: Git, repo: Repository, base: str, tmp_path: Path, **files: str) -> str:
    """Return a commit on `base` with these files changed through the disk."""
    folder = tmp_path / f"ws-{len(list(tmp_path.iterdir()))}"
    await store.materialise(repo.id, base, folder)
    write(folder, {name.replace("__", "."): text for name, text in files.items()})
    tree = await store.collect_tree(repo.id, folder, base)
    return await store.commit(repo.id, tree, (base,), "change", 1_700_000_000_000)


async def test_the_base_arrives_as_a_snapshot_and_can_be_read(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    commit(work, {"b.txt": "b\n"})
    repo, sha = await opened(store, work)
    assert sha == head(work)
    assert await store.read(repo.id, base_ref(repo.base)) == sha
    assert await store.files(repo.id, sha) == ("app.py", "b.txt")
    assert await store.show(repo.id, sha, "b.txt") == b"b\n"
    assert await store.show(repo.id, sha, "absent") is None
    assert await store.parents_of(repo.id, sha) == ()


async def test_a_repository_that_was_never_imported_has_no_refs(store: Git) -> None:
    assert await store.refs("never-12345678", "refs/slipway/") == ()


async def test_a_moved_base_is_imported_again(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    repo, first = await opened(store, work)
    commit(work, {"b.txt": "b\n"})
    second = await store.import_base(repo)
    assert second != first
    assert await store.show(repo.id, second, "b.txt") == b"b\n"
    assert await store.read(repo.id, base_ref(repo.base)) == second


async def test_imports_at_once_do_not_hinder_each_other(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    repo, _ = await store.inspect(str(work), "")

    async def move_and_import(number: int) -> str:
        commit(work, {"b.txt": f"{number}\n"})
        return await store.import_base(repo)

    found = await asyncio.gather(*(move_and_import(number) for number in range(6)))
    assert all([await store.show(repo.id, sha, "b.txt") for sha in found])
    assert await store.read(repo.id, base_ref(repo.base)) in found


async def test_the_id_follows_the_repository_not_the_folder_in_it(
    store: Git, tmp_path: Path
) -> None:
    work = make(tmp_path / "my repo", {"sub/x": "x"})
    one, facts = await store.inspect(str(work), "")
    two, _ = await store.inspect(str(work / "sub"), "main")
    git(work, "worktree", "add", "-q", str(tmp_path / "other"))
    three, _ = await store.inspect(str(tmp_path / "other"), "main")
    assert one.id == two.id == three.id
    assert one.id.startswith("my-repo-")
    assert one.base == "refs/heads/main"
    assert (facts.bare, facts.base_moves, facts.notes) == (False, False, ())


async def test_materialise_and_collect_are_inverse_and_exact(store: Git, tmp_path: Path) -> None:
    odd = {
        'a "quoted" name': "1",
        "new\nline": "2",
        "-dash": "3",
        "ünï/文": "4",
        "sp ace": "5",
        ":(glob)*": "6",
    }
    work = make(tmp_path / "repo", {**odd, "run.sh": "#!/bin/sh\n", ".gitattributes": "* text\n"})
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("run.sh")
    Path(os.fsdecode(os.fsencode(work) + b"/bad-\xff")).write_bytes(b"\r\n\0")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "odd")
    repo, sha = await opened(store, work)
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    assert (folder / "link").is_symlink()
    assert os.access(folder / "run.sh", os.X_OK)
    assert await store.collect_tree(repo.id, folder, sha) == await store.tree_of(repo.id, sha)
    bad = next(path for path in await store.files(repo.id, sha) if path.startswith("bad"))
    assert await store.show(repo.id, sha, bad) == b"\n\0"  # as the user's git stored it


async def test_collect_sees_changes_modes_links_and_deletions(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo", {"a": "a\n", "b": "b\n", "d/e": "e\n"})
    repo, sha = await opened(store, work)
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    (folder / "a").chmod(0o755)
    (folder / "b").unlink()
    (folder / "b").mkdir()
    (folder / "b" / "inside").write_text("x\ny\n")
    (folder / "d" / "e").unlink()
    (folder / "away").symlink_to("../../etc/passwd")
    tree = await store.collect_tree(repo.id, folder, sha)
    made = await store.commit(repo.id, tree, (sha,), "m", 0)
    change = await store.measure(repo.id, sha, made)
    assert [(f.path, f.kind, f.mode) for f in change.files] == [
        ("a", "modified", "100755"),
        ("away", "added", "120000"),
        ("b", "deleted", "100644"),
        ("b/inside", "added", "100644"),
        ("d/e", "deleted", "100644"),
    ]
    assert (change.file_count, change.insertions, change.deletions) == (5, 3, 2)
    assert await store.links_leaving(repo.id, made) == ("away",)
    assert await store.show(repo.id, made, "away") is None


async def test_undecodable_names_are_told_as_text(store: Git, tmp_path: Path) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    Path(os.fsdecode(os.fsencode(folder) + b"/bad-\xff")).write_text("x\n")
    tree = await store.collect_tree(repo.id, folder, sha)
    change = await store.measure(repo.id, sha, await store.commit(repo.id, tree, (sha,), "m", 0))
    assert change.files[0].path == "bad-\\xff"
    assert change.model_dump_json()


async def test_ignored_files_of_the_base_are_left_out_unless_tracked(
    store: Git, tmp_path: Path
) -> None:
    work = make(tmp_path / "repo", {".gitignore": "build/\n*.log\n", "sub/.gitignore": "tmp\n"})
    write(work, {"build/kept.txt": "1"})
    git(work, "add", "-f", "build/kept.txt")
    git(work, "commit", "-q", "-m", "tracked although ignored")
    repo, sha = await opened(store, work)
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    write(folder, {
        "build/kept.txt": "2", "build/new": "x", "build/deep/y": "y", "a.log": "l",
        "sub/tmp": "t", "tmp": "kept", "__pycache__/x.pyc": "c", "new.py": "n",
    })  # fmt: skip
    (folder / ".gitignore").write_text("new.py\n")  # the agent's own rules do not count
    tree = await store.collect_tree(repo.id, folder, sha, ("__pycache__/",))
    made = await store.commit(repo.id, tree, (sha,), "m", 0)
    assert {file.path for file in await store.changes(repo.id, sha, made)} == {
        ".gitignore", "build/kept.txt", "new.py", "tmp",
    }  # fmt: skip


async def test_an_ignored_nested_repository_is_no_trouble_but_another_is_refused(
    store: Git, tmp_path: Path
) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo", {".gitignore": "dep/\n"}))
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    (folder / ".git").mkdir()  # the throw-away one at the top
    (folder / "dep" / ".git").mkdir(parents=True)
    assert await store.collect_tree(repo.id, folder, sha) == await store.tree_of(repo.id, sha)
    (folder / "src" / ".GIT").mkdir(parents=True)
    with pytest.raises(Rejected) as error:
        await store.collect_tree(repo.id, folder, sha)
    assert code_of(error) == "nested_repository"


async def test_special_files_are_refused(store: Git, tmp_path: Path) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    os.mkfifo(folder / "pipe")
    with pytest.raises(Rejected) as error:
        await store.collect_tree(repo.id, folder, sha)
    assert code_of(error) == "special_file"


async def test_submodules_stay_as_they_are_and_a_change_to_them_is_refused(
    store: Git, tmp_path: Path
) -> None:
    inner = make(tmp_path / "inner")
    work = make(tmp_path / "repo")
    git(work, "submodule", "add", "-q", str(inner), "lib")
    git(work, "commit", "-q", "-m", "with a submodule")
    repo, sha = await opened(store, work)
    folder = tmp_path / "ws"
    await store.materialise(repo.id, sha, folder)
    assert list((folder / "lib").iterdir()) == []
    assert await store.collect_tree(repo.id, folder, sha) == await store.tree_of(repo.id, sha)
    (folder / "lib").rmdir()
    assert await store.collect_tree(repo.id, folder, sha) == await store.tree_of(repo.id, sha)
    write(folder, {"lib/x": "x"})
    with pytest.raises(Rejected) as error:
        await store.collect_tree(repo.id, folder, sha)
    assert code_of(error) == "submodule_changed"
    (folder / "lib" / "x").unlink()
    (folder / "lib").rmdir()
    (folder / "lib").write_text("a file now")
    with pytest.raises(Rejected) as error:
        await store.collect_tree(repo.id, folder, sha)
    assert code_of(error) == "submodule_changed"


async def test_the_same_commit_twice_has_the_same_id(store: Git, tmp_path: Path) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    tree = await store.tree_of(repo.id, sha)
    args = (repo.id, tree, (sha,), "message\0 \udcff", 1_700_000_000_123)
    one, two = await store.commit(*args), await store.commit(*args)
    assert one == two
    assert one != await store.commit(repo.id, tree, (sha,), "message", 1_800_000_000_000)
    assert await store.message_of(repo.id, one) == "message \\udcff\n"


async def test_a_swap_needs_the_old_value_and_a_repeated_one_is_no_change(
    store: Git, tmp_path: Path
) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    other = await store.commit(repo.id, await store.tree_of(repo.id, sha), (sha,), "m", 0)
    ref = idea_ref("key", 1)
    await store.swap(repo.id, ref, sha, None)
    await store.swap(repo.id, ref, sha, None)
    with pytest.raises(Rejected) as error:
        await store.swap(repo.id, ref, other, other)
    assert code_of(error) == "moved"
    with pytest.raises(Rejected) as error:
        await store.swap(repo.id, ref, other, None)
    assert code_of(error) == "moved"
    await store.swap(repo.id, ref, other, sha)
    assert await store.refs(repo.id, "refs/slipway/ideas/") == ((ref, other),)
    await store.swap(repo.id, ref, "", other)
    await store.swap(repo.id, ref, "", other)
    assert await store.read(repo.id, ref) is None


async def test_of_many_racing_swaps_one_wins(store: Git, tmp_path: Path) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    tree = await store.tree_of(repo.id, sha)
    made = [await store.commit(repo.id, tree, (sha,), f"m{n}", 0) for n in range(8)]
    ref = idea_ref("key", 1)
    results = await asyncio.gather(
        *(store.swap(repo.id, ref, new, None) for new in made), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert await store.read(repo.id, ref) == made[results.index(None)]


async def test_the_lock_of_a_killed_write_is_cleared_but_a_strangers_lock_stays(
    store: Git, tmp_path: Path
) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    ref = idea_ref("key", 1)
    lock = store.store(repo.id) / f"{ref}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    with pytest.raises(Unavailable) as error:
        await store.swap(repo.id, ref, sha, None)
    assert error.value.problem.code == "ref_locked"
    assert lock.exists()
    note = f'{{"pid": 1, "new": "{sha}", "locks": ["{lock}"]}}'
    store.journal(repo.id).write_text(note)
    lock.write_text("somebody else's content")
    with pytest.raises(Unavailable):
        await store.swap(repo.id, ref, sha, None)
    store.journal(repo.id).write_text(note)
    lock.write_text(f"{sha}\n")
    await store.swap(repo.id, ref, sha, None)
    assert await store.read(repo.id, ref) == sha


async def test_a_half_written_journal_is_no_obstacle(store: Git, tmp_path: Path) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    store.journal(repo.id).write_text('{"pid": 1, "lo')
    await store.swap(repo.id, idea_ref("key", 1), sha, None)
    assert await store.read(repo.id, idea_ref("key", 1)) == sha


async def test_a_pick_carries_a_change_over_and_keeps_its_patch_id(
    store: Git, tmp_path: Path
) -> None:
    repo, base = await opened(store, make(tmp_path / "repo", {"a": "1\n2\n3\n4\n5\n6\n7\n8\n9\n"}))
    mine = await tree_with(store, repo, base, tmp_path, a="0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
    theirs = await tree_with(store, repo, base, tmp_path, b="new\n")
    picked = await store.pick(repo.id, mine, base, theirs, "carried", 0)
    assert picked.conflicts == ()
    assert await store.parents_of(repo.id, picked.sha) == (theirs,)
    assert await store.show(repo.id, picked.sha, "b") == b"new\n"
    before = await store.measure(repo.id, base, mine)
    after = await store.measure(repo.id, theirs, picked.sha)
    assert before.patch_id == after.patch_id != ""
    assert picked == await store.pick(repo.id, mine, base, theirs, "carried", 0)


async def test_a_pick_names_the_files_in_conflict(store: Git, tmp_path: Path) -> None:
    repo, base = await opened(store, make(tmp_path / "repo", {"a": "1\n"}))
    mine = await tree_with(store, repo, base, tmp_path, a="mine\n")
    theirs = await tree_with(store, repo, base, tmp_path, a="theirs\n")
    picked = await store.pick(repo.id, mine, base, theirs, "m", 0)
    assert (picked.sha, picked.conflicts) == ("", ("a",))


async def test_a_binary_change_is_counted_and_has_a_patch_id(store: Git, tmp_path: Path) -> None:
    repo, base = await opened(store, make(tmp_path / "repo"))
    one = await tree_with(store, repo, base, tmp_path, x="\0one")
    two = await tree_with(store, repo, base, tmp_path, x="\0two")
    first, second = [await store.measure(repo.id, base, sha) for sha in (one, two)]
    assert (first.file_count, first.insertions) == (1, 0)
    assert first.patch_id != second.patch_id
    assert (await store.measure(repo.id, base, base)).patch_id == ""


async def test_only_a_hundred_files_travel_in_a_change(store: Git, tmp_path: Path) -> None:
    repo, base = await opened(store, make(tmp_path / "repo"))
    sha = await tree_with(store, repo, base, tmp_path, **{f"f{n}": "x\n" for n in range(101)})
    change = await store.measure(repo.id, base, sha)
    assert (len(change.files), change.file_count, change.insertions) == (100, 101, 101)


async def test_a_sha256_repository_works_throughout(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo", {"a": "1\n"}, options=("--object-format=sha256",))
    repo, base = await opened(store, work)
    _, facts = await store.inspect(str(work), "")
    assert (len(base), facts.object_format) == (64, "sha256")
    made = await tree_with(store, repo, base, tmp_path, a="2\n")
    assert (await store.measure(repo.id, base, made)).insertions == 1


async def test_a_bare_repository_moves_its_base(store: Git, tmp_path: Path) -> None:
    bare = make_bare(tmp_path / "repo.git")
    repo, facts = await store.inspect(str(bare), "")
    assert (facts.bare, facts.base_moves) == (True, True)
    assert await store.import_base(repo) == head(bare)
    git(bare, "worktree", "add", "-q", str(tmp_path / "co"), "main")
    _, facts = await store.inspect(str(bare), "")
    assert facts.base_moves is False
    assert "checked out in" in facts.notes[0]


async def test_update_base_is_safe_only_where_no_work_tree_holds_the_branch(
    store: Git, tmp_path: Path
) -> None:
    work = make(tmp_path / "repo")
    _, facts = await store.inspect(str(work), "", update_base=True)
    assert facts.base_moves is False
    git(work, "checkout", "-q", "-b", "else")
    _, facts = await store.inspect(str(work), "main", update_base=True)
    assert facts.base_moves is True
    (work / ".git" / "rebase-merge").mkdir()
    (work / ".git" / "rebase-merge" / "head-name").write_text("refs/heads/main\n")
    _, facts = await store.inspect(str(work), "main", update_base=True)
    assert facts.base_moves is False


@pytest.mark.parametrize("bare", [False, True])
async def test_an_empty_repository_is_refused(store: Git, tmp_path: Path, bare: bool) -> None:
    git(tmp_path, "init", "-q", *(["--bare"] if bare else []), "repo")
    with pytest.raises(Rejected) as error:
        await store.inspect(str(tmp_path / "repo"), "")
    assert code_of(error) == "empty_repository"


async def test_a_detached_head_needs_a_base(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    git(work, "checkout", "-q", "--detach")
    with pytest.raises(Rejected) as error:
        await store.inspect(str(work), "")
    assert code_of(error) == "detached_head"
    assert "main" in error.value.problem.hint
    repo, _ = await store.inspect(str(work), "main")
    assert repo.base == "refs/heads/main"


async def test_a_missing_base_and_no_repository_are_told(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    with pytest.raises(Rejected) as error:
        await store.inspect(str(work), "nope")
    assert code_of(error) == "base_not_found"
    repo, _ = await store.inspect(str(work), "main")
    with pytest.raises(Rejected) as error:
        await store.import_base(repo.but(base="refs/heads/gone"))
    assert code_of(error) == "base_not_found"
    with pytest.raises(Rejected) as error:
        await store.inspect("/proc/self", "")
    assert code_of(error) == "no_repository"
    (work / ".git" / "config").write_text("[core]\nrepositoryformatversion = 1\n[extensions]\nx=1")
    with pytest.raises(Rejected) as error:
        await store.inspect(str(work), "")
    assert code_of(error) == "unsupported_repository"


async def test_a_branch_that_starts_with_a_dash_is_no_option(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    git(work, "update-ref", "refs/heads/--upload-pack=x", head(work))
    repo, sha = await opened(store, work, "--upload-pack=x")
    assert sha == head(work)
    assert repo.base == "refs/heads/--upload-pack=x"


async def test_shallow_and_partial_clones_work_with_what_they_hold(
    store: Git, tmp_path: Path
) -> None:
    work = make(tmp_path / "repo")
    commit(work, {"b": "b\n"})
    git(work, "config", "uploadpack.allowFilter", "true")
    url = f"file://{work}"
    git(tmp_path, "clone", "-q", "--depth=1", url, "shallow")
    git(tmp_path, "clone", "-q", "--filter=blob:none", url, "partial")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", url, "hollow")
    for name, note in (("shallow", "shallow"), ("partial", "partial")):
        repo, sha = await opened(store, tmp_path / name)
        assert await store.show(repo.id, sha, "b") == b"b\n"
        _, facts = await store.inspect(str(tmp_path / name), "")
        assert note in facts.notes[0]
    repo, _ = await store.inspect(str(tmp_path / "hollow"), "")
    with pytest.raises(Rejected) as error:
        await store.import_base(repo)
    assert code_of(error) == "missing_objects"


async def test_uncommitted_changes_are_noted_without_running_filters(
    store: Git, tmp_path: Path
) -> None:
    work = make(tmp_path / "repo", {"a": "a\n", "b": "b\n", ".gitattributes": "* filter=evil\n"})
    git(work, "config", "filter.evil.clean", f"touch {tmp_path}/ran; cat")
    _, facts = await store.inspect(str(work), "")
    assert facts.notes == ()
    write(work, {"b": "changed\n"})
    _, facts = await store.inspect(str(work), "")
    assert "uncommitted" in facts.notes[0]
    git(work, "config", "--unset", "filter.evil.clean")
    git(work, "add", "-A")
    _, facts = await store.inspect(str(work), "")
    assert "uncommitted" in facts.notes[0]
    assert not (tmp_path / "ran").exists()


async def test_traps_in_the_users_repository_do_not_run(store: Git, tmp_path: Path) -> None:
    work = make(tmp_path / "repo")
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "core.sshCommand", "core.pager",
                 "uploadpack.packObjectsHook", "core.alternateRefsCommand"):  # fmt: skip
        git(work, "config", name, str(trap))
    git(work, "config", f"url.ext::{trap}.insteadOf", "/")
    git(work, "config", "protocol.ext.allow", "always")
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc", "post-index-change"):
        (work / ".git" / "hooks").mkdir(exist_ok=True)
        (work / ".git" / "hooks" / hook).write_text(trap.read_text())
        (work / ".git" / "hooks" / hook).chmod(0o755)
    repo, sha = await opened(store, work)
    await store.materialise(repo.id, sha, tmp_path / "ws")
    assert not (tmp_path / "sprung").exists()


async def test_the_surroundings_do_not_reach_git(
    store: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, sha = await opened(store, make(tmp_path / "repo"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    assert await store.files(repo.id, sha) == ("app.py",)


async def test_a_repository_of_another_owner_can_be_read(store: Git, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a repository away")
    work = make(tmp_path / "repo")
    for folder, _, names in os.walk(work):
        for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118
            os.lchown(path, 12_345, 12_345)
    repo, sha = await opened(store, work)
    assert await store.files(repo.id, sha) == ("app.py",)


async def test_lfs_pointers_stay_pointers(store: Git, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1\n"
    work = make(tmp_path / "repo", {"big.bin": pointer})
    commit(work, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    repo, sha = await opened(store, work)
    await store.materialise(repo.id, sha, tmp_path / "ws")
    assert (tmp_path / "ws" / "big.bin").read_text() == pointer
    tree = await store.collect_tree(repo.id, tmp_path / "ws", sha)
    assert tree == await store.tree_of(repo.id, sha)


async def test_hostile_trees_are_refused(store: Git, tmp_path: Path) -> None:
    repo, _ = await opened(store, make(tmp_path / "repo"))
    blob = (await store.run("hash-object", "-w", "--stdin", store=repo.id, input=b"x")).strip()
    for name in (b".git", b"..", b".GIT", b".git ", b"git~1"):
        raw = b"100644 %b\0" % name + bytes.fromhex(blob.decode())
        oid = await store.run(
            "hash-object", "-w", "-t", "tree", "--literally", "--stdin", store=repo.id, input=raw
        )
        with pytest.raises(Rejected) as error:
            await store.materialise(repo.id, oid.decode().strip(), tmp_path / "ws")
        assert code_of(error) == "bad_path"
    link = b"120000 a\0" + bytes.fromhex(blob.decode())
    twice = link + b"100644 a\0" + bytes.fromhex(blob.decode())
    oid = await store.run(
        "hash-object", "-w", "-t", "tree", "--literally", "--stdin", store=repo.id, input=twice
    )
    with pytest.raises(Rejected) as error:
        await store.materialise(repo.id, oid.decode().strip(), tmp_path / "ws")
    assert code_of(error) == "bad_path"


@pytest.mark.parametrize(
    "ref",
    ["main", "refs/heads", "refs/heads/", "refs/heads/a..b", "refs/heads/a b", "refs/heads/.a",
     "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/a@{1}", "refs/heads/@", "-refs/a/b",
     "refs/heads/a\nb", "refs/heads/a~1", "refs/heads/" + "x" * 300, "refs//heads/a"],
)  # fmt: skip
def test_a_ref_outside_the_grammar_is_refused(ref: str) -> None:
    with pytest.raises(Rejected):
        check_ref(ref)


@pytest.mark.parametrize("sha", ["", "HEAD", "-x", "a" * 39, "A" * 40, "a" * 41])
def test_only_full_object_ids_are_taken(sha: str) -> None:
    with pytest.raises(Rejected):
        check_sha(sha)


async def test_a_store_outside_its_folder_cannot_be_named(store: Git) -> None:
    for name in ("../x", "", "..", "a/b"):
        with pytest.raises(Rejected):
            store.store(name)


async def test_a_missing_git_is_the_operators_matter(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        await Git(tmp_path, binary=str(tmp_path / "no-git")).run("version")


async def test_a_cancelled_git_is_gone_when_the_call_returns(store: Git, tmp_path: Path) -> None:
    make(tmp_path / "repo")
    started = asyncio.Event()

    async def hold() -> None:
        async with store.command.running(
            "cat-file", "--batch", git_dir=tmp_path / "repo/.git"
        ) as p:
            pids.append(p.pid)
            started.set()
            await asyncio.Event().wait()

    pids: list[int] = []
    task = asyncio.create_task(hold())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not Path(f"/proc/{pids[0]}").exists()
