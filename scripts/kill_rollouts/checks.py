"""Checks after each rollout, from outside: records, edge, supervisor, process table."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from domain.deployment import FULL, Instance, Route
from domain.errors import Unavailable
from domain.rollout_view import WeightChange
from domain.shifting import of_rollout
from integrations.host_sockets import Sockets
from scripts.kill_rollouts import evidence
from scripts.kill_rollouts.records import Records, Told
from scripts.kill_rollouts.service import FAILED, HELD, KINDS, PASSED, UNDONE
from scripts.kill_rollouts.target import Release, Target

_SETTLED = 40.0  # seconds in which what is replaced has ended; it stays warm for one


class Checks:
    """Compares what slipway says of a target with what can be seen."""

    def __init__(self, home: Path) -> None:
        self._records = Records(home)
        self._sockets = Sockets(home / "host")

    async def wrong(self, target: Target, release: Release, state: str) -> list[str]:
        """Return all that is wrong after a rollout has ended as its workflow says."""
        told = self._records.told(release.start.rollout)
        before = told.plan.anchor.rollout if told.plan and told.plan.anchor else ""
        anchors = self._records.ticks(before)
        found = [*wrong_record(told, state), *evidence.wrong_verdicts(told, anchors)]
        found += wrong_end(release, told, evidence.demanded(told, anchors))
        found += self._wrong_quarantine(release, told)
        found += await self._settled(target, release, told)
        return [f"{release.tag} ({release.kind}): {each}" for each in found]

    def _wrong_quarantine(self, release: Release, told: Told) -> Iterator[str]:
        barred = {item.sha for item in told.barred}
        wanted = set(told.plan.merges) if told.plan and told.state == UNDONE else set()
        if barred != wanted:
            yield f"in quarantine are {barred}, not {wanted}"
        if any(item.cure for item in told.barred):
            yield "a cure is on record that nobody gave"

    async def _settled(self, target: Target, release: Release, told: Told) -> list[str]:
        """Wait until edge and processes are as they should be; return what is not in time."""
        deadline = time.monotonic() + _SETTLED
        while True:
            try:
                found = await self._unsettled(target, release, told)
            except Unavailable as error:
                found = [str(error)]
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    async def _unsettled(self, target: Target, release: Release, told: Told) -> list[str]:
        name = target.place.target
        generation, routes = await self._sockets.routes(name)
        instances = await self._sockets.instances(name)
        current, passed = self._records.served(name)
        if current is None or passed is None or current.rollout != passed.rollout:
            return [f"served are {current and current.tag} and {passed and passed.tag}"]
        if (current.rollout == release.start.rollout) != (told.state == PASSED):
            return [f"{current.tag} is served after {release.tag} has {told.state}"]
        return [
            *wrong_routes(current.rollout, target.replicas, routes),
            *wrong_changes(self._records.weight_changes(name), generation, routes),
            *wrong_instances(current.rollout, target.replicas, instances),
            *wrong_processes(name, instances),
        ]


def wrong_record(told: Told, state: str) -> Iterator[str]:
    """Tell what is missing on record of a rollout, or there twice."""
    if told.state != state:
        yield f"its workflow ended {state}, on record it is {told.state}"
    if told.kinds.count("rollout_ended") != 1:
        yield f"{told.kinds.count('rollout_ended')} ends are on record"
    if told.result is None or told.result.status != told.state:
        yield f"the result on record is {told.result and told.result.status}"
    undone = told.kinds.count("rollout_undone")
    if undone != (told.state == UNDONE):
        yield f"{undone} undos are on record of a rollout that {told.state}"
    if told.undone and not told.undone.undo.verified:
        yield f"its undo is not verified: {told.undone.undo.reason}"


def wrong_end(release: Release, told: Told, demanded: str) -> Iterator[str]:
    """Tell where a rollout has not ended as its evidence, or its release, demands."""
    if told.state != demanded:
        yield f"it ended {told.state}, its evidence demands {demanded or 'no end'}: {told.reason}"
    if told.state not in KINDS[release.kind].ends:
        yield f"it ended {told.state}: {told.reason}"
    if told.state in (FAILED, HELD) and told.result and told.result.exposure:
        yield f"it had {told.result.exposure:.0%} of the traffic and is {told.state}"


def wrong_routes(rollout: str, replicas: int, routes: tuple[Route, ...]) -> Iterator[str]:
    """Tell whether anybody but the served rollout gets traffic, or it not all of it."""
    weights = {route.instance: route.weight for route in routes if route.weight}
    if sum(weights.values()) != FULL:
        yield f"the weights {weights} do not sum to {FULL}"
    if strangers := [name for name in weights if not of_rollout(rollout, name)]:
        yield f"{strangers} get traffic of {rollout}"
    if len(weights) != replicas:
        yield f"{len(weights)} of {replicas} instances get traffic"


def wrong_changes(
    changes: tuple[WeightChange, ...], generation: int, routes: tuple[Route, ...]
) -> Iterator[str]:
    """Tell where the orders on record do not add up to what the edge has in force."""
    done = sorted((each for each in changes if each.generation), key=lambda e: e.generation or 0)
    found = [each.generation for each in done]
    if found != list(range(1, generation + 1)):
        yield f"the edge is at generation {generation}, read back were {found}"
    elif done:
        wanted = {name: weight for name, weight in done[-1].weights.items() if weight}
        there = {route.instance: route.weight for route in routes if route.weight}
        if wanted != there:
            yield f"{done[-1].op} ordered {wanted}, the edge has {there}"
    for each in changes:
        # One that was never read back came too late: another order has the generation it wanted.
        if not each.generation and each.expected_generation >= generation:
            yield f"{each.op} was begun, and nobody knows what became of it"


def wrong_instances(rollout: str, replicas: int, instances: tuple[Instance, ...]) -> Iterator[str]:
    """Tell which instances run that should not, and which do not that should."""
    ready = [i for i in instances if of_rollout(rollout, i.instance) and i.state == "ready"]
    if len(ready) != replicas:
        yield f"{len(ready)} of {replicas} instances of {rollout} are ready"
    if others := [i.instance for i in instances if not of_rollout(rollout, i.instance)]:
        yield f"{others} are still there, {rollout} is served"


def wrong_processes(target: str, instances: tuple[Instance, ...]) -> Iterator[str]:
    """Tell which processes of a target nobody looks after, by the environment they were given."""
    known = {each.pid for each in instances}
    for pid, environment in environments():
        if environment.get("SLIPWAY_TARGET") == target and pid not in known:
            yield f"process {pid} of {environment.get('SLIPWAY_INSTANCE')} still runs"


def environments() -> Iterator[tuple[int, dict[str, str]]]:
    """Return the environments of all processes that we may look at."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        yield int(folder.name), dict(word.split("=", 1) for word in words if "=" in word)


def processes_below(home: Path) -> list[str]:
    """Return the processes that work for a home, by command, folder or environment."""
    found = []
    for pid, environment in environments():
        folder = Path(f"/proc/{pid}")
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = os.readlink(folder / "cwd")  # noqa: PTH115 - it may be gone
        except OSError:
            continue
        told = f"{words} {cwd} {environment.get('SLIPWAY_HOME', '')}"
        if words and str(home) in told and pid != os.getpid():
            found.append(f"process {pid} still runs: {words[:200]}")
    return found
