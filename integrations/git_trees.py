"""Trees to plain files and back; git itself never runs where an agent could write."""

# Paths are bytes here, and single calls of the file system do not block.
# ruff: noqa: ASYNC240, PTH103, PTH115, PTH118, PTH120, PTH211

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from domain.errors import Rejected
from integrations.git_command import GitCommand, check_sha
from integrations.git_ignores import IgnoreRules

LARGEST_FILE = 256 * 1024 * 1024  # bytes
MOST_FILES = 300_000
LINK, GITLINK, EXECUTABLE, PLAIN = "120000", "160000", "100755", "100644"


class Entry(NamedTuple):
    """One entry of a tree; `path` is bytes, since git knows no encoding."""

    mode: str
    oid: str
    path: bytes


async def entries(git: GitCommand, git_dir: Path, sha: str) -> tuple[Entry, ...]:
    """Return every file, link and gitlink of a commit or tree; raises `Rejected` for bad paths."""
    _, out = await git.run(
        "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", check_sha(sha), git_dir=git_dir
    )
    found = []
    for line in out.split(b"\0")[:-1]:
        head, _, path = line.partition(b"\t")
        mode, _, oid = head.decode().split(" ")
        found.append(Entry(mode, oid, check_path(path)))
    return tuple(found)


def check_path(path: bytes) -> bytes:
    """Return `path` when every component is a plain name; raises `Rejected` otherwise."""
    for part in path.split(b"/"):
        folded = part.lower().rstrip(b". ").split(b":")[0]
        if part in (b"", b".", b"..") or folded in (b".git", b"git~1") or b"\0" in part:
            raise Rejected(f"a tree holds the path {path[:200]!r}", code="bad_path")
    return path


async def materialise(git: GitCommand, git_dir: Path, sha: str, folder: Path) -> None:
    """Write the files of `sha` into the new folder `folder`: no filters, no .git.

    Links come last, so nothing is ever written through one; gitlinks become empty folders.
    """
    tree = await entries(git, git_dir, sha)
    folder.mkdir(parents=True)
    root = os.fsencode(folder)
    await asyncio.to_thread(_make_folders, root, tree)
    files = [entry for entry in tree if entry.mode not in (LINK, GITLINK)]
    links = [entry for entry in tree if entry.mode == LINK]
    async with _blobs(git, git_dir) as blobs:
        for entry in (*files, *links):
            data = await blobs.read(entry.oid)
            _write(os.path.join(root, entry.path), entry.mode, data)


def _make_folders(root: bytes, tree: tuple[Entry, ...]) -> None:
    folders = {os.path.dirname(entry.path) for entry in tree if entry.mode != GITLINK}
    folders |= {entry.path for entry in tree if entry.mode == GITLINK}
    for name in sorted(folders):
        os.makedirs(os.path.join(root, name), exist_ok=True)


def _write(path: bytes, mode: str, data: bytes) -> None:
    try:
        if mode == LINK:
            os.symlink(data, path)
            return
        bits = 0o755 if mode == EXECUTABLE else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, bits), "wb") as file:
            file.write(data)
    except FileExistsError as error:
        raise Rejected(f"a tree holds {path[-200:]!r} twice", code="bad_path") from error


class _Blobs:
    """One `git cat-file --batch`, asked for one object after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask, self._answer = process.stdin, process.stdout

    async def read(self, oid: str) -> bytes:
        self._ask.write(f"{oid}\n".encode())
        await self._ask.drain()
        head = (await self._answer.readline()).decode().split()
        if len(head) != 3:
            raise Rejected(f"object {oid} is missing in the store", code="missing_object")
        data = await self._answer.readexactly(int(head[2]) + 1)
        return data[:-1]


@asynccontextmanager
async def _blobs(git: GitCommand, git_dir: Path) -> AsyncIterator[_Blobs]:
    async with git.running("cat-file", "--batch", git_dir=git_dir) as process:
        yield _Blobs(process)


class Found(NamedTuple):
    """A file or link on disk, not yet hashed."""

    path: bytes
    mode: str


async def collect_tree(
    git: GitCommand, git_dir: Path, folder: Path, base_sha: str, ignore: tuple[str, ...] = ()
) -> str:
    """Return the tree id of the files in `folder`, whose base is `base_sha`.

    Left out: `.git` at the top, and what is untracked and ignored by the base commit's own
    .gitignore files or by `ignore` (patterns of the same kind). Gitlinks stay as in the base.
    Raises `Rejected`: `nested_repository`, `submodule_changed`, `special_file`, `too_large`.
    """
    base = await entries(git, git_dir, base_sha)
    with TemporaryDirectory(prefix="slipway-collect-") as scratch:
        rules = IgnoreRules(git, git_dir, Path(scratch) / "rules", ignore)
        await rules.load(base)
        found = [item async for item in _walk(os.fsencode(folder), base, rules)]
        spool = Path(scratch) / "spool"
        spool.mkdir()
        known = {entry.path: entry for entry in base}
        algorithm = "sha256" if len(base_sha) == 64 else "sha1"
        changed = await asyncio.to_thread(
            _spool_changed, os.fsencode(folder), found, known, spool, algorithm
        )
        oids = await _store(git, git_dir, spool, len(changed))
        gone = set(known) - {item.path for item in found}
        zero = b"0" * len(base_sha)
        lines = [b"0 %b\t%b" % (zero, p) for p in sorted(gone) if known[p].mode != GITLINK]
        lines += [
            b"%b %b\t%b" % (item.mode.encode(), oid, item.path)
            for item, oid in zip(changed, oids, strict=True)
        ]
        return await _write_tree(git, git_dir, base_sha, Path(scratch) / "index", lines)


async def _walk(root: bytes, base: tuple[Entry, ...], rules: IgnoreRules) -> AsyncIterator[Found]:
    """Yield files and links level by level, asking once a level what is ignored."""
    tracked = {entry.path for entry in base}
    gitlinks = {entry.path for entry in base if entry.mode == GITLINK}
    holding = {parent for path in tracked for parent in _parents(path)}
    level: list[tuple[bytes, bool]] = [(b"", False)]  # folder, whether it is ignored itself
    seen = 0
    while level:
        listed = await asyncio.to_thread(_listed, root, level, gitlinks)
        seen += len(listed)
        if seen > MOST_FILES:
            raise Rejected(f"the workspace holds more than {MOST_FILES} files", code="too_large")
        ask = [(p, m) for p, m, inside in listed if not inside and p not in tracked]
        ignored = await rules.ignored(ask)
        level = []
        for path, mode, inside in listed:
            out = inside or path in ignored
            if mode == "":
                if not out or path in holding:
                    level.append((path, out))
            elif path in tracked or not out:
                if mode == "special":
                    raise Rejected(f"{path!r} is no file, link or folder", code="special_file")
                yield Found(path, mode)


def _parents(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def _listed(
    root: bytes, level: list[tuple[bytes, bool]], gitlinks: set[bytes]
) -> list[tuple[bytes, str, bool]]:
    return list(_list(root, level, gitlinks))


def _list(
    root: bytes, level: list[tuple[bytes, bool]], gitlinks: set[bytes]
) -> Iterator[tuple[bytes, str, bool]]:
    """Yield (path, mode, inside an ignored folder) of all that lies directly in these folders."""
    for folder, inside in level:
        with os.scandir(os.path.join(root, folder)) as scan:
            names = sorted(scan, key=lambda entry: entry.name)
        if folder in gitlinks:
            if names:
                raise Rejected(f"the submodule {folder!r} was filled", code="submodule_changed")
            continue
        for entry in names:
            if not folder and entry.name == b".git":
                continue
            path = os.path.join(folder, entry.name)
            mode = _mode(entry)
            if entry.name.lower() == b".git" and not inside:
                raise Rejected(f"{path!r} is a repository of its own", code="nested_repository")
            if path in gitlinks and mode != "":
                raise Rejected(f"the submodule {path!r} was replaced", code="submodule_changed")
            yield path, mode, inside


def _mode(entry: os.DirEntry[bytes]) -> str:
    """Return the mode for git, an empty text for a folder, `special` for anything odd."""
    info = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(info.st_mode):
        return ""
    if stat.S_ISLNK(info.st_mode):
        return LINK
    if not stat.S_ISREG(info.st_mode):
        return "special"
    return EXECUTABLE if info.st_mode & stat.S_IXUSR else PLAIN


def _spool_changed(
    root: bytes, found: list[Found], known: dict[bytes, Entry], spool: Path, algorithm: str
) -> list[Found]:
    """Copy what differs from the base into `spool` as 0, 1, 2, ... and return it in that order."""
    changed: list[Found] = []
    for item in found:
        data = _read(os.path.join(root, item.path), item.mode)
        before = known.get(item.path)
        oid = blob_id(data, algorithm)
        if before is None or (before.oid, before.mode) != (oid, item.mode):
            (spool / str(len(changed))).write_bytes(data)
            changed.append(item)
    return changed


def blob_id(data: bytes, algorithm: str) -> str:
    """Return the object id that git gives to a file with this content."""
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data).hexdigest()


def _read(path: bytes, mode: str) -> bytes:
    if mode == LINK:
        return os.readlink(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if os.fstat(file.fileno()).st_size > LARGEST_FILE:
            raise Rejected(f"{path[-200:]!r} is larger than 256 MiB", code="too_large")
        return file.read()


async def _store(git: GitCommand, git_dir: Path, spool: Path, count: int) -> list[bytes]:
    names = "".join(f"{spool / str(number)}\n" for number in range(count)).encode()
    if not names:
        return []
    _, out = await git.run(
        "hash-object", "-w", "--no-filters", "--stdin-paths", git_dir=git_dir, input=names
    )
    return out.split()


async def _write_tree(
    git: GitCommand, git_dir: Path, base_sha: str, index: Path, lines: list[bytes]
) -> str:
    env = {"GIT_INDEX_FILE": str(index)}
    await git.run("read-tree", "--end-of-options", base_sha, git_dir=git_dir, env=env)
    if lines:
        body = b"".join(line + b"\0" for line in lines)
        await git.run("update-index", "-z", "--index-info", git_dir=git_dir, input=body, env=env)
    _, out = await git.run("write-tree", git_dir=git_dir, env=env)
    return out.decode().strip()


def leaves(path: bytes, target: bytes) -> bool:
    """Return whether a link at `path` to `target` points out of the tree."""
    if target.startswith(b"/"):
        return True
    reached = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return reached == b".." or reached.startswith(b"../")


async def replace_file(git: GitCommand, git_dir: Path, sha: str, path: bytes, data: bytes) -> str:
    """Return the tree of `sha` with another content in the plain file `path`."""
    tree = {entry.path: entry for entry in await entries(git, git_dir, sha)}
    _, oid = await git.run(
        "hash-object", "-w", "--no-filters", "--stdin", git_dir=git_dir, input=data
    )
    mode = tree[path].mode.encode() if path in tree else PLAIN.encode()
    line = b"%b %b\t%b" % (mode, oid.strip(), check_path(path))
    with TemporaryDirectory(prefix="slipway-index-") as scratch:
        return await _write_tree(git, git_dir, sha, Path(scratch) / "index", [line])
