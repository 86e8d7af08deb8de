"""The two sides of a comparison: what a commit needs, and what was measured on it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from domain.errors import Refused, Rejected
from domain.evidence import Measurement
from domain.repo_config import FILE_NAME, RepoConfig
from domain.repository import Repository
from domain.review import GateSpec
from integrations.gates.environment import Environment
from integrations.gates.environments import Environments
from integrations.gates.evidence_cache import EvidenceCache, evidence_key
from integrations.gates.measuring import Measuring
from integrations.gates.ports import Artifacts, Commands, Objects, Progress
from integrations.gates.rooms import Rooms
from integrations.gates.snapshot import Snapshot, take
from integrations.gates.workshop import SetupFailed

ReadConfig = Callable[[str, str], RepoConfig]  # text and name; raises Refused
Origin = Literal["declared", "detected", "operator"]
FORGET = 120.0  # seconds after which a set-up that failed is tried again
KEPT_SNAPSHOTS = 8
NO_ENVIRONMENT = Environment(project="other", digest="none", folder="")


class Side:
    """One commit of a comparison, with the base's own rules for set-up."""

    def __init__(
        self, repository_id: str, snap: Snapshot, config: RepoConfig, origin: Origin
    ) -> None:
        self.repository_id = repository_id
        self.snap = snap
        self.config = config
        self.origin = origin


class Sides:
    """Takes commits, builds what they need, measures them, each thing once."""

    def __init__(
        self,
        git: Objects,
        processes: Commands,
        artifacts: Artifacts,
        *,
        cache: Path,
        workspaces: Path,
        ruff: str,
        read_config: ReadConfig,
        passthrough: tuple[str, ...],
    ) -> None:
        self._git = git
        self._processes = processes
        self._ruff = ruff
        self._read_config = read_config
        self._environments = Environments(git, processes, cache / "environments", passthrough)
        self._measuring = Measuring(git, processes, artifacts, Rooms(workspaces), ruff)
        self._evidence = EvidenceCache(cache / "gates", artifacts)
        self._snapshots: dict[tuple[str, str], Snapshot] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    async def take(self, repository: Repository, sha: str, base: Side | None) -> Side:
        """Return one side; how it is set up is always declared by the base.

        Raises `Rejected` when the file of the base is not valid.
        """
        snap = await self._snapshot(repository.id, sha)
        if base:
            return Side(repository.id, snap, base.config, base.origin)
        return Side(repository.id, snap, *self._config(repository, snap))

    async def _snapshot(self, repository_id: str, sha: str) -> Snapshot:
        """Return a commit's files, the last ones from memory: each gate asks for the same two."""
        key = (repository_id, sha)
        if key not in self._snapshots:
            if len(self._snapshots) >= KEPT_SNAPSHOTS:
                del self._snapshots[next(iter(self._snapshots))]
            self._snapshots[key] = await take(self._git, repository_id, sha)
        return self._snapshots[key]

    def _config(self, repository: Repository, snap: Snapshot) -> tuple[RepoConfig, Origin]:
        own, given = snap.text(FILE_NAME), repository.config_file
        if not own and not given:
            return RepoConfig(), "detected"
        name = FILE_NAME if own else "--repo-config"
        try:
            return self._read_config(own or given, name), "declared" if own else "operator"
        except Refused as error:
            raise Rejected(
                f"{name} of the base commit cannot be used: {error}",
                code="bad_repo_config",
                path=name,
                line=error.problems[0].line if error.problems else 0,
                hint="correct the file on the base branch, or give another with --repo-config",
            ) from error

    async def environment(self, side: Side, progress: Progress) -> Environment:
        """Return a side's environment; a failure is remembered for a while."""
        key = await self._environments.key(side.snap, side.config)
        failed_at, said = self._failed.get(key, (0.0, ""))
        if said and time.monotonic() - failed_at < FORGET:
            raise SetupFailed(said)
        try:
            return await self._environments.ensure(
                side.repository_id, side.snap, side.config, progress
            )
        except SetupFailed as error:
            self._failed[key] = (time.monotonic(), str(error))
            raise

    async def measure(
        self, side: Side, spec: GateSpec, progress: Progress
    ) -> tuple[Measurement, bool]:
        """Return a measurement of one side, and whether it was known already."""
        environment = await self._environment_for(spec, side, progress)
        tier = await self._processes.tier()
        key = evidence_key(side.snap.tree, spec, environment.digest, self._ruff, tier)
        progress(f"{spec.name} on {side.snap.sha[:10]}")
        return await self._evidence.get(key, lambda: self.run(side, spec, environment))

    async def _environment_for(self, spec: GateSpec, side: Side, progress: Progress) -> Environment:
        """Return what a gate needs; our own security rules read files and run nothing."""
        if spec.kind == "security":
            return NO_ENVIRONMENT
        return await self.environment(side, progress)

    async def run(
        self, side: Side, spec: GateSpec, environment: Environment, files: tuple[str, ...] = ()
    ) -> Measurement:
        """Measure one side now, whatever is known already."""
        return await self._measuring.measure(
            side.repository_id, side.snap.sha, spec, environment, files
        )
