"""Python interpreters of this host that are no virtual environment."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

from domain.record import Record
from integrations.gates.versions import Version, allows

MINORS = (13, 12, 14, 11, 10, 9, 8)  # in the order in which they are tried after our own
ASK = (
    "import sys, json; print(json.dumps([list(sys.version_info[:3]), sys.base_prefix,"
    " sys.implementation.name]))"
)


class Interpreter(Record):
    """A base interpreter: its binary, the folder it lives in, its version."""

    path: str
    prefix: str
    version: Version

    @property
    def name(self) -> str:
        """Name of the binary and of the library folder, `python3.11`."""
        return f"python{self.version[0]}.{self.version[1]}"

    @property
    def readable(self) -> tuple[str, ...]:
        """Folders that a sandbox must show for it to start."""
        return () if self.prefix.startswith("/usr") else (self.prefix,)


class Interpreters:
    """Finds the interpreter for a project; our own version first, then the usual ones."""

    def __init__(self) -> None:
        self._found: dict[str, Interpreter | None] = {}

    async def find(self, requires: str) -> Interpreter | None:
        """Return the first interpreter that satisfies `requires-python`."""
        for candidate in _candidates():
            found = await self._probe(candidate)
            if found and allows(requires, found.version):
                return found
        return None

    async def versions(self) -> tuple[str, ...]:
        """Return what was found, for a message."""
        found = [await self._probe(candidate) for candidate in _candidates()]
        return tuple(dict.fromkeys(".".join(map(str, each.version)) for each in found if each))

    async def _probe(self, candidate: str) -> Interpreter | None:
        if candidate not in self._found:
            self._found[candidate] = await _ask(candidate)
        return self._found[candidate]


def _candidates() -> list[str]:
    own = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    names = [f"python3.{minor}" for minor in MINORS]
    on_path = [path for name in names if (path := shutil.which(name))]
    pyenv = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    installed = [
        str(path) for name in names for path in sorted(pyenv.glob(f"*/bin/{name}"), reverse=True)
    ]
    found = dict.fromkeys((str(own), *on_path, *installed))
    return sorted(found, key=lambda path: _rank(path, str(own)))


def _rank(path: str, own: str) -> int:
    if path == own:
        return -1
    minor = int(path.rpartition(".")[2])
    return MINORS.index(minor)


async def _ask(candidate: str) -> Interpreter | None:
    try:
        process = await asyncio.create_subprocess_exec(
            candidate, "-I", "-c", ASK,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await process.communicate()
        version, prefix, kind = json.loads(out)
    except (OSError, ValueError, TypeError):
        return None
    if kind != "cpython":
        return None
    path = Path(prefix) / "bin" / f"python{version[0]}.{version[1]}"
    if not path.exists():
        return None
    return Interpreter(path=str(path), prefix=prefix, version=tuple(version))
