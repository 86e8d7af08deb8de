"""Workspaces: a fresh checkout per attempt or gate, with a .git that can be thrown away."""

import asyncio
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from domain.errors import Rejected, Unavailable
from integrations.git import Git

T = TypeVar("T")
IDENTITY = "[user]\n\tname = slipway\n\temail = slipway@localhost\n"
LARGEST_RESULT = 16 * 1024 * 1024  # bytes
PATIENCE = 5.0  # seconds in which what still writes into a folder must have ended


class Workspaces:
    """Folders below one folder: `NAME/checkout`, `NAME/home`, `NAME/log`, and `NAME.lock` beside.

    A process that makes workspaces holds a lock on each, so that others can tell what it left.
    """

    def __init__(self, folder: Path, git: Git) -> None:
        self._folder = folder
        self._git = git
        self._held: dict[Path, int] = {}

    def lock(self, name: str) -> Path:
        """Return the lock file for commands that run in the workspace `name`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{name}.lock"

    def home(self, checkout: Path) -> Path:
        """Return the folder that is HOME of commands in a workspace; goes away with it."""
        return checkout.parent / "home"

    def log(self, checkout: Path) -> Path:
        """Return the folder for what we record about a workspace; commands cannot see it."""
        return checkout.parent / "log"

    async def create(self, repository_id: str, sha: str, name: str) -> Path:
        """Check a commit out into a new workspace and return its folder.

        What an earlier run left under the same name is removed first.
        """
        root = self._folder / _plain(name)
        checkout = root / "checkout"
        await asyncio.to_thread(_remove, root)
        await asyncio.to_thread(self._claim, root)
        try:
            await self._git.materialise(repository_id, sha, checkout)
            await self._add_repository(repository_id, sha, checkout / ".git")
        except BaseException:
            await self.destroy(checkout)
            raise
        return checkout

    async def collect(self, repository_id: str, checkout: Path, base_sha: str) -> str:
        """Return the tree of what is in a workspace now; git never runs in it."""
        return await self._git.collect_tree(repository_id, checkout, base_sha)

    async def fill(self, checkout: Path, files: Mapping[str, str]) -> None:
        """Write files into a workspace's home, before any command has run there."""
        for name, text in files.items():
            await asyncio.to_thread((self.home(checkout) / _plain(name)).write_text, text)

    async def left(self, checkout: Path, name: str) -> bytes:
        """Return a file that a command left in its home; empty unless it is a plain, small file."""
        return await asyncio.to_thread(_read_plain, self.home(checkout) / _plain(name))

    async def logged(self, checkout: Path, name: str) -> bytes:
        """Return a file of the log folder; empty when there is none."""
        path = self.log(checkout) / _plain(name)
        return await asyncio.to_thread(lambda: path.read_bytes() if path.exists() else b"")

    async def destroy(self, checkout: Path) -> None:
        """Remove a workspace, also when cancelled meanwhile."""
        root = checkout.parent
        await _finish(lambda: _remove(root))
        fd = self._held.pop(root, None)
        if fd is not None:
            os.close(fd)

    async def sweep(self) -> int:
        """Remove the workspaces of processes that have ended; return how many that were."""
        return await _finish(self._sweep)

    def _sweep(self) -> int:
        removed = 0
        for held in sorted(self._folder.glob("*.held")):
            if held.with_suffix("") in self._held or not _free(held):
                continue
            _remove(held.with_suffix(""))
            held.with_suffix(".lock").unlink(missing_ok=True)
            removed += 1
        return removed

    def _claim(self, root: Path) -> None:
        for part in ("home", "log"):
            (root / part).mkdir(parents=True)
        fd = os.open(_held(root), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_SH)
        self._held[root] = fd

    async def _add_repository(self, repository_id: str, sha: str, git_dir: Path) -> None:
        """Make a repository with this one commit, tied to nothing of ours.

        It is written before anybody else has touched the folder; later no git runs here.
        """
        git, store = self._git.command, self._git.store(repository_id)
        kind = "sha256" if len(sha) == 64 else "sha1"
        await git.run(
            "init", "-q", "--template=", "--initial-branch=slipway", f"--object-format={kind}",
            str(git_dir.parent),
        )  # fmt: skip
        _, listed = await git.run("rev-list", "--objects", f"{sha}^{{tree}}", git_dir=store)
        ids = b"".join(line.split(b" ", 1)[0] + b"\n" for line in listed.splitlines())
        pack = str(git_dir / "objects/pack/pack")
        await git.run("pack-objects", "-q", pack, git_dir=store, input=ids + sha.encode() + b"\n")
        await asyncio.to_thread(_point_at, git_dir, sha)
        await git.run("read-tree", sha, git_dir=git_dir)


def _point_at(git_dir: Path, sha: str) -> None:
    (git_dir / "shallow").write_text(f"{sha}\n")
    (git_dir / "refs/heads").mkdir(parents=True, exist_ok=True)
    (git_dir / "refs/heads/slipway").write_text(f"{sha}\n")
    with (git_dir / "config").open("a") as file:
        file.write(IDENTITY)


def _plain(name: str) -> str:
    if not name.strip(".") or "/" in name or len(os.fsencode(name)) > 200:
        raise Rejected(f"{name[:80]!r} cannot name a workspace", code="bad_workspace_name")
    return name


def _read_plain(path: Path) -> bytes:
    """Read what a stranger may have made: no link is followed, nothing is waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > LARGEST_RESULT:
            return b""
        return file.read(LARGEST_RESULT)


def _held(root: Path) -> Path:
    return root.with_name(f"{root.name}.held")


def _free(path: Path) -> bool:
    """Whether no living process holds the lock on `path`."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _remove(root: Path) -> None:
    """Remove a folder whatever its modes; wait a little for those who still write into it."""
    deadline = time.monotonic() + PATIENCE
    while root.exists():
        shutil.rmtree(root, onerror=_make_writable)
        if root.exists() and time.monotonic() > deadline:
            raise Unavailable(f"the workspace {root} cannot be removed", code="workspace_busy")
    _held(root).unlink(missing_ok=True)


def _make_writable(function: Callable[..., object], path: str, error: object) -> None:
    """Open up a folder that its owner has closed; the next round removes what is in it."""
    for name in (str(Path(path).parent), path):
        try:
            if stat.S_ISDIR(os.lstat(name).st_mode):
                Path(name).chmod(0o700)
        except OSError:
            continue


async def _finish(work: Callable[[], T]) -> T:
    """Run `work` in a thread to its end, and only then let a cancellation through."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()
