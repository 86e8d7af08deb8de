"""Staging: put an idea's commits onto a newer base, in the object store only."""

import re
from typing import Literal, Protocol

from domain.change import Change, Picked, changelog_with
from domain.record import Record
from domain.train import TrainEntry

_TRAILER = re.compile(r"[A-Za-z0-9-]+: ")
CHANGELOGS = ("CHANGELOG.md", "CHANGES.md", "HISTORY.md", "NEWS.md")  # Markdown only


class Staged(Record):
    """`merged`: an earlier try has merged it; `empty`: the base holds the same change already.

    `altered`: on the newer base it is another patch than the one that was approved.
    """

    status: Literal["staged", "merged", "conflict", "empty", "altered"]
    sha: str = ""
    tree: str = ""
    tag: str = ""
    conflicts: tuple[str, ...] = ()


class Objects(Protocol):
    """The bare store of commits of one repository each, named by its id."""

    async def read(self, repository_id: str, ref: str) -> str | None: ...
    async def swap(self, repository_id: str, ref: str, new: str, old: str | None) -> None: ...
    async def refs(self, repository_id: str, prefix: str) -> tuple[tuple[str, str], ...]: ...
    async def tree_of(self, repository_id: str, sha: str) -> str: ...
    async def parents_of(self, repository_id: str, sha: str) -> tuple[str, ...]: ...
    async def message_of(self, repository_id: str, sha: str) -> str: ...
    async def date_of(self, repository_id: str, sha: str) -> int: ...
    async def commits(self, repository_id: str, base_sha: str, sha: str) -> tuple[str, ...]: ...
    async def measure(self, repository_id: str, base_sha: str, sha: str) -> Change: ...
    async def patch_id(self, repository_id: str, base_sha: str, sha: str) -> str: ...
    async def files(self, repository_id: str, sha: str) -> tuple[str, ...]: ...
    async def show(self, repository_id: str, sha: str, path: str) -> bytes | None: ...
    async def replace_file(self, repository_id: str, sha: str, path: str, data: bytes) -> str: ...
    async def pick(
        self, repository_id: str, sha: str, parent: str, onto: str, message: str, at_ms: int
    ) -> Picked: ...
    async def commit(
        self, repository_id: str, tree: str, parents: tuple[str, ...], message: str, at_ms: int
    ) -> str: ...


def operation(key: str, round_: int, effect: str) -> str:
    """Return the id under which an effect happens at most once."""
    return f"{key}/{round_}/{effect}"


def trailers(key: str, op: str, task: str = "") -> str:
    """Return the trailers by which an effect is found again in the outside world."""
    lines = [f"Slipway-Idea: {key}"] if key else []
    lines += [f"Slipway-Task: {task}"] if task else []
    return "\n".join([*lines, f"Slipway-Operation: {op}", ""])


async def stage(objects: Objects, entry: TrainEntry, onto: str, version: str, at_ms: int) -> Staged:
    """Pick the commits of the idea branch onto `onto`, in order; add to the changelog, if any.

    The last commit carries the operation id of the merge. The same arguments give the same
    commits, so that a retry finds what an earlier try has merged.
    """
    store, tip, last = entry.repository.id, onto, ""
    for sha in await objects.commits(store, entry.base_sha, entry.head_sha):
        parent = (await objects.parents_of(store, sha))[0]
        message = await objects.message_of(store, sha)
        date = await objects.date_of(store, sha)
        picked = await objects.pick(store, sha, parent, tip, message, date)
        if picked.conflicts:
            return Staged(status="conflict", conflicts=picked.conflicts)
        if picked.tree != await objects.tree_of(store, tip):  # else the base holds it already
            tip, last = picked.sha, sha
    if not last:
        return Staged(status="empty")
    if entry.approvals and not await _same_patch(objects, entry, onto, tip):
        return Staged(status="altered")
    return await _sealed(objects, entry, tip, version, at_ms)


async def _same_patch(objects: Objects, entry: TrainEntry, onto: str, tip: str) -> bool:
    before = await objects.patch_id(entry.repository.id, entry.base_sha, entry.head_sha)
    return before == await objects.patch_id(entry.repository.id, onto, tip)


async def _sealed(
    objects: Objects, entry: TrainEntry, tip: str, version: str, at_ms: int
) -> Staged:
    """Write the last commit again, with the changelog and the operation id in it."""
    store = entry.repository.id
    tree = await _with_changelog(objects, entry, tip, version, at_ms)
    sha = await objects.commit(
        store,
        tree,
        await objects.parents_of(store, tip),
        _marked(await objects.message_of(store, tip), operation(entry.key, entry.round, "merge")),
        await objects.date_of(store, tip),
    )
    return Staged(status="staged", sha=sha, tree=tree)


def _marked(message: str, op: str) -> str:
    """Return the message with one more trailer (git-interpret-trailers)."""
    *before, last = message.rstrip().split("\n\n")
    block = bool(before) and all(_TRAILER.match(line) for line in last.splitlines())
    gap = "\n" if block else "\n\n"
    return f"{message.rstrip()}{gap}{trailers('', op)}"


async def _with_changelog(
    objects: Objects, entry: TrainEntry, tip: str, version: str, at_ms: int
) -> str:
    """Return the tree of `tip`, with an entry in the changelog unless the idea wrote one itself."""
    store = entry.repository.id
    path = next((p for p in await objects.files(store, tip) if p in CHANGELOGS), "")
    now = await objects.show(store, tip, path) if path else None
    before = await objects.show(store, entry.base_sha, path) if path else None
    if now is None or before != await objects.show(store, entry.head_sha, path):
        return await objects.tree_of(store, tip)
    try:
        text = changelog_with(now.decode("utf-8"), entry.title, entry.change, version, at_ms)
    except UnicodeDecodeError:
        return await objects.tree_of(store, tip)
    return await objects.replace_file(store, tip, path, text.encode())
