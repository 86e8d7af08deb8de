"""Settings in, capabilities out: the only place that builds vendors and knows their names."""

import os
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from ruff import find_ruff_bin

from activities.agent_ports import Adapter
from activities.agents import Agents
from activities.deployment_ports import Driver
from activities.deployments import Deployments
from activities.ledger import Ledger
from activities.planning import Planning
from activities.policies import Policies
from activities.quality import Quality
from activities.source import Source
from activities.undoing import Undoing
from activities.watching import Watching
from config.agents import load_backends
from config.policies import PolicySource, repository_layer
from config.recipes import RecipeBook
from config.repo import read_repo_config
from config.settings import Settings
from domain.agent import Backend
from domain.errors import Misconfigured
from domain.policy import Layer
from integrations.artifacts import ArtifactFiles
from integrations.builtin_agent import BuiltinAgent
from integrations.cel import Cel
from integrations.command_agent import CommandAgent
from integrations.command_driver import CommandDriver
from integrations.database import Database
from integrations.dry_run import DryRun
from integrations.gates.rooms import Rooms
from integrations.gates.runner import Gates
from integrations.git import Git
from integrations.haproxy import HaproxyDriver
from integrations.hooks import Hooks
from integrations.local_driver import LocalDriver
from integrations.local_forge import LocalForge
from integrations.local_history import LocalHistory
from integrations.metric_sources.reader import MetricReader
from integrations.process import Processes
from integrations.rollout_metrics import RolloutMetrics
from integrations.rules import PolicyRules
from integrations.visitor import Visitor
from integrations.workspaces import Workspaces
from workers import keeper
from workflows.names import AGENTS, CHECKS, DELIVERY, DEPLOYMENTS, INTEGRATIONS, train_id


class Hands:
    """Each capability is built when its queue first asks for it, and never for another queue."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    async def prepare(cls, settings: Settings, queues: Sequence[str]) -> Self:
        """Return the hands for these queues.

        The database is opened and migrated if they need it; what killed agents and gates left
        is removed.

        Raises `Misconfigured` or `Unavailable` when something that they need is not there.
        """
        hands = cls(settings)
        settings.home.mkdir(parents=True, exist_ok=True)
        if {INTEGRATIONS, DEPLOYMENTS} & set(queues):
            await hands._database.open()
        if AGENTS in queues:
            await hands._workspaces.sweep()
        if CHECKS in queues:
            await Rooms(settings.workspaces).sweep()
        return hands

    async def close(self) -> None:
        if "rollout_metrics" in self.__dict__:
            self.rollout_metrics.close()
        if "_database" in self.__dict__:
            await self._database.close()

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self._database, self.rollout_metrics)

    @cached_property
    def source(self) -> Source:
        return Source(LocalForge(self._git), self._git, self._database, train_id, DELIVERY)

    @cached_property
    def policies(self) -> Policies:
        source = PolicySource(
            self._settings.operator / "policy.yaml",
            self._settings.home / "policy.last-good.yaml",
            self._cel.problem,
        )

        def own_layer(text: bytes) -> Layer | None:
            return repository_layer(text, self._cel.problem)

        return Policies(PolicyRules(self._cel.bind, source.layers, own_layer, self._git))

    @cached_property
    def planning(self) -> Planning:
        builtin = next(each for each in self._backends if each.kind == "builtin")
        dry_run = DryRun(BuiltinAgent(builtin, sys.executable), self._workspaces, self._processes)
        names = tuple(backend.name for backend in self._backends)
        return Planning(self._recipes, self._git, dry_run, self._artifacts, names)

    @cached_property
    def agents(self) -> Agents:
        adapters = {backend.name: _adapter(backend) for backend in self._backends}
        return Agents(adapters, self._workspaces, self._processes, self._git, self._artifacts)

    @cached_property
    def quality(self) -> Quality:
        return Quality(
            Gates(
                self._git,
                self._processes,
                self._artifacts,
                cache=self._settings.cache,
                workspaces=self._settings.workspaces,
                ruff=find_ruff_bin(),
                read_config=read_repo_config,
            )
        )

    @cached_property
    def deployments(self) -> Deployments:
        return Deployments(
            self._driver,
            self._database.rollouts,
            LocalHistory(self._git.command, read_repo_config),
            Hooks(self._processes),
            self._visitor,
            _now_ms,
        )

    @cached_property
    def watching(self) -> Watching:
        return Watching(
            self._driver,
            self._database.rollouts,
            MetricReader(self._processes, self._local_driver.release_of),
            self._visitor,
            _now_ms,
            self.rollout_metrics,
        )

    @cached_property
    def undoing(self) -> Undoing:
        return Undoing(self._driver, self._database.rollouts, self._visitor, _now_ms)

    def _driver(self, name: str) -> Driver:
        """Return the driver of an environment; raises `Misconfigured` for one nobody has."""
        match name:
            case "local":
                return self._local_driver
            case "haproxy":
                return self._haproxy_driver
            case "command":
                return self._command_driver
        raise Misconfigured(
            f"there is no driver {name!r}",
            code="no_driver",
            hint="known drivers: local, haproxy, command",
        )

    @cached_property
    def _local_driver(self) -> LocalDriver:
        settings = self._settings
        return LocalDriver(settings.releases, settings.host, self._git, self._processes)

    @cached_property
    def _haproxy_driver(self) -> HaproxyDriver:
        settings = self._settings
        return HaproxyDriver(self._local_driver, settings.host, settings.home / "haproxy")

    @cached_property
    def _command_driver(self) -> CommandDriver:
        return CommandDriver(self._settings.home / "command", self._git, os.environ)

    @cached_property
    def rollout_metrics(self) -> RolloutMetrics:
        metrics = RolloutMetrics()
        metrics.serve(self._settings.metrics_port)
        return metrics

    @cached_property
    def _visitor(self) -> Visitor:
        return Visitor()

    @cached_property
    def _database(self) -> Database:
        return Database(self._settings.database)

    @cached_property
    def _git(self) -> Git:
        return Git(self._settings.objects)

    @cached_property
    def _artifacts(self) -> ArtifactFiles:
        return ArtifactFiles(self._settings.artifacts)

    @cached_property
    def _processes(self) -> Processes:
        program = str(Path(keeper.__file__).resolve())
        return Processes(sys.executable, program, self._settings.minimum_tier)

    @cached_property
    def _workspaces(self) -> Workspaces:
        return Workspaces(self._settings.workspaces, self._git)

    @cached_property
    def _backends(self) -> tuple[Backend, ...]:
        return load_backends(self._settings.operator)

    @cached_property
    def _recipes(self) -> RecipeBook:
        return RecipeBook.read(self._settings.operator)

    @cached_property
    def _cel(self) -> Cel:
        return Cel()


def _adapter(backend: Backend) -> Adapter:
    if backend.kind == "builtin":
        return BuiltinAgent(backend, sys.executable)
    return CommandAgent(backend, os.environ)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
