"""The edge: targets, their sockets, all client connections, and the clock that ends what hangs."""

import asyncio
import os
import secrets
import socket
import time
from contextlib import suppress
from random import Random

from host.edge.backend import Backend
from host.edge.client import ClientConnection
from host.edge.counts import CountFile
from host.edge.folder import Folder, Held
from host.edge.limits import Limits
from host.edge.orders import Fields, Refused, Route, RouteOrder
from host.edge.problems import Problems
from host.edge.target import Target

BEAT_S = 0.1  # how late a deadline may be noticed
ROOM = 256  # connections beyond the limit that may read why they are turned away
OWN = ""  # the instance under which the edge's own answers are counted


class Edge:
    """Serves all targets of one folder."""

    def __init__(self, folder: Folder, limits: Limits, problems: Problems) -> None:
        self.limits = limits
        self.problems = problems
        self.draining = False
        self.targets: dict[str, Target] = {}
        self._folder = folder
        self._slot, self._dead = folder.take_slot()
        self._random = Random(secrets.randbits(64))
        self._clients: set[ClientConnection] = set()
        self._servers: dict[str, asyncio.Server] = {}
        self._orders: dict[str, asyncio.Lock] = {}
        self._loop = asyncio.get_running_loop()
        self._beat: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None  # awaited by `stop`

    def load(self) -> None:
        """Take up where the last edge ended; raises `Refused`, `OSError`."""
        for held in self._folder.load(self.problems):
            target = self._target(held.order.target)
            former = {name: Route(name, "-:1", "", "", 0) for name in held.former}
            routes = {route.instance: route for route in held.order.routes}
            target.backends = self._backends(target, former)
            target.turn(held, self._backends(target, routes), self.limits)
        self._folder.let_go()
        self._dead = (self._slot,)

    # What is asked over the admin socket.

    async def listen(self, name: str, listener: socket.socket) -> Fields:
        """Serve a target on a listening socket; a repeat with the same socket changes nothing."""
        server = self._servers.get(name)
        if server is not None and _same(server.sockets[0], listener):
            listener.close()
            return {"listening": True}
        target = self._target(name)
        listener.setblocking(False)
        self._servers[name] = await self._loop.create_server(
            lambda: ClientConnection(self, target, self._loop), sock=listener, backlog=4_096
        )
        if server is not None:
            server.close()
        return {"listening": True}

    def listener(self, name: str) -> socket.socket:
        """Return a target's listening socket; raises `Refused` (`unknown_target`)."""
        server = self._servers.get(name)
        if server is None:
            raise Refused("unknown_target", f"{name} is not served here")
        return server.sockets[0]

    async def forget(self, name: str) -> Fields:
        """Close a target's port and forget its routes and counts; a repeat is fine.

        Requests in flight are answered all the same.
        """
        async with self._orders.setdefault(name, asyncio.Lock()):
            server = self._servers.pop(name, None)
            if server is not None:
                server.close()
            target = self.targets.pop(name, None)
            self._folder.forget(name)
            if target is not None:
                target.end()
        return {}

    async def route(self, order: RouteOrder) -> Fields:
        """Compare and swap, on disk before in force; raises `Refused`, `OSError`."""
        async with self._orders.setdefault(order.target, asyncio.Lock()):
            target = self._target(order.target)
            if order.op_id == target.op_id and target.generation:
                return {"generation": target.generation}
            if order.expected_generation != target.generation:
                raise Refused(
                    "stale",
                    f"{order.target} is at generation {target.generation}, "
                    f"not {order.expected_generation}",
                    "Inspect it, and decide anew",
                )
            held = Held(order, target.generation + 1, target.former(order))
            fresh = {
                route.instance: route
                for route in order.routes
                if route.instance not in target.backends
            }
            backends = self._backends(target, fresh)
            await asyncio.to_thread(self._folder.keep, held)
            for backend in target.turn(held, backends, self.limits):
                self._let_go(backend)
            return {"generation": target.generation}

    def inspect(self, name: str) -> Fields:
        target = self.targets.get(name)
        if target is None:
            return {"target": name, "generation": 0, "routes": (), "listening": False}
        order = target.order
        routes = [
            {"instance": r.instance, "address": r.address, "version": r.version,
             "digest": r.digest, "weight": r.weight}
            for r in order.routes
        ]  # fmt: skip
        return {
            "target": name,
            "generation": target.generation,
            "routes": routes,
            "op_id": target.op_id,
            "sticky": order.sticky,
            "timeout_s": order.timeout_s,
            "slow_ms": order.slow_ms,
            "listening": name in self._servers,
        }

    def observe(self, name: str, slow_ms: float) -> Fields:
        """Return all counts of a target; ends the stretch of bad clients."""
        target = self.targets.get(name)
        if target is None:
            return {"target": name, "at_ms": _wall_ms(), "generation": 0, "counts": ()}
        seen = target.observe(time.monotonic(), slow_ms)
        return {"target": name, "at_ms": _wall_ms(), **seen}

    async def drain(self, name: str, instance: str, deadline_s: float) -> Fields:
        """Wait until an instance has nothing left; after the deadline its tunnels are closed."""
        target = self.targets.get(name)
        backend = target.backends.get(instance) if target is not None else None
        if backend is None:
            return {"drained": True, "left": 0}
        if backend.route.weight and backend in target.routed:  # type: ignore[union-attr]
            raise Refused(
                "has_weight", f"{instance} of {name} gets traffic", "Set its weight to 0 first"
            )
        backend.drop_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await backend.quiet()
        for tunnel in tuple(backend.tunnels):
            tunnel.cut()
        backend.drop_idle()
        return {"drained": not backend.flights, "left": len(backend.flights)}

    def ping(self) -> Fields:
        return {
            "pid": os.getpid(),
            "draining": self.draining,
            "connections": len(self._clients),
            "targets": {name: target.generation for name, target in self.targets.items()},
            "listening": sorted(self._servers),
        }

    # What client connections ask.

    @property
    def crowded(self) -> bool:
        """Whether there is no room even for those that are turned away."""
        return len(self._clients) > self.limits.connections + ROOM

    def enter(self, client: ClientConnection) -> bool:
        """Admit a connection unless there are too many; it is remembered until `leave`."""
        self._clients.add(client)
        if self._beat is None:
            self._beat = self._loop.call_later(BEAT_S, self._look)
        if len(self._clients) <= self.limits.connections:
            return True
        self.problems.tell("full", f"more than {self.limits.connections} client connections")
        return False

    def leave(self, client: ClientConnection) -> None:
        self._clients.discard(client)
        if not self._clients and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    # The end.

    async def stop(self) -> None:
        """Accept no more, let end what is in flight, then cut it."""
        self.draining = True
        for server in self._servers.values():
            server.close()
        self._loop.call_later(self.limits.farewell_s, self._bid_farewell)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.grace_s):
                await self._emptied()
        for client in tuple(self._clients):
            client.cut()
        for target in self.targets.values():
            for backend in target.backends.values():
                backend.drop_idle()

    # Our own steps.

    def _bid_farewell(self) -> None:
        for client in tuple(self._clients):
            client.leave_if_idle()

    async def _emptied(self) -> None:
        if self._clients:
            self._empty = self._loop.create_future()
            await self._empty

    def _target(self, name: str) -> Target:
        target = self.targets.get(name)
        if target is None:
            target = self.targets[name] = Target(name, self._count(name, OWN), self._random)
        return target

    def _backends(self, target: Target, routes: dict[str, Route]) -> dict[str, Backend]:
        return {
            name: Backend(route, self._count(target.name, name), self.limits, target.bad_clients)
            for name, route in routes.items()
        }

    def _count(self, target: str, instance: str) -> CountFile:
        counts = CountFile(self._folder.counts_of(target, instance), self._slot)
        for slot in self._dead:
            counts.bury(slot)
        return counts

    def _let_go(self, backend: Backend) -> None:
        """Drop the counts of an instance that nobody asks for; requests in flight keep theirs."""
        backend.drop_idle()
        backend.counts.path.unlink(missing_ok=True)

    def _look(self) -> None:
        """Expire what hangs, close what idles; rest while there is nothing."""
        now = self._loop.time()
        for client in [each for each in self._clients if each.deadline < now]:
            client.expire()
        left = bool(self._clients)
        monotonic = time.monotonic()
        for target in self.targets.values():
            for backend in target.backends.values():
                left |= backend.sweep(monotonic)
        self._beat = self._loop.call_later(BEAT_S, self._look) if left else None


def _same(one: socket.socket, other: socket.socket) -> bool:
    """Whether two descriptors are of one socket."""
    return os.fstat(one.fileno()).st_ino == os.fstat(other.fileno()).st_ino


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
