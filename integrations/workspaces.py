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
BUSY = 20.0  # seconds that an earlier run may take to let go of its workspace
PATIENCE = 5.0  # seconds in which what still writes into a folder must have ended


class Workspaces:
    """Folders below one folder: `NAME/checkout`, `NAME/home`, `NAME/log`.

    Beside them lie `NAME.held`, on which the process that made the workspace holds a lock until it
    has removed it, and `NAME.lock` for the keepers of commands that run in it. So a second run of
    the same attempt waits for the first, and what a killed process left can be told.
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
        await self._hold(root)
        checkout = root / "checkout"
        try:
            await asyncio.to_thread(_prepare, root)
            await self._git.materialise(repository_id, sha, checkout)
            await self._add_repository(repository_id, sha, checkout / ".git")
        except BaseException:
            await self.destroy(checkout)
            raise
        return checkout

    async def collect(self, repository_id: str, checkout: Path, base_sha: str) -> str:
        """Return the tree of what is in a workspace now; git never runs in it."""
        try:
            return await self._git.collect_tree(repository_id, checkout, base_sha)
        except PermissionError:  # the command has closed folders or files that are ours
            await asyncio.to_thread(_open_up, checkout)
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
        """Remove a workspace that this process made, also when cancelled meanwhile."""
        root = checkout.parent
        fd = self._held.pop(root, None)
        if fd is not None:
            await _finish(lambda: _discard(root, fd))

    async def sweep(self) -> int:
        """Remove the workspaces of processes that have ended; return how many that were."""
        return await _finish(lambda: sum(map(_sweep, sorted(self._folder.glob("*.held")))))

    async def _hold(self, root: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + BUSY
        while (fd := _try_hold(_held(root))) is None:
            if time.monotonic() > deadline:
                raise Unavailable(f"the workspace {root} is still in use", code="workspace_busy")
            await asyncio.sleep(0.05)
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
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > LARGEST_RESULT:
            return b""
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(LARGEST_RESULT)
    finally:
        os.close(fd)


def _held(root: Path) -> Path:
    return root.with_name(f"{root.name}.held")


def _try_hold(path: Path) -> int | None:
    """Return a descriptor that holds the lock on `path`, or None while another one does."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(fd).st_ino:  # else it was removed meanwhile
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None


def _prepare(root: Path) -> None:
    _remove(root)
    for part in ("home", "log"):
        (root / part).mkdir(parents=True)


def _sweep(held: Path) -> bool:
    fd = _try_hold(held)
    if fd is None:
        return False
    _discard(held.with_suffix(""), fd)
    return True


def _discard(root: Path, fd: int) -> None:
    """Remove a workspace and its lock files, then let go of it."""
    try:
        _remove(root)
        root.with_name(f"{root.name}.lock").unlink(missing_ok=True)
        _held(root).unlink(missing_ok=True)
    finally:
        os.close(fd)


def _remove(root: Path) -> None:
    """Remove a folder whatever its modes; wait a little for those who still write into it."""
    deadline = time.monotonic() + PATIENCE
    while root.exists():
        shutil.rmtree(root, onerror=_make_writable)
        if root.exists() and time.monotonic() > deadline:
            raise Unavailable(f"the workspace {root} cannot be removed", code="workspace_busy")


def _open_up(root: Path) -> None:
    """Give the owner back what a command has taken away; links are not followed."""
    todo = [root]
    while todo:
        folder = todo.pop()
        folder.chmod(0o700)
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                todo.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                mode = entry.stat(follow_symlinks=False).st_mode
                Path(entry.path).chmod(stat.S_IMODE(mode) | 0o600)


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
