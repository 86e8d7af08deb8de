"""Backend: one instance behind the edge, its counts, what it has in flight, its connections."""

import asyncio
from typing import Protocol

from host.edge.counts import BAD, CONNECT, CountFile
from host.edge.limits import Limits
from host.edge.orders import Fields, Route
from host.edge.tunnel import Tunnel
from host.edge.upstream import Upstream

KEYS = 10_000  # clients remembered in a stretch of observation; then a new stretch begins


class Flight(Protocol):
    """A request that an instance has not ended yet."""

    def waited_ms(self, now: float) -> float:
        """Milliseconds until the first byte of its answer, or until now."""


class Backend:
    """An instance of a target. It stays while requests are in flight, also without a route."""

    def __init__(
        self, route: Route, counts: CountFile, limits: Limits, bad_clients: set[str]
    ) -> None:
        self.counts = counts
        self.flights: set[Flight] = set()
        self.tunnels: set[Tunnel] = set()
        self._limits = limits
        self._idle: list[Upstream] = []
        self._bad_clients = bad_clients  # of the whole target, in this stretch
        self._quiet: asyncio.Future[None] | None = None
        self.turn(route)

    def turn(self, route: Route) -> None:
        """Take over what a new order says of this instance."""
        if getattr(self, "route", route).address != route.address:
            self.drop_idle()
        self.route = route
        self.label = route.label
        self.version_line = b"X-Slipway-Version: %b\r\n\r\n" % route.label.encode()
        host, _, port = route.address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)

    def start(self, flight: Flight) -> None:
        self.counts.start()
        self.flights.add(flight)

    def end(self, flight: Flight, kind: int, ms: float, client: str) -> None:
        """Count how a request ended; a bad answer counts once per client and stretch.

        Once for the whole target: were it once per instance, few clients with many bad answers
        would count as often on a small share of the traffic as on a large one. Without the key of
        a client each bad answer counts.
        """
        self.counts.end(kind, ms)
        self.flights.discard(flight)
        if self._quiet is not None:
            self._look_around()
        if kind not in BAD:
            return
        if client in self._bad_clients:
            return
        self.counts.bad_client()
        if client:
            if len(self._bad_clients) >= KEYS:
                self._bad_clients.clear()
            self._bad_clients.add(client)

    def fail_to_connect(self, flight: Flight, ms: float, client: str, passed_on: bool) -> None:
        self.end(flight, CONNECT, ms, client)
        if passed_on:
            self.counts.pass_on()

    def enter_tunnel(self, tunnel: Tunnel) -> None:
        self.tunnels.add(tunnel)

    def leave_tunnel(self, tunnel: Tunnel) -> None:
        self.tunnels.discard(tunnel)
        self._look_around()

    async def quiet(self) -> None:
        """Wait until no request and no tunnel is left."""
        while self.flights or self.tunnels:
            if self._quiet is None or self._quiet.done():
                self._quiet = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._quiet)

    def _look_around(self) -> None:
        quiet = self._quiet
        if quiet is not None and not quiet.done() and not self.flights and not self.tunnels:
            quiet.set_result(None)

    def observe(self, now: float, slow_ms: float) -> Fields:
        """Return the counts."""
        overdue = sum(flight.waited_ms(now) > slow_ms for flight in self.flights) if slow_ms else 0
        return {"instance": self.route.instance, **self.counts.read(), "overdue": overdue}

    def take(self) -> Upstream | None:
        """Return a connection that was kept alive, the youngest one."""
        while self._idle:
            upstream = self._idle.pop()
            if not upstream.closed:
                return upstream
        return None

    def give_back(self, upstream: Upstream, now: float) -> None:
        """Keep a connection for the next request, or close it."""
        if len(self._idle) < self._limits.pool and upstream.address == self.route.address:
            upstream.let_go(now)
            self._idle.append(upstream)
        else:
            upstream.close()

    async def connect(self) -> Upstream:
        """Return a new connection; raises `OSError` or `TimeoutError`."""
        loop = asyncio.get_running_loop()
        address, limits = self.route.address, self._limits
        async with asyncio.timeout(limits.connect_s):
            _, upstream = await loop.create_connection(
                lambda: Upstream(address, limits.head_bytes), self._host, self._port
            )
        return upstream

    def sweep(self, now: float) -> bool:
        """Close connections that were idle for too long; return whether some are left."""
        limit = now - self._limits.pool_idle_s
        while self._idle and (self._idle[0].closed or self._idle[0].idle_since < limit):
            self._idle.pop(0).close()
        return bool(self._idle)

    def drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
