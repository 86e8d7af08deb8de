"""What the base commit's .gitignore files leave out, asked in a folder of our own."""

# Paths are bytes here, and single calls of the file system do not block.
# ruff: noqa: ASYNC240, PTH103, PTH118, PTH119, PTH120

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from integrations.git_command import GitCommand


class Tracked(Protocol):
    """An entry of the base tree."""

    @property
    def mode(self) -> str: ...
    @property
    def oid(self) -> str: ...
    @property
    def path(self) -> bytes: ...


class IgnoreRules:
    """Holds a scratch work tree with the .gitignore files of a commit and nothing else.

    `check-ignore` needs folders to exist in order to tell `name/` patterns, so each folder that
    is asked about is made there; the agent's own folder is never shown to git.
    """

    def __init__(
        self, git: GitCommand, git_dir: Path, scratch: Path, patterns: tuple[str, ...]
    ) -> None:
        self._git, self._git_dir, self._tree = git, git_dir, scratch
        self._extra = scratch.with_name("patterns")
        self._patterns = patterns

    async def load(self, base: Sequence[Tracked]) -> None:
        """Write the .gitignore files of `base` (plain files only) and our own patterns."""
        self._tree.mkdir()
        self._extra.write_text("".join(f"{pattern}\n" for pattern in self._patterns))
        root = os.fsencode(self._tree)
        for entry in base:
            if os.path.basename(entry.path) == b".gitignore" and entry.mode.startswith("100"):
                _, data = await self._git.run("cat-file", "blob", entry.oid, git_dir=self._git_dir)
                path = os.path.join(root, entry.path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(os.fsdecode(path)).write_bytes(data)

    async def ignored(self, paths: Sequence[tuple[bytes, str]]) -> frozenset[bytes]:
        """Return which of these (path, mode) are ignored; an empty mode is a folder."""
        if not paths:
            return frozenset()
        root = os.fsencode(self._tree)
        for path, mode in paths:
            if mode == "":
                os.makedirs(os.path.join(root, path), exist_ok=True)
        _, out = await self._git.run(
            f"--work-tree={self._tree}", "check-ignore", "--no-index", "-z", "--stdin",
            git_dir=self._git_dir,
            input=b"".join(b"./%b\0" % path for path, _ in paths),
            ok=(0, 1),
            settings={"core.excludesFile": str(self._extra), "core.bare": "false"},
            cwd=self._tree,
        )  # fmt: skip
        return frozenset(path[2:] for path in out.split(b"\0")[:-1])
