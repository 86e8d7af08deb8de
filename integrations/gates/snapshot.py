"""The files of one commit that tell what a project is; read once, then judged without I/O."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from domain.globs import matches
from integrations.gates.ports import Objects

CHANGELOGS = ("/CHANGES*", "/CHANGELOG*", "/HISTORY*", "/NEWS*")
MANIFESTS = (
    "/.slipway.yaml", "/pyproject.toml", "/setup.py", "/setup.cfg", "/tox.ini", "/pytest.ini",
    "/.python-version", "/mypy.ini", "/.mypy.ini", "/ruff.toml", "/.ruff.toml", "/.flake8",
    "/uv.lock", "/poetry.lock", "/pdm.lock", "/Pipfile", "/Pipfile.lock", "/pylock.toml",
    "/*requirements*.txt", "/*requirements*.in", "/requirements/*.txt", "/requirements/*.in",
    "/package.json", "/package-lock.json", "/npm-shrinkwrap.json", "/yarn.lock",
    "/pnpm-lock.yaml", "/.npmrc", "/go.mod", "/go.sum", "/go.work",
    *CHANGELOGS,
)  # fmt: skip
TEST_MODULES = ("test_*.py", "*_test.py", "/tests.py", "/test.py", "/tests/**/*.py")
READ_TESTS = 25  # as many test files are read to tell pytest from unittest
MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Snapshot:
    """All paths of a commit, and the text of those that matter."""

    sha: str
    tree: str
    paths: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        return path in self.texts or path in self.paths

    def text(self, path: str) -> str:
        """Return the text of a file that was read; empty if there is none."""
        return self.texts.get(path, "")

    def toml(self, path: str) -> dict[str, Any]:
        """Return a TOML file; empty if there is none or it cannot be read."""
        try:
            return tomllib.loads(self.text(path))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def under(self, folder: str) -> tuple[str, ...]:
        prefix = folder.rstrip("/") + "/"
        return tuple(path for path in self.paths if path.startswith(prefix))

    def test_modules(self) -> tuple[str, ...]:
        """Return the Python files that look like tests."""
        return tuple(
            path
            for path in self.paths
            if path.endswith(".py") and matches(path, TEST_MODULES) and "conftest" not in path
        )


async def take(git: Objects, repository_id: str, sha: str) -> Snapshot:
    """Read the manifests and some tests of a commit."""
    paths = await git.files(repository_id, sha)
    tree = await git.run("rev-parse", "--verify", f"{sha}^{{tree}}", store=repository_id)
    wanted = [path for path in paths if matches(path, MANIFESTS)]
    bare = Snapshot(sha=sha, tree=tree.decode().strip(), paths=paths)
    tests = [path for path in bare.test_modules() if path not in wanted]
    asked = [path for path in wanted + tests[:READ_TESTS] if "\n" not in path]
    lines = b"".join(os.fsencode(f"{sha}:{path}\n") for path in asked)
    out = await git.run("cat-file", "--batch", store=repository_id, input=lines)
    found = zip(asked, _blobs(out), strict=False)
    texts = {path: data.decode("utf-8", "replace") for path, data in found if data is not None}
    return replace(bare, texts=texts)


def _blobs(out: bytes) -> Iterator[bytes | None]:
    """Read the answer of `git cat-file --batch`; None for what is no blob or too large."""
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ")
        at = end + 1
        if words[-1] == b"missing":
            yield None
            continue
        size = int(words[-1])
        yield out[at : at + size] if words[-2] == b"blob" and size <= MAX_BYTES else None
        at += size + 1
