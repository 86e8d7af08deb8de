"""Git: one bare object store per repository; branches, trees and commits without a work tree."""

# Single calls of the file system do not block.
# ruff: noqa: ASYNC240

import os
from pathlib import Path

from domain.change import Change, FileChange, Picked
from domain.errors import Rejected
from domain.repository import Repository, RepositoryFacts
from integrations import git_import, git_trees
from integrations.git_command import GitCommand, check_ref, check_sha
from integrations.git_refs import exclusive, read_ref, swap_ref

MOST_LISTED = 100


def base_ref(base: str) -> str:
    """Return where the store keeps a base branch (`refs/heads/...`)."""
    return check_ref(f"refs/slipway/base/{base.removeprefix('refs/heads/')}")


def idea_ref(key: str, round: int) -> str:
    """Return the idea branch of one round."""
    return check_ref(f"refs/slipway/ideas/{key}/r{round}")


def task_ref(key: str, round: int, task: str, attempt: int) -> str:
    """Return where the commit of one attempt is kept."""
    return check_ref(f"refs/slipway/tasks/{key}/{round}/{task}/{attempt}")


class Git:
    """Our object stores under one folder; a store is named by its repository's id.

    A store holds snapshots: the base commit with its files, not the history before it. So the
    import of a large repository is small, and partial and shallow clones work.
    """

    def __init__(self, stores: Path, binary: str = "git") -> None:
        self._stores = stores
        self.command = GitCommand(binary)

    def store(self, repository_id: str) -> Path:
        """Return the folder of a store; raises `Rejected` when the id is no plain name."""
        if repository_id in ("", ".", "..") or "/" in repository_id or "\0" in repository_id:
            raise Rejected(f"bad repository id {repository_id[:80]!r}", code="bad_repository_id")
        return self._stores / f"{repository_id}.git"

    def journal(self, repository_id: str, what: str = "store") -> Path:
        """Return the lock file of a store, or of the user's repository behind it."""
        return self.store(repository_id).with_suffix(f".{what}.lock")

    async def run(
        self,
        *args: str,
        store: str = "",
        input: bytes = b"",
        ok: tuple[int, ...] = (0,),
    ) -> bytes:
        """Run git, in the store of a repository when one is named; return stdout."""
        git_dir = self.store(store) if store else None
        _, out = await self.command.run(*args, git_dir=git_dir, input=input, ok=ok)
        return out

    async def inspect(
        self, location: str, base: str = "", update_base: bool = False
    ) -> tuple[Repository, RepositoryFacts]:
        """Return who and what the repository at `location` is; see `git_import.inspect`."""
        return await git_import.inspect(self.command, location, base, update_base)

    async def import_base(self, repository: Repository) -> str:
        """Copy the snapshot of the base branch into the store; return its commit id.

        Raises `Rejected`: `base_not_found`, `missing_objects` and those of `inspect`.
        """
        source = await git_import.find_git_dir(self.command, repository.location)
        sha = await read_ref(self.command, source, repository.base)
        if sha is None:
            raise Rejected(
                f"the base branch {repository.base!r} does not exist", code="base_not_found"
            )
        await self.import_commit(repository, source, sha)
        await self._point_at(repository.id, base_ref(repository.base), sha)
        return sha

    async def _point_at(self, repository_id: str, ref: str, sha: str) -> None:
        """Let `ref` follow the user's branch; of several imports at once the last one wins."""
        while True:
            try:
                await self.swap(repository_id, ref, sha, await self.read(repository_id, ref))
            except Rejected as error:
                if error.problem.code != "moved":
                    raise
            else:
                return

    async def import_commit(self, repository: Repository, source: Path, sha: str) -> None:
        """Copy one commit of the user's repository, without its history, into the store."""
        store = self.store(repository.id)
        async with exclusive(self.journal(repository.id, "import")):
            await self._ensure_store(store, sha)
            ids = await git_import.snapshot_ids(self.command, source, sha)
            absent = await git_import.missing(self.command, store, ids)
            if sha in absent:
                _add_shallow(store, sha)
            await git_import.copy_objects(self.command, source, store, absent)

    async def _ensure_store(self, store: Path, sha: str) -> None:
        if store.exists():
            return
        fresh = store.with_suffix(".new")
        kind = "sha256" if len(sha) == 64 else "sha1"
        await self.command.run(
            "init", "-q", "--bare", "--template=", f"--object-format={kind}", str(fresh)
        )
        fresh.rename(store)

    async def read(self, repository_id: str, ref: str) -> str | None:
        """Return what `ref` of the store holds, or None."""
        store = self.store(repository_id)
        return await read_ref(self.command, store, ref) if store.exists() else None

    async def swap(self, repository_id: str, ref: str, new: str, old: str | None) -> None:
        """Move `ref` from `old` to `new` (empty: delete) and read it back; see `swap_ref`."""
        await swap_ref(
            self.command, self.store(repository_id), ref, new, old, self.journal(repository_id)
        )

    async def refs(self, repository_id: str, prefix: str) -> tuple[tuple[str, str], ...]:
        """Return (ref, object id) of all refs of the store below `prefix`."""
        if not self.store(repository_id).exists():
            return ()
        out = await self.run(
            "for-each-ref", "--format=%(refname) %(objectname)", prefix, store=repository_id
        )
        pairs = [line.rsplit(" ", 1) for line in os.fsdecode(out).splitlines()]
        return tuple((ref, sha) for ref, sha in pairs)

    async def materialise(self, repository_id: str, sha: str, folder: Path) -> None:
        """Write the plain files of a commit into a new folder."""
        await git_trees.materialise(self.command, self.store(repository_id), sha, folder)

    async def collect_tree(
        self, repository_id: str, folder: Path, base_sha: str, ignore: tuple[str, ...] = ()
    ) -> str:
        """Return the tree of the files in `folder`; see `git_trees.collect_tree`."""
        return await git_trees.collect_tree(
            self.command, self.store(repository_id), folder, check_sha(base_sha), ignore
        )

    async def commit(
        self,
        repository_id: str,
        tree: str,
        parents: tuple[str, ...],
        message: str,
        at_ms: int,
        author: str = "slipway <slipway@localhost>",
    ) -> str:
        """Write a commit; the same arguments give the same id."""
        args = [part for parent in parents for part in ("-p", check_sha(parent))]
        name, _, mail = author.partition(" <")
        date = f"@{at_ms // 1000} +0000"
        env = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail.rstrip(">"),
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
        }
        _, out = await self.command.run(
            "commit-tree", check_sha(tree), *args, "-F", "-",
            git_dir=self.store(repository_id), input=_clean(message), env=env,
        )  # fmt: skip
        return out.decode().strip()

    async def tree_of(self, repository_id: str, sha: str) -> str:
        """Return the tree of a commit."""
        out = await self.run(
            "rev-parse", "--verify", f"{check_sha(sha)}^{{tree}}", store=repository_id
        )
        return out.decode().strip()

    async def parents_of(self, repository_id: str, sha: str) -> tuple[str, ...]:
        """Return the parents of a commit as the store knows them (none for a base commit)."""
        out = await self.run(
            "rev-list", "--parents", "-n", "1", check_sha(sha), store=repository_id
        )
        return tuple(out.decode().split()[1:])

    async def message_of(self, repository_id: str, sha: str) -> str:
        """Return the message of a commit."""
        out = await self.run("cat-file", "commit", check_sha(sha), store=repository_id)
        return out.partition(b"\n\n")[2].decode("utf-8", "replace")

    async def date_of(self, repository_id: str, sha: str) -> int:
        """Return the commit date in milliseconds since the epoch (whole seconds)."""
        out = await self.run(
            "rev-list", "--no-commit-header", "--format=%ct", "-n", "1", check_sha(sha),
            store=repository_id,
        )  # fmt: skip
        return int(out) * 1000

    async def commits(self, repository_id: str, base_sha: str, sha: str) -> tuple[str, ...]:
        """Return the commits from `base_sha` (left out) to `sha`, oldest first."""
        out = await self.run(
            "rev-list", "--reverse", "--topo-order", "--first-parent",
            check_sha(sha), f"^{check_sha(base_sha)}", store=repository_id,
        )  # fmt: skip
        return tuple(out.decode().split())

    async def measure(self, repository_id: str, base_sha: str, sha: str) -> Change:
        """Return what `sha` changes against `base_sha`; `files` holds the first 100."""
        files = await self.changes(repository_id, base_sha, sha)
        return Change(
            base_sha=base_sha,
            sha=sha,
            tree=await self.tree_of(repository_id, sha),
            files=files[:MOST_LISTED],
            file_count=len(files),
            insertions=sum(file.insertions for file in files),
            deletions=sum(file.deletions for file in files),
            patch_id=await self.patch_id(repository_id, base_sha, sha),
        )

    async def changes(self, repository_id: str, base_sha: str, sha: str) -> tuple[FileChange, ...]:
        """Return every file that differs; a rename is a deletion and an addition."""
        out = await self.run(
            "diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames", "--no-ext-diff",
            "--no-textconv", check_sha(base_sha), check_sha(sha), store=repository_id,
        )  # fmt: skip
        return _parse_changes(out)

    async def diff(self, repository_id: str, base_sha: str, sha: str) -> bytes:
        """Return the patch from `base_sha` to `sha`, binary files included."""
        return await self.run(
            "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-color",
            "--no-ext-diff", "--no-textconv", check_sha(base_sha), check_sha(sha),
            store=repository_id,
        )  # fmt: skip

    async def patch_id(self, repository_id: str, base_sha: str, sha: str) -> str:
        """Return git's stable patch id; empty when nothing changed."""
        patch = await self.diff(repository_id, base_sha, sha)
        out = await self.run("patch-id", "--stable", store=repository_id, input=patch)
        return out.decode().split(" ")[0].strip()

    async def show(self, repository_id: str, sha: str, path: str) -> bytes | None:
        """Return the content of a plain file in a commit; None when there is none (or a link)."""
        out = await self.run(
            "ls-tree", "-z", "--full-tree", check_sha(sha), "--", path, store=repository_id
        )
        head, _, name = out.rstrip(b"\0").partition(b"\t")
        if not head.startswith(b"100") or name != os.fsencode(path):
            return None
        oid = head.split(b" ")[2].decode()
        return await self.run("cat-file", "blob", oid, store=repository_id)

    async def files(self, repository_id: str, sha: str) -> tuple[str, ...]:
        """Return the paths of all files and links; undecodable bytes as surrogate escapes."""
        tree = await git_trees.entries(self.command, self.store(repository_id), sha)
        return tuple(os.fsdecode(entry.path) for entry in tree if entry.mode != git_trees.GITLINK)

    async def links_leaving(self, repository_id: str, sha: str) -> tuple[str, ...]:
        """Return the links of a commit whose target lies outside the tree."""
        found = []
        for entry in await git_trees.entries(self.command, self.store(repository_id), sha):
            if entry.mode == git_trees.LINK:
                target = await self.run("cat-file", "blob", entry.oid, store=repository_id)
                if git_trees.leaves(entry.path, target):
                    found.append(os.fsdecode(entry.path))
        return tuple(found)

    async def pick(
        self, repository_id: str, sha: str, parent: str, onto: str, message: str, at_ms: int
    ) -> Picked:
        """Put what `sha` changed against `parent` onto `onto`, without a work tree.

        git 2.39 cannot name the merge base, so `onto`'s tree is given `parent` as its parent.
        """
        onto_tree = await self.tree_of(repository_id, onto)
        stand_in = await self.commit(repository_id, onto_tree, (parent,), "base", 0)
        change_tree = await self.tree_of(repository_id, sha)
        change = await self.commit(repository_id, change_tree, (parent,), "change", 0)
        code, out = await self.command.run(
            "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages",
            "--allow-unrelated-histories", stand_in, change,
            git_dir=self.store(repository_id), ok=(0, 1),
        )  # fmt: skip
        tree, *conflicts = [part for part in out.split(b"\0") if part]
        if code == 1:
            paths = tuple(sorted({printable(path) for path in conflicts}))
            return Picked(sha="", tree="", conflicts=paths)
        picked = await self.commit(repository_id, tree.decode(), (onto,), message, at_ms)
        return Picked(sha=picked, tree=tree.decode())

    async def replace_file(self, repository_id: str, sha: str, path: str, data: bytes) -> str:
        """Return the tree of `sha` with the content of the existing plain file `path` replaced."""
        return await git_trees.replace_file(
            self.command, self.store(repository_id), sha, os.fsencode(path), data
        )


def printable(path: bytes) -> str:
    """Return a path as text that JSON can hold: undecodable bytes as backslash escapes."""
    return path.decode("utf-8", "backslashreplace")


def _clean(message: str) -> bytes:
    """Return a message that git accepts: no NUL, ending in one newline."""
    return message.replace("\0", "").encode("utf-8", "backslashreplace").rstrip() + b"\n"


def _add_shallow(store: Path, sha: str) -> None:
    """Tell the store that `sha` has no parents here; before its objects arrive."""
    path = store / "shallow"
    known = path.read_text().split() if path.exists() else []
    if sha not in known:
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(f"{oid}\n" for oid in sorted({*known, sha})))
        fresh.replace(path)


def _parse_changes(out: bytes) -> tuple[FileChange, ...]:
    """Read `--raw --numstat -z`: all raw entries (header, path) first, then the counts."""
    kinds = {b"A": "added", b"D": "deleted"}
    raw: dict[bytes, tuple[bytes, bytes]] = {}
    found: list[FileChange] = []
    parts = iter(out.split(b"\0")[:-1])
    for part in parts:
        if part.startswith(b":"):
            before, after, _, _, letter = part[1:].split(b" ")
            raw[next(parts)] = (letter[:1], before if letter[:1] == b"D" else after)
            continue
        plus, minus, path = part.split(b"\t", 2)
        letter, mode = raw[path]
        found.append(
            FileChange.model_validate({
                "path": printable(path),
                "kind": kinds.get(letter, "modified"),
                "insertions": 0 if plus == b"-" else int(plus),
                "deletions": 0 if minus == b"-" else int(minus),
                "mode": mode.decode(),
            })
        )  # fmt: skip
    return tuple(found)
