"""Releases on disk: built once from the object store, found again by digest, removed when old."""

# Single calls of the file system do not block.

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from domain.deployment import Artefact, BuildOrder, Place
from domain.errors import Rejected, Unavailable
from integrations.gates.environment import SYSTEM_PATH
from integrations.gates.ports import Commands
from integrations.gates.workshop import SetupFailed, Workshop, locked, remove

_DONE = "artefact.json"


class Objects(Protocol):
    """The git stores, as far as a release needs them."""

    async def tree_of(self, repository_id: str, sha: str) -> str: ...

    async def materialise(self, repository_id: str, sha: str, folder: Path) -> None: ...


async def digest_of(git: Objects, order: BuildOrder) -> str:
    """Name what is built by what goes in: the files, and the words that build."""
    tree = await git.tree_of(order.place.repository.id, order.sha)
    words = {"kind": "slipway.release/1", "tree": tree, "build": order.service.build}
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


class Releases:
    """A release lies in `<folder>/<target>/<sha>/<digest>/room/tree`.

    It is built right there, since much that is built names its own folder (a virtual environment,
    for one), and it exists only with the file `artefact.json` beside it, which is written last.
    """

    def __init__(self, folder: Path, git: Objects, processes: Commands) -> None:
        self._folder = folder.absolute()
        self._git = git
        self._processes = processes

    async def build(self, order: BuildOrder) -> Artefact:
        """Build a commit, or return what was built of it before.

        Raises `Rejected` (`build_failed`) with the last output, `Unavailable` when the disk is
        full or the same release is being built for too long.
        """
        digest = await digest_of(self._git, order)
        root = self._of(order.place) / order.sha / digest[:16]
        try:
            async with locked(root.with_suffix(".lock")):
                if (done := _read(root)) and done.digest == digest:
                    return done
                return await self._build(order, root, digest)
        except OSError as error:
            raise Unavailable(
                f"the release {order.sha[:12]} of {order.place.target} cannot be written to "
                f"{root}: {error}",
                code="disk",
                hint=f"make room for {self._folder}",
            ) from error

    async def _build(self, order: BuildOrder, root: Path, digest: str) -> Artefact:
        shop = Workshop(root, self._processes, lambda _: None)
        await asyncio.to_thread(shop.furnish)
        await self._git.materialise(order.place.repository.id, order.sha, shop.tree)
        for line in order.service.build:
            try:
                await shop.run(line, network=True, env={"PATH": SYSTEM_PATH})
            except SetupFailed as failure:
                raise Rejected(
                    f"the build of {order.sha[:12]} for {order.place.target} failed at "
                    f"`{line[:80]}`: {failure}",
                    code="build_failed",
                    path=str(shop.log),
                    hint=f"all of its output is in {shop.log}",
                ) from failure
        await asyncio.to_thread(shop.tidy)
        log = str(shop.log) if order.service.build else ""
        made = Artefact(sha=order.sha, digest=digest, location=str(shop.tree), log=log)
        _write(root / _DONE, made)
        return made

    def check(self, place: Place, artefact: Artefact) -> Path:
        """Return the folder of a release.

        Raises `Rejected`: `wrong_digest` when another one lies there, `no_release` when none does.
        """
        tree = Path(artefact.location)
        root = tree.parent.parent
        found = _read(root) if root.parent.parent == self._of(place) else None
        if found is None:
            raise Rejected(
                f"there is no release of {place.target} at {tree}",
                code="no_release",
                hint="it was cleaned up; build it again",
            )
        if (found.digest, found.sha) != (artefact.digest, artefact.sha):
            raise Rejected(
                f"the release at {tree} is {found.sha[:12]} with digest {found.digest[:12]}, "
                f"asked for was {artefact.sha[:12]} with {artefact.digest[:12]}",
                code="wrong_digest",
                hint="build the commit again",
            )
        return tree

    def find(self, place: Place, sha: str) -> Path | None:
        """Return the folder of a commit's newest release; None where nothing was built."""
        done = (self._of(place) / sha).glob(f"*/{_DONE}")
        newest = max(done, key=lambda path: path.stat().st_mtime, default=None)
        return newest and newest.parent / "room" / "tree"

    async def prune(self, place: Place, keep: Collection[str]) -> tuple[str, ...]:
        """Remove the releases of all commits that are not to be kept; return these commits."""
        folder = self._of(place)
        old = sorted(each for each in folder.glob("*") if each.is_dir() and each.name not in keep)
        for commit in old:
            for done in commit.glob(f"*/{_DONE}"):
                done.unlink()  # from here on it is no release any more
            await asyncio.to_thread(remove, commit)
        return tuple(commit.name for commit in old)

    def _of(self, place: Place) -> Path:
        name = re.sub(r"[^A-Za-z0-9._@-]", "_", place.target.replace("/", "@"))
        return self._folder / name


def _read(root: Path) -> Artefact | None:
    try:
        return Artefact.model_validate_json((root / _DONE).read_text())
    except (OSError, ValidationError):
        return None


def _write(path: Path, made: Artefact) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(made.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
