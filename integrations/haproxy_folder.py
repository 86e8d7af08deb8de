"""The folder of one HAProxy: what is in force, written down before it is, and its own files."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from domain.deployment import Route
from domain.errors import Misconfigured, Unavailable
from domain.record import Record
from integrations.gates.workshop import locked
from integrations.haproxy_config import ASKED, FILE, ROUTES, VERSIONS, Face, config
from integrations.haproxy_shares import Entries, asked_map, routes_map, versions_map

_PATIENCE = 60.0  # seconds until another process lets go of the lock


class InForce(Record):
    """What a target's HAProxy has to serve; HAProxy itself knows no generations."""

    generation: int = 0
    op: str = ""  # of the order that made it
    face: Face | None = None
    routes: tuple[Route, ...] = ()
    births: int = 0
    born: dict[str, int] = {}  # instance: which birth its counters are of

    def with_births(self, live: set[str]) -> "InForce":
        """Return it with a new birth for each server that is not there yet."""
        born = {name: birth for name, birth in self.born.items() if name in live}
        births = self.births
        for route in self.routes:
            if route.instance not in live:
                births += 1
                born[route.instance] = births
        return self.but(births=births, born=born)


class HaproxyFolder:
    """`<folder>/<target>`, one writer at a time over all processes of this host."""

    def __init__(self, folder: Path, target: str) -> None:
        plain = re.sub(r"[^A-Za-z0-9._@-]", "_", target.replace("/", "@"))[:120]
        # Names that differ only in what was replaced must not share a folder.
        self.name = f"{plain}.{hashlib.sha256(target.encode()).hexdigest()[:8]}"
        self.path = folder.absolute() / self.name
        self._file = self.path / "in-force.json"

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Hold the lock; raises `Unavailable` when another process does for too long."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await held.enter_async_context(locked(self.path / "lock"))
            except TimeoutError as error:
                raise Unavailable(
                    f"somebody else works on {self.path} for more than {_PATIENCE:g} s", code="busy"
                ) from error
            yield

    def read(self) -> InForce:
        """Return what is in force; nothing was ever, where there is no file."""
        try:
            return InForce.model_validate_json(self._file.read_text())
        except FileNotFoundError:
            return InForce()
        except (OSError, ValidationError) as error:
            raise Misconfigured(
                f"{self._file} cannot be read: {error}",
                code="bad_state",
                path=str(self._file),
                hint="restore it, or move it away: then the next order begins at generation 0",
            ) from error

    def write(self, state: InForce) -> None:
        """Write down what is to be in force, and what a new HAProxy process reads.

        Raises `Unavailable` when that cannot be written; then the old state holds.
        """
        assert state.face is not None
        try:
            _replace(self._file, state.model_dump_json())
            _replace(self.path / ROUTES, _text(routes_map(state.routes)))
            _replace(self.path / VERSIONS, _text(versions_map(state.routes)))
            _replace(self.path / ASKED, _text(asked_map(state.routes)))
            _replace(self.path / FILE, config(state.face, state.routes))
        except OSError as error:
            raise Unavailable(
                f"{self.path} cannot be written: {error}", code="disk", hint="make room there"
            ) from error

    def forget(self, state: InForce) -> None:
        """Write down that nothing is served any more; the generation stays."""
        if state.face:
            self.write(state.but(routes=()))


def _text(entries: Entries) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries)


def _replace(path: Path, text: str) -> None:
    """Replace a file: after a crash it holds the old text or the new one."""
    with suppress(FileNotFoundError):
        if path.read_text() == text:
            return
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
