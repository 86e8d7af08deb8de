"""A user's repository: what it is, and how its base commit gets into our store and back."""

# Paths are bytes here, and single calls of the file system do not block.
# ruff: noqa: ASYNC240, PTH112, PTH118

import asyncio
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from domain.change import are_calendar
from domain.errors import Rejected
from domain.repo_config import FILE_NAME
from domain.repository import Repository, RepositoryFacts
from integrations.git_command import GitCommand, check_ref, check_sha, failure


async def find_git_dir(git: GitCommand, location: str) -> Path:
    """Return the git common dir of `location` (a work tree, a folder in one, or a bare one).

    Raises `Rejected` with code `no_repository`, or `unsupported_repository` with git's words.
    """
    start = Path(location)
    for folder in (start, *start.parents):
        candidate = folder / ".git"
        if os.path.lexists(candidate):
            break
        if folder == start and _looks_bare(folder):
            candidate = folder
            break
    else:
        raise Rejected(
            f"no git repository at {location!r}",
            code="no_repository",
            hint="name the folder of a work tree, or a bare repository",
        )
    try:
        _, out = await git.run("rev-parse", "--git-common-dir", git_dir=candidate)
    except Rejected as error:
        raise Rejected(
            f"git cannot read the repository at {location!r}: {error}",
            code="unsupported_repository",
        ) from error
    found = Path(os.fsdecode(out[:-1]))
    return (found if found.is_absolute() else candidate / found).resolve()


def _looks_bare(folder: Path) -> bool:
    return all(os.path.lexists(folder / name) for name in ("HEAD", "objects", "refs"))


async def inspect(
    git: GitCommand, location: str, base: str, update_base: bool = False
) -> tuple[Repository, RepositoryFacts]:
    """Return who the repository is and what was found in it, without changing anything.

    `base` is a branch name or a full ref; empty: the branch that is checked out.
    Raises `Rejected`: `no_repository`, `unsupported_repository`, `empty_repository`,
    `detached_head`, `base_not_found`.
    """
    git_dir = await find_git_dir(git, location)
    ref, sha = await _resolve_base(git, git_dir, base)
    top = git_dir.parent if git_dir.name == ".git" else git_dir
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", top.name.removesuffix(".git")).strip("-.") or "repo"
    repository = Repository(
        id=f"{name[:60]}-{hashlib.sha256(os.fsencode(git_dir)).hexdigest()[:8]}",
        name=name,
        location=str(Path(location).resolve()),
        base=ref,
        update_base=update_base,
    )
    return repository, await facts(git, git_dir, repository, sha)


async def _resolve_base(git: GitCommand, git_dir: Path, base: str) -> tuple[str, str]:
    branches = await _branches(git, git_dir)
    if base:
        ref = check_ref(base if base.startswith("refs/") else f"refs/heads/{base}")
    else:
        code, out = await git.run("symbolic-ref", "-q", "HEAD", git_dir=git_dir, ok=(0, 1))
        ref = out.decode("utf-8", "surrogateescape").strip() if code == 0 else ""
    if not branches and not await _has_commit(git, git_dir):
        raise Rejected(
            f"the repository {git_dir} has no commit", code="empty_repository",
            hint="make a first commit, then start again",
        )  # fmt: skip
    some = ", ".join(name.removeprefix("refs/heads/") for name in sorted(branches)[:10])
    if not ref:
        raise Rejected(
            "HEAD is detached, so the base branch is not known", code="detached_head",
            hint=f"name it with --base; branches: {some}",
        )  # fmt: skip
    if ref not in branches:
        raise Rejected(
            f"the base branch {ref!r} does not exist", code="base_not_found",
            hint=f"branches: {some or 'none'}",
        )  # fmt: skip
    return ref, branches[ref]


async def _has_commit(git: GitCommand, git_dir: Path) -> bool:
    code, _ = await git.run(
        "rev-parse", "--verify", "--quiet", "HEAD^{commit}", git_dir=git_dir, ok=(0, 1, 128)
    )
    return code == 0


async def _branches(git: GitCommand, git_dir: Path) -> dict[str, str]:
    _, out = await git.run(
        "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/", git_dir=git_dir
    )
    lines = out.decode("utf-8", "surrogateescape").splitlines()
    return {ref: sha for sha, _, ref in (line.partition(" ") for line in lines)}


async def facts(
    git: GitCommand, git_dir: Path, repository: Repository, base_sha: str
) -> RepositoryFacts:
    """Return what is true of the repository right now."""
    bare = await _ask(git, git_dir, "--is-bare-repository") == "true"
    shallow = await _ask(git, git_dir, "--is-shallow-repository") == "true"
    partial, _ = await git.run(
        "config", "--get-regexp", r"^remote\..*\.(promisor|partialclonefilter)$",
        git_dir=git_dir, ok=(0, 1),
    )  # fmt: skip
    holders = await checked_out_in(git, git_dir, repository.base)
    wants = bare or repository.update_base
    notes = [
        *(["the clone is shallow: only what is in it can be used"] if shallow else []),
        *(["the clone is partial: missing objects are not fetched"] if partial == 0 else []),
        *(
            [f"the base branch stays where it is: checked out in {', '.join(holders)}"]
            if wants and holders
            else []
        ),
        *(
            ["the work tree has uncommitted changes; they are not part of the work"]
            if not bare and await _is_dirty(git, git_dir)
            else []
        ),
    ]
    tags = await reachable_tags(git, git_dir, base_sha)
    return RepositoryFacts(
        base_sha=base_sha,
        object_format=await _ask(git, git_dir, "--show-object-format"),
        bare=bare,
        base_moves=wants and not holders,
        tags_are_calendar=are_calendar(tags),
        services=await _declares_services(git, git_dir, base_sha),
        notes=tuple(notes),
    )


async def _declares_services(git: GitCommand, git_dir: Path, sha: str) -> bool:
    """Return whether the commit may declare services; its reader says whether it really does."""
    code, out = await git.run(
        "cat-file", "blob", f"{sha}:{FILE_NAME}", git_dir=git_dir, ok=(0, 128)
    )
    return code == 0 and b"services" in out


async def _ask(git: GitCommand, git_dir: Path, question: str) -> str:
    _, out = await git.run("rev-parse", question, git_dir=git_dir)
    return out.decode().strip()


async def checked_out_in(git: GitCommand, git_dir: Path, ref: str) -> tuple[str, ...]:
    """Return the work trees in which `ref` is checked out, being rebased or bisected."""
    _, out = await git.run("worktree", "list", "--porcelain", "-z", git_dir=git_dir)
    found = []
    for block in os.fsdecode(out).split("\0\0"):
        lines = block.split("\0")
        if f"branch {ref}" in lines and "bare" not in lines:
            found.append(lines[0].removeprefix("worktree "))
    found += [str(path.parent) for path in _busy_with(git_dir, ref)]
    return tuple(sorted(found))


def _busy_with(git_dir: Path, ref: str) -> list[Path]:
    """Return the state files of rebases and bisects that will write `ref` when they end."""
    short = ref.removeprefix("refs/heads/")
    busy = []
    for pattern in ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"):
        for path in (*git_dir.glob(pattern), *git_dir.glob(f"worktrees/*/{pattern}")):
            if path.read_text(errors="surrogateescape").strip() in (ref, short):
                busy.append(path)
    return busy


async def _is_dirty(git: GitCommand, git_dir: Path) -> bool:
    """Compare HEAD with the index, and the index with the sizes on disk; no filter ever runs."""
    if git_dir.name != ".git" or not (git_dir / "index").exists():
        return False
    code, _ = await git.run(
        "diff-index", "--cached", "--quiet", "HEAD", git_dir=git_dir, ok=(0, 1, 128)
    )
    if code != 0:
        return True
    _, out = await git.run("ls-files", "--debug", "-z", git_dir=git_dir)
    return await asyncio.to_thread(_differs, os.fsencode(git_dir.parent), out)


def _differs(top: bytes, debug: bytes) -> bool:
    """Read `ls-files --debug -z`: each path, a NUL, and five lines on what was last seen."""
    pieces = debug.split(b"\0")
    path = pieces[0]
    for piece in pieces[1:]:
        lines = piece.split(b"\n", 5)
        size = re.search(rb"size: (\d+)", lines[4]) if len(lines) > 5 else None
        if size is not None and not _same_size(os.path.join(top, path), int(size[1])):
            return True
        path = lines[5] if len(lines) > 5 else b""
    return False


def _same_size(path: bytes, size: int) -> bool:
    try:
        return size == 0 or os.lstat(path).st_size % 2**32 == size or os.path.isdir(path)
    except OSError:
        return False


async def reachable_tags(git: GitCommand, git_dir: Path, sha: str) -> tuple[str, ...]:
    """Return the names of tags on `sha` and its ancestors."""
    _, out = await git.run(
        "for-each-ref", f"--merged={check_sha(sha)}", "--format=%(refname:lstrip=2)", "refs/tags/",
        git_dir=git_dir,
    )  # fmt: skip
    return tuple(out.decode("utf-8", "backslashreplace").splitlines())


async def all_tags(git: GitCommand, git_dir: Path) -> tuple[str, ...]:
    """Return the names of all tags."""
    _, out = await git.run(
        "for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags/", git_dir=git_dir
    )
    return tuple(out.decode("utf-8", "backslashreplace").splitlines())


async def snapshot_ids(git: GitCommand, git_dir: Path, sha: str) -> tuple[str, ...]:
    """Return the commit, its trees and its blobs: one snapshot without history."""
    try:
        _, listed = await git.run("ls-tree", "-r", "-t", "-z", "--full-tree", sha, git_dir=git_dir)
        _, tree = await git.run("rev-parse", "--verify", f"{sha}^{{tree}}", git_dir=git_dir)
    except Rejected as error:
        raise _incomplete(git_dir, sha) from error
    below = [line.split(b"\t", 1)[0].split(b" ") for line in listed.split(b"\0")[:-1]]
    ids = [oid.decode() for _, kind, oid in below if kind != b"commit"]
    return tuple(dict.fromkeys((sha, tree.decode().strip(), *ids)))


def _incomplete(git_dir: Path, sha: str) -> Rejected:
    return Rejected(
        f"objects of {sha} are missing in {git_dir}",
        code="missing_objects",
        hint="a partial clone? fetch them first, for example with git checkout of that branch",
    )


async def missing(git: GitCommand, git_dir: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Return those of `ids` that the repository does not hold."""
    _, out = await git.run(
        "cat-file", "--batch-check=%(objecttype)", git_dir=git_dir,
        input="".join(f"{oid}\n" for oid in ids).encode(),
    )  # fmt: skip
    lines = out.decode().splitlines()
    return tuple(oid for oid, said in zip(ids, lines, strict=True) if said.endswith(" missing"))


async def copy_objects(
    git: GitCommand, source: Path, target: Path, ids: Sequence[str], durable: bool = False
) -> None:
    """Copy these objects through a pipe, from pack-objects to index-pack: no transport, no hook.

    `durable`: the pack is on disk when this returns. Raises `Rejected` `missing_objects`.
    """
    if not ids:
        return
    read, write = os.pipe()
    settings = {"core.fsync": "committed" if durable else "none"}
    try:
        async with (
            git.running("pack-objects", "-q", "--stdout", git_dir=source, stdout=write) as packing,
            git.running(
                "index-pack", "--stdin", git_dir=target, stdin=read, settings=settings
            ) as indexing,
        ):
            os.close(write)
            os.close(read)
            read = write = -1
            wanted = "".join(f"{oid}\n" for oid in ids).encode()
            (_, said), (_, wrong) = await asyncio.gather(
                packing.communicate(wanted), indexing.communicate()
            )
    finally:
        for descriptor in (read, write):
            if descriptor >= 0:
                os.close(descriptor)
    if packing.returncode:
        raise _incomplete(source, ids[0]) from failure(("pack-objects",), packing.returncode, said)
    if indexing.returncode:
        raise failure(("index-pack",), indexing.returncode, wrong)
