"""The policy as it reads today: the operator's layers, and the repository's own on top."""

from collections.abc import Callable
from typing import Protocol

from domain.change import FileChange
from domain.policy import Bind, DecidePhase, Decision, Facts, Layer, decide
from domain.repo_config import FILE_NAME


class Commits(Protocol):
    async def show(self, repository_id: str, sha: str, path: str) -> bytes | None: ...

    async def changes(
        self, repository_id: str, base_sha: str, sha: str
    ) -> tuple[FileChange, ...]: ...


class PolicyRules:
    """Decides one phase from files that are read anew each time: an edit holds at once."""

    def __init__(
        self,
        bind: Bind,
        layers: Callable[[], tuple[Layer, ...]],
        repository_layer: Callable[[bytes], Layer | None],
        commits: Commits,
    ) -> None:
        self._bind = bind
        self._layers = layers
        self._repository_layer = repository_layer
        self._commits = commits

    async def decide(self, order: DecidePhase) -> Decision:
        """Return the joined decision; raises `Misconfigured` if no policy was ever readable."""
        own = await self._own_layer(order)
        layers = (*self._layers(), *((own,) if own else ()))
        return decide(layers, await self._facts(order), self._bind)

    async def _own_layer(self, order: DecidePhase) -> Layer | None:
        """Read the layer from the base commit, else from the file named at the start."""
        text = None
        if order.base_sha:
            text = await self._commits.show(order.repository.id, order.base_sha, FILE_NAME)
        if text is None and order.repository.config_file:
            text = order.repository.config_file.encode()
        return self._repository_layer(text) if text else None

    async def _facts(self, order: DecidePhase) -> Facts:
        if not (order.base_sha and order.head_sha):
            return order.facts
        changes = await self._commits.changes(order.repository.id, order.base_sha, order.head_sha)
        return order.facts.but(paths=tuple(change.path for change in changes), files=len(changes))
