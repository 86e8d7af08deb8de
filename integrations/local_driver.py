"""The driver `local`: releases in folders, processes under the host, traffic through its edge."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from domain.deployment import (
    FULL,
    Artefact,
    BuildOrder,
    Capabilities,
    Inspection,
    Instance,
    Observation,
    ObserveOrder,
    Place,
    Route,
    StartOrder,
    WeightOrder,
)
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.hosting import RouteTraffic, StartProcess
from domain.service import Environment
from integrations.gates.ports import Commands
from integrations.host_sockets import Sockets
from integrations.local_releases import Objects, Releases

SECRET = "SLIPWAY_SECRET_"  # begins the worker's variables that services may name under `secrets`


class LocalDriver:
    """One machine: this one. What it started outlives the worker and all of slipway."""

    def __init__(self, releases: Path, host: Path, git: Objects, processes: Commands) -> None:
        """`releases` gets a folder per release, `host` holds the two sockets of the host."""
        self._releases = Releases(releases, git, processes)
        self._host = Sockets(host)

    def capabilities(self) -> Capabilities:
        return Capabilities(name="local", sticky=True)

    async def build(self, order: BuildOrder) -> Artefact:
        """Build in the sandbox, with network; see `Releases.build`."""
        return await self._releases.build(order)

    def release_of(self, place: Place, sha: str) -> Path | None:
        """Return the folder of a commit's release, if it was built here."""
        return self._releases.find(place, sha)

    async def start(self, order: StartOrder) -> Instance:
        """Ensure the public port and one instance; it is not ready yet when this returns."""
        process = self.process(order)
        target, environment = order.place.target, order.environment
        await self._host.declare(target, environment.host, environment.port)
        return await self._host.start(process)

    def process(self, order: StartOrder) -> StartProcess:
        """Return what the supervisor is told of an instance; raises what `Releases.check` does."""
        return _process(order, self._releases.check(order.place, order.artefact))

    async def probe(self, place: Place, environment: Environment, instance: str) -> Instance:
        """Return what the supervisor's own probes say."""
        found = await self._host.instances(place.target)
        gone = Instance(instance=instance, target=place.target, digest="", state="gone")
        return next((each for each in found if each.instance == instance), gone)

    async def inspect(self, place: Place, environment: Environment) -> Inspection:
        generation, routes = await self._host.routes(place.target)
        return Inspection(
            target=place.target,
            generation=generation,
            routes=routes,
            instances=await self._host.instances(place.target),
        )

    async def set_weights(self, order: WeightOrder) -> int:
        """Route by the edge; living instances without weight stay known to it, for testers."""
        target, service = order.place.target, order.service
        strategy = order.environment.strategy or service.strategy
        return await self._host.route(
            RouteTraffic(
                target=target,
                routes=weighed(order, await self._routable(target)),
                expected_generation=order.expected_generation,
                op_id=order.op,
                sticky=strategy.sticky,
                timeout_s=service.timeout,
                slow_ms=service.slow.objective_ms,
            )
        )

    async def _routable(self, target: str) -> tuple[Route, ...]:
        """Return the living instances; while no supervisor runs, those that the edge knows."""
        try:
            return tuple(route_of(each) for each in await self._host.instances(target))
        except Unavailable:
            return (await self._host.routes(target))[1]

    async def drain(
        self, place: Place, environment: Environment, instance: str, deadline_s: float
    ) -> bool:
        """Wait at the edge; raises `Rejected` (`has_weight`) while traffic goes to it."""
        return await self._host.drain(place.target, instance, deadline_s)

    async def stop(self, place: Place, environment: Environment, instance: str) -> None:
        found = await self.probe(place, environment, instance)
        if found.state != "gone":
            await self._host.stop(instance)

    async def observe(self, order: ObserveOrder) -> Observation:
        target = order.place.target
        generation, counts = await self._host.observe(target, order.slow_ms)
        at_ms = time.time_ns() // 1_000_000
        instances = await self._host.instances(target)
        return Observation(
            target=target, at_ms=at_ms, generation=generation, counts=counts, instances=instances
        )

    async def prune(
        self, place: Place, environment: Environment, keep: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Remove old releases, never one that an instance runs."""
        running = {each.sha for each in await self._host.instances(place.target)}
        return await self._releases.prune(place, running.union(keep))


def secrets_of(order: StartOrder, known: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the secrets that a service names.

    Only what an operator has set for services can be named: a change to a service's file must not
    reach what else the worker holds. Raises `Misconfigured` (`no_secret`) when one is missing.
    """
    names = order.service.secrets
    if lost := [name for name in names if f"{SECRET}{name}" not in known]:
        raise Misconfigured(
            f"{order.place.target} needs {', '.join(lost)}, which nobody has set",
            code="no_secret",
            hint=f"set {SECRET}{lost[0]} where `slipway up` is started, then start it again",
        )
    return {name: known[f"{SECRET}{name}"] for name in names}


def _process(order: StartOrder, release: Path) -> StartProcess:
    service, environment = order.service, order.environment
    secrets = secrets_of(order, os.environ)
    ours = {
        "SLIPWAY_INSTANCE": order.instance,
        "SLIPWAY_TARGET": order.place.target,
        "SLIPWAY_VERSION": order.version,
        "SLIPWAY_SHA": order.artefact.sha,
    }
    env = {**service.env, **environment.env, **ours}
    return StartProcess(
        instance=order.instance,
        target=order.place.target,
        argv=tuple(_filled(word, release) for word in service.run),
        cwd=str(release),
        env={name: _filled(value, release) for name, value in env.items()} | secrets,
        sha=order.artefact.sha,
        digest=order.artefact.digest,
        version=order.version,
        ready=service.ready,
        health=service.health,
        limits=service.limits,
        drain_s=service.drain,
    )


def _filled(word: str, release: Path) -> str:
    """Fill the release's folder in; the port is filled in by the supervisor, who chooses it."""
    return word.replace("{release}", str(release))


def route_of(instance: Instance) -> Route:
    """Return the way to an instance, without any traffic."""
    return Route(
        instance=instance.instance,
        address=instance.address,
        version=instance.version,
        digest=instance.digest,
        weight=0,
    )


def weighed(order: WeightOrder, routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return the routes with their shares; raises `Rejected`: `unknown_instance`, `bad_weights`."""
    check_sum(order)
    shares, known = order.weights, {route.instance: route for route in routes}
    if lost := sorted(name for name, share in shares.items() if share and name not in known):
        raise Rejected(
            f"{order.place.target} has no instance {', '.join(lost)}",
            code="unknown_instance",
            hint="start it before it gets traffic",
        )
    return tuple(route.but(weight=shares.get(name, 0)) for name, route in known.items())


def check_sum(order: WeightOrder) -> None:
    """Raise `Rejected` (`bad_weights`) where the shares are not all of the traffic."""
    shares = order.weights.values()
    if shares and (sum(shares) != FULL or min(shares) < 0):  # none: serve nothing
        raise Rejected(
            f"the weights {order.weights} of {order.place.target} do not sum to {FULL}",
            code="bad_weights",
        )
