"""Reading and swapping refs: compare and swap, read back, clear our own stale locks only."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from domain.errors import Rejected, Unavailable
from integrations.git_command import GitCommand, check_ref, check_sha

_TICK = 0.1  # seconds by which file times may lag
_LONGEST_WRITE = 60  # seconds; no update of one ref takes longer


async def read_ref(git: GitCommand, git_dir: Path, ref: str) -> str | None:
    """Return the object id that `ref` holds, or None; symbolic refs are followed."""
    code, out = await git.run(
        "rev-parse", "--verify", "--quiet", "--end-of-options", check_ref(ref),
        git_dir=git_dir, ok=(0, 1),
    )  # fmt: skip
    return out.decode().strip() if code == 0 else None


async def swap_ref(
    git: GitCommand,
    git_dir: Path,
    ref: str,
    new: str,
    old: str | None,
    journal: Path,
    *,
    durable: bool = False,
) -> None:
    """Move `ref` from `old` (None: absent) to `new` (empty: delete), then read it back.

    `journal` is a path of our own, one per repository. Its lock is inherited by git, so it is
    free only when no git of ours is left; what it names then is a write that died half-way, and
    the locks of that write are stale. Locks of anybody else stay. `durable`: the ref is on disk
    when this returns.

    Raises `Rejected` with code `moved` when the ref held something else.
    """
    order = _order(check_ref(ref), new, old)
    async with exclusive(journal) as lock:
        _clear_own_locks(lock)
        now = await read_ref(git, git_dir, ref)
        if (now or "") == new:
            return
        _note(lock, git_dir, ref, new)
        await git.run(
            "update-ref", "--no-deref", "--stdin", "-z",
            git_dir=git_dir, input=order, ok=(0, 128), keep_fds=(lock,),
            settings={"core.fsync": "reference" if durable else "none"},
        )  # fmt: skip
        os.ftruncate(lock, 0)
        now = await read_ref(git, git_dir, ref)
    if (now or "") != new:
        raise _not_moved(git_dir, ref, old, now)


async def settle(journal: Path) -> None:
    """Clear what a write that died half-way has left, although it is found done."""
    async with exclusive(journal) as lock:
        _clear_own_locks(lock)


@asynccontextmanager
async def exclusive(path: Path) -> AsyncIterator[int]:
    """Hold an exclusive lock on the file `path`; yields its descriptor, to be inherited."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _order(ref: str, new: str, old: str | None) -> bytes:
    """Return one instruction of `git update-ref --stdin -z`."""
    name = os.fsencode(ref)
    if not new:
        return b"delete %b\0%b\0" % (name, check_sha(old or "").encode())
    if old is None:
        return b"create %b\0%b\0" % (name, check_sha(new).encode())
    return b"update %b\0%b\0%b\0" % (name, check_sha(new).encode(), check_sha(old).encode())


def _note(journal: int, git_dir: Path, ref: str, new: str) -> None:
    """Write down what is about to be written, so that a successor knows whose locks these are."""
    locks = [str(git_dir / f"{ref}.lock"), str(git_dir / "HEAD.lock")]
    if not new:  # only ever in a store of our own
        locks.append(str(git_dir / "packed-refs.lock"))
    os.ftruncate(journal, 0)
    os.pwrite(journal, json.dumps({"pid": os.getpid(), "new": new, "locks": locks}).encode(), 0)
    os.fsync(journal)


def _clear_own_locks(journal: int) -> None:
    """Remove the lock files of a write that is noted but whose git is gone."""
    text = os.pread(journal, 65_536, 0)
    if not text:
        return
    try:
        note = json.loads(text)
    except ValueError:  # died while noting: nothing had been written yet
        note = {"locks": [], "new": ""}
    noted = os.fstat(journal).st_mtime
    for lock in note["locks"]:
        _clear(Path(lock), note["new"], noted)
    os.ftruncate(journal, 0)


def _clear(lock: Path, new: str, noted: float) -> None:
    """Remove `lock` when its age and its content say that it is the noted write's."""
    try:
        age = lock.lstat().st_mtime - noted
        content = lock.read_bytes().strip().decode("ascii", "replace")
    except FileNotFoundError:
        return
    if -_TICK <= age <= _LONGEST_WRITE and (not new or content in ("", new)):
        lock.unlink(missing_ok=True)


def _not_moved(git_dir: Path, ref: str, old: str | None, now: str | None) -> Rejected | Unavailable:
    """Return the error for a ref that does not hold what was written."""
    if now == old:
        return Unavailable(
            f"{ref} of {git_dir} could not be written: another git holds it, or the disk is full",
            code="ref_locked",
            hint=f"if no git runs there, remove {git_dir / ref}.lock",
        )
    return Rejected(f"expected {ref} at {old or 'nothing'}, found {now or 'nothing'}", code="moved")
