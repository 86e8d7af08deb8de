"""What the gates need from others: objects, commands, artifacts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from domain.command import CommandOrder, CommandOutcome
from domain.record import ArtifactRef
from domain.review import Tier


class Objects(Protocol):
    """A hardened git over the bare stores."""

    async def run(
        self, *args: str, store: str = "", input: bytes = b"", ok: tuple[int, ...] = (0,)
    ) -> bytes: ...

    async def materialise(self, repository_id: str, sha: str, folder: Path) -> None: ...

    async def files(self, repository_id: str, sha: str) -> tuple[str, ...]: ...


class Commands(Protocol):
    """Runs one command in the sandbox; cancelling ends its whole process tree."""

    async def run(
        self, order: CommandOrder, on_event: Callable[[dict[str, Any]], None] | None = None
    ) -> CommandOutcome: ...

    async def tier(self) -> Tier: ...


class Artifacts(Protocol):
    async def put(self, data: bytes, media_type: str = "text/plain") -> ArtifactRef: ...

    async def get(self, ref: ArtifactRef) -> bytes: ...


Progress = Callable[[str], None]
