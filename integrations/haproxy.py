"""The driver `haproxy`: instances as the local driver runs them, behind a HAProxy per target."""

import asyncio
import time
from pathlib import Path

from domain.deployment import (
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
from domain.errors import Rejected, Unavailable
from domain.service import Environment
from integrations.haproxy_config import Face, checked
from integrations.haproxy_folder import HaproxyFolder, InForce
from integrations.haproxy_proxy import Proxy
from integrations.host_sockets import Sockets
from integrations.local_driver import LocalDriver, route_of, weighed

_LOOK = 0.05  # seconds between two looks at what is in flight


class HaproxyDriver:
    """Builds and processes are the local driver's; traffic goes through HAProxy (2.6 or later)."""

    def __init__(
        self, local: LocalDriver, host: Path, folder: Path, program: str = "haproxy"
    ) -> None:
        """`host` holds the sockets of the supervisor, `folder` gets a folder per target."""
        self._local = local
        self._host = Sockets(host)
        self._folder = folder
        self._program = program

    def capabilities(self) -> Capabilities:
        """Time-outs are counted as `reset`, and how long answers take is not counted."""
        classes = ("4xx", "5xx", "connect", "reset")
        return Capabilities(name="haproxy", histogram=False, sticky=False, classes=classes)

    async def build(self, order: BuildOrder) -> Artefact:
        return await self._local.build(order)

    async def start(self, order: StartOrder) -> Instance:
        """Ensure that HAProxy serves the public port, and one instance.

        Raises `Rejected` (`no_sticky`) for a service that wants its clients to stay where they are.
        """
        process = self._local.process(order)
        strategy = order.environment.strategy or order.service.strategy
        if strategy.sticky:
            raise Rejected(
                f"{order.place.target} wants sticky clients, which the driver haproxy cannot do",
                code="no_sticky",
                hint="leave `sticky` out of its strategy, or use the driver local",
            )
        proxy = self._proxy(order.place)
        async with proxy.folder.lock():
            await self._serve(proxy, order.environment, order.service.timeout)
            return await self._host.start(process)

    async def _serve(self, proxy: Proxy, environment: Environment, timeout_s: float) -> None:
        """Ensure the process at the declared port; how patient it is changes with the weights."""
        state = proxy.folder.read()
        face = _face(environment, timeout_s)
        if state.face:
            face = face.but(timeout_s=state.face.timeout_s)
        checked(proxy.serves, face)
        if face != state.face or not await proxy.answers():
            await proxy.enforce(state.but(face=face))

    async def probe(self, place: Place, environment: Environment, instance: str) -> Instance:
        return await self._local.probe(place, environment, instance)

    async def inspect(self, place: Place, environment: Environment) -> Inspection:
        """Return what HAProxy itself says it serves, also where another program has changed it."""
        proxy = self._proxy(place)
        async with proxy.folder.lock():
            state = proxy.folder.read()
            instances = await self._host.instances(place.target)
            routes: tuple[Route, ...] = ()
            if await proxy.known():
                shares = await proxy.shares()
                routes = tuple(
                    route.but(weight=shares.get(route.instance, 0)) for route in state.routes
                )
        return Inspection(
            target=place.target, generation=state.generation, routes=routes, instances=instances
        )

    async def set_weights(self, order: WeightOrder) -> int:
        proxy = self._proxy(order.place)
        async with proxy.folder.lock():
            state = proxy.folder.read()
            if not (order.op and order.op == state.op):
                _refuse_stale(order, state)
                face = _face(order.environment, order.service.timeout)
                state = state.but(
                    generation=state.generation + 1,
                    op=order.op,
                    routes=weighed(order, await self._routable(order.place, state)),
                    face=checked(proxy.serves, face),
                )
            await proxy.enforce(state)
            return state.generation

    async def _routable(self, place: Place, state: InForce) -> tuple[Route, ...]:
        """Return the living instances; while no supervisor runs, those that HAProxy knows."""
        try:
            return tuple(route_of(each) for each in await self._host.instances(place.target))
        except Unavailable:
            return state.routes

    async def drain(
        self, place: Place, environment: Environment, instance: str, deadline_s: float
    ) -> bool:
        """Wait for the last answer; raises `Rejected` (`has_weight`) while traffic goes to it."""
        deadline = time.monotonic() + deadline_s
        seen = await self.inspect(place, environment)
        if seen.weight_of(instance):
            raise Rejected(
                f"{instance} of {place.target} gets traffic, so it will never be without requests",
                code="has_weight",
                hint="give its share to others first",
            )
        proxy = self._proxy(place)
        while seen.routes and await proxy.admin.in_flight(instance):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def stop(self, place: Place, environment: Environment, instance: str) -> None:
        """End an instance; with the last one of its target HAProxy ends too."""
        await self._local.stop(place, environment, instance)
        proxy = self._proxy(place)
        async with proxy.folder.lock():
            state = proxy.folder.read()
            left = tuple(each for each in state.routes if each.weight or each.instance != instance)
            if not await self._host.instances(place.target):
                await proxy.end()
                proxy.folder.forget(state)
            elif left != state.routes:
                await proxy.enforce(state.but(routes=left))

    async def observe(self, order: ObserveOrder) -> Observation:
        proxy = self._proxy(order.place)
        async with proxy.folder.lock():
            state = proxy.folder.read()
            counts = await proxy.counts(state) if await proxy.known() else ()
            at_ms = time.time_ns() // 1_000_000
            instances = await self._host.instances(order.place.target)
        return Observation(
            target=order.place.target,
            at_ms=at_ms,
            generation=state.generation,
            counts=counts,
            instances=instances,
        )

    async def prune(
        self, place: Place, environment: Environment, keep: tuple[str, ...]
    ) -> tuple[str, ...]:
        return await self._local.prune(place, environment, keep)

    def _proxy(self, place: Place) -> Proxy:
        folder = HaproxyFolder(self._folder, place.target)
        return Proxy(place.target, folder, self._host, self._program)


def _face(environment: Environment, timeout_s: float) -> Face:
    return Face(host=environment.host, port=environment.port, timeout_s=timeout_s)


def _refuse_stale(order: WeightOrder, state: InForce) -> None:
    if order.expected_generation != state.generation:
        raise Rejected(
            f"generation {state.generation} of {order.place.target} is in force, "
            f"the order expects {order.expected_generation}",
            code="stale",
            hint="somebody else has moved the traffic meanwhile: look again",
        )
