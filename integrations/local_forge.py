"""The user's own repository on this machine as a forge: a branch and a tag, never a work tree."""

from pathlib import Path
from typing import NamedTuple

from domain.errors import Rejected
from domain.forge import Merged, MergeOrder, ReadChange, TagOrder
from domain.repository import Repository, RepositoryFacts
from integrations import git_import
from integrations.git import Git
from integrations.git_command import check_ref, check_sha
from integrations.git_refs import read_ref, settle, swap_ref

OPERATION = "Slipway-Operation: "


class _Place(NamedTuple):
    git_dir: Path
    ref: str


class LocalForge:
    """Delivers from our object store into the user's repository and into nothing else of it."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def look(self, repository: Repository) -> RepositoryFacts:
        """Import the base branch; raises `Rejected` as `Git.import_base` does."""
        sha = await self._git.import_base(repository)
        git_dir = await self._git_dir(repository)
        return await git_import.facts(self._git.command, git_dir, repository, sha)

    async def versions(
        self, repository: Repository, base_sha: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the tags that `base_sha` can reach, and all tags."""
        git_dir = await self._git_dir(repository)
        reachable = await git_import.reachable_tags(self._git.command, git_dir, base_sha)
        return reachable, await git_import.all_tags(self._git.command, git_dir)

    def tag_name(self, key: str, round: int) -> str:
        """Return a name that no branch has: `slipway-KEY`, later rounds `slipway-KEY-r2`."""
        return f"slipway-{key}" if round == 1 else f"slipway-{key}-r{round}"

    async def merge(self, order: MergeOrder) -> Merged:
        """Move the base branch, or the idea's own branch, to `order.sha`; once per `order.op`.

        The commit that carries the operation id is looked for first; the ref is compared and
        swapped and read back. A branch that is checked out anywhere is never moved.
        """
        git_dir = await self._git_dir(order.repository)
        place = _place(git_dir, order)
        there = await read_ref(self._git.command, git_dir, place.ref)
        done = await self._find(place, there, order)
        if done is not None and done.tree == order.tree:
            await settle(self._journal(order))
            return done
        now = await read_ref(self._git.command, git_dir, order.repository.base)
        if now != order.base_sha:
            reason = f"{order.repository.base} moved from {order.base_sha} to {now}"
            return Merged(status="moved", reason=reason)
        refusal = await self._refusal(place, there, order)
        if refusal:
            return Merged(status="refused", reason=refusal)
        return await self._move(place, there, order)

    async def _move(self, place: _Place, there: str | None, order: MergeOrder) -> Merged:
        await self._deliver(place.git_dir, order)
        try:
            await swap_ref(
                self._git.command, place.git_dir, place.ref, order.sha, there,
                self._journal(order), durable=True,
            )  # fmt: skip
        except Rejected as error:
            if error.problem.code != "moved":
                raise
            return Merged(status="moved", reason=str(error))
        return Merged(status="merged", sha=order.sha, tree=order.tree, branch=_short(place.ref))

    async def read_change(self, order: ReadChange) -> Merged | None:
        """Return what an earlier try of this operation has merged; None: nothing."""
        place = _place(await self._git_dir(order.repository), order)
        there = await read_ref(self._git.command, place.git_dir, place.ref)
        return await self._find(place, there, order)

    async def _find(self, place: _Place, there: str | None, order: ReadChange) -> Merged | None:
        """Look on the branch for the commit that says it is this operation."""
        if there is None:
            return None
        _, out = await self._git.command.run(
            "rev-list", "--fixed-strings", f"--grep={OPERATION}{order.op}", check_sha(there),
            f"^{check_sha(order.since_sha)}", git_dir=place.git_dir,
        )  # fmt: skip
        for sha in out.decode().split():
            _, raw = await self._git.command.run("cat-file", "commit", sha, git_dir=place.git_dir)
            head, _, message = raw.partition(b"\n\n")
            if f"{OPERATION}{order.op}".encode() in message.splitlines():
                tree = head.splitlines()[0].removeprefix(b"tree ").decode()
                return Merged(status="merged", sha=sha, tree=tree, branch=_short(place.ref))
        return None

    async def _refusal(self, place: _Place, there: str | None, order: MergeOrder) -> str:
        """Return why this branch must not be moved; empty: it may."""
        holders = await git_import.checked_out_in(self._git.command, place.git_dir, place.ref)
        if holders:
            return f"{_short(place.ref)} is checked out in {', '.join(holders)}"
        if order.base_moves:
            chain = await self._git.commits(order.repository.id, order.base_sha, order.sha)
            first = await self._git.parents_of(order.repository.id, chain[0]) if chain else ()
            return "" if first == (order.base_sha,) else "the result is no fast-forward"
        if await read_ref(self._git.command, place.git_dir, "refs/heads/slipway") is not None:
            return "a branch named slipway is in the way of slipway/KEY; rename it"
        if there is not None and not await self._is_ancestor(place.git_dir, there, order):
            return f"{_short(place.ref)} exists already with something else in it"
        return ""

    async def _is_ancestor(self, git_dir: Path, there: str, order: MergeOrder) -> bool:
        code, _ = await self._git.command.run(
            "merge-base", "--is-ancestor", there, order.base_sha, git_dir=git_dir, ok=(0, 1)
        )
        return code == 0

    async def _deliver(self, git_dir: Path, order: MergeOrder) -> None:
        """Copy the new objects into the user's repository; nothing points to them yet."""
        out = await self._git.run(
            "rev-list", "--objects", "--no-object-names", check_sha(order.sha),
            f"^{check_sha(order.base_sha)}", store=order.repository.id,
        )  # fmt: skip
        absent = await git_import.missing(self._git.command, git_dir, out.decode().split())
        store = self._git.store(order.repository.id)
        await git_import.copy_objects(self._git.command, store, git_dir, absent, durable=True)

    async def tag(self, order: TagOrder) -> str:
        """Write an annotated tag once per `order.op`; empty: the name is somebody else's."""
        git_dir = await self._git_dir(order.repository)
        before = await self._tagged_before(git_dir, order)
        if before:
            await settle(self._journal(order))
            return before
        ref = check_ref(f"refs/tags/{order.name}")
        if await read_ref(self._git.command, git_dir, ref) is not None:
            return ""
        body = (
            f"object {check_sha(order.sha)}\ntype commit\ntag {order.name}\n"
            f"tagger slipway <slipway@localhost> {order.at_ms // 1000} +0000\n\n{order.message}"
        )
        _, oid = await self._git.command.run(
            "hash-object", "-t", "tag", "-w", "--stdin", git_dir=git_dir,
            input=body.replace("\0", "").encode("utf-8", "backslashreplace"),
            settings={"core.fsync": "committed,loose-object"},
        )  # fmt: skip
        try:
            await swap_ref(
                self._git.command, git_dir, ref, oid.decode().strip(), None,
                self._journal(order), durable=True,
            )  # fmt: skip
        except Rejected as error:
            if error.problem.code != "moved":
                raise
            return ""
        return order.name

    async def _tagged_before(self, git_dir: Path, order: TagOrder) -> str:
        """Return the tag on this commit that says it is this operation."""
        _, out = await self._git.command.run(
            "for-each-ref", f"--points-at={check_sha(order.sha)}",
            "--format=%(refname:lstrip=2)%00%(contents)%01", "refs/tags/", git_dir=git_dir,
        )  # fmt: skip
        for record in out.decode("utf-8", "replace").split("\x01"):
            name, _, message = record.strip().partition("\0")
            if f"{OPERATION}{order.op}" in message.splitlines():
                return name
        return ""

    def _journal(self, order: ReadChange | TagOrder) -> Path:
        return self._git.journal(order.repository.id, "user")

    async def _git_dir(self, repository: Repository) -> Path:
        return await git_import.find_git_dir(self._git.command, repository.location)


def _place(git_dir: Path, order: ReadChange) -> _Place:
    own = check_ref(f"refs/heads/slipway/{order.key}")
    return _Place(git_dir, order.repository.base if order.base_moves else own)


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")
