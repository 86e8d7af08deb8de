"""The driver `command`: any deploy tool, behind a program that speaks JSON (docs/drivers.md)."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from domain.deployment import (
    Artefact,
    BuildOrder,
    Capabilities,
    Inspection,
    Instance,
    Observation,
    ObserveOrder,
    Place,
    StartOrder,
    WeightOrder,
)
from domain.errors import Misconfigured
from domain.record import Record
from domain.service import Environment
from integrations.command_program import Program
from integrations.gates.workshop import locked, remove
from integrations.local_driver import check_sum, secrets_of
from integrations.local_releases import Objects, digest_of

R = TypeVar("R", bound=Record)

PROTOCOL = "slipway.driver/1"
_PATIENCE = {
    "build": 3_600.0, "start": 300.0, "probe": 30.0, "inspect": 30.0, "set_weights": 60.0,
    "drain": 30.0, "stop": 3_700.0, "observe": 30.0, "prune": 600.0,
}  # fmt: skip


class CommandDriver:
    """Asks the program that the environment names as `command`, once per call.

    It runs as the worker does, in a folder of its own per target: `<folder>/<target>`.
    """

    def __init__(
        self,
        folder: Path,
        git: Objects,
        env: Mapping[str, str],
        patience: Mapping[str, float] = _PATIENCE,
    ) -> None:
        """`env` is the worker's; what is slipway's own in it no program gets.

        `patience` is in seconds by operation.
        """
        self._folder = folder.absolute()
        self._git = git
        self._worker = env
        self._env = {name: env[name] for name in env if not name.startswith("SLIPWAY_")}
        self._patience = {**_PATIENCE, **patience}

    def capabilities(self) -> Capabilities:
        """Say what the protocol can carry; what a program leaves out is no evidence."""
        return Capabilities(name="command", sticky=True)

    async def build(self, order: BuildOrder) -> Artefact:
        """Hand over a folder with the commit's files, which stays until the commit is pruned."""
        place, environment = order.place, _environment(order)
        digest = await digest_of(self._git, order)
        source = self._of(place) / "sources" / f"{order.sha}.{digest[:16]}"
        async with locked(self._of(place) / f"{digest[:16]}.lock"):
            if not source.exists():
                fresh = self._of(place) / f"{digest[:16]}.new"
                await asyncio.to_thread(remove, fresh)
                await self._git.materialise(place.repository.id, order.sha, fresh)
                source.parent.mkdir(exist_ok=True)
                fresh.rename(source)
            more = {"source": str(source), "digest": digest}
            return await self._ask(Artefact, "build", place, environment, order, more)

    async def start(self, order: StartOrder) -> Instance:
        """Hand over the service's secrets too, as variables of the program."""
        place, secrets = order.place, secrets_of(order, self._worker)
        return await self._ask(Instance, "start", place, order.environment, order, env=secrets)

    async def probe(self, place: Place, environment: Environment, instance: str) -> Instance:
        order = _Named(place=place, environment=environment, instance=instance)
        return await self._ask(Instance, "probe", place, environment, order)

    async def inspect(self, place: Place, environment: Environment) -> Inspection:
        order = _Named(place=place, environment=environment)
        return await self._ask(Inspection, "inspect", place, environment, order)

    async def set_weights(self, order: WeightOrder) -> int:
        place, environment = order.place, order.environment
        check_sum(order)
        return (await self._ask(_Moved, "set_weights", place, environment, order)).generation

    async def drain(
        self, place: Place, environment: Environment, instance: str, deadline_s: float
    ) -> bool:
        order = _Drain(
            place=place, environment=environment, instance=instance, deadline_s=deadline_s
        )
        answer = await self._ask(_Drained, "drain", place, environment, order, more_s=deadline_s)
        return answer.drained

    async def stop(self, place: Place, environment: Environment, instance: str) -> None:
        order = _Named(place=place, environment=environment, instance=instance)
        await self._ask(Record, "stop", place, environment, order)

    async def observe(self, order: ObserveOrder) -> Observation:
        return await self._ask(Observation, "observe", order.place, order.environment, order)

    async def prune(
        self, place: Place, environment: Environment, keep: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Remove what the program says nobody needs, and its source folders."""
        order = _Keep(place=place, environment=environment, keep=keep)
        removed = (await self._ask(_Removed, "prune", place, environment, order)).removed
        for source in (self._of(place) / "sources").glob("*.*"):
            if source.name.partition(".")[0] in removed:
                await asyncio.to_thread(remove, source)
        return removed

    async def _ask(
        self,
        kind: type[R],
        op: str,
        place: Place,
        environment: Environment,
        order: Record,
        more: Mapping[str, str] = MappingProxyType({}),
        *,
        more_s: float = 0,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> R:
        question: dict[str, Any] = {
            "protocol": PROTOCOL,
            "op": op,
            "target": place.target,
            "order": order.model_dump(mode="json"),
            **more,
        }
        program = Program(environment.command, self._of(place), {**self._env, **env})
        answer = await program.ask(question, self._patience[op] + more_s)
        try:
            return kind.model_validate(answer)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Misconfigured(
                f"the driver program of {place.target} answered `{op}` wrongly: "
                f"{where}: {first['msg']}",
                code="bad_answer",
                hint="docs/drivers.md lists the answers",
            ) from error

    def _of(self, place: Place) -> Path:
        return self._folder / re.sub(r"[^A-Za-z0-9._@-]", "_", place.target.replace("/", "@"))


class _Named(Record):
    place: Place
    environment: Environment
    instance: str = ""


class _Drain(_Named):
    deadline_s: float


class _Keep(Record):
    place: Place
    environment: Environment
    keep: tuple[str, ...]


class _Moved(Record):
    generation: int


class _Drained(Record):
    drained: bool


class _Removed(Record):
    removed: tuple[str, ...]


def _environment(order: BuildOrder) -> Environment:
    """Return where a build is for; raises `Misconfigured` where the service does not say."""
    found = order.service.environments.get(order.place.environment)
    if found is None:
        raise Misconfigured(
            f"{order.place.target} is not declared: its service has no such environment",
            code="no_environment",
        )
    return found
