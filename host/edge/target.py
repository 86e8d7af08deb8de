"""Target: one public port, the instances behind it, and how requests are shared among them."""

from hashlib import blake2s
from random import Random

from host.edge.backend import Backend
from host.edge.counts import CountFile
from host.edge.deck import Deck
from host.edge.folder import Held
from host.edge.limits import Limits
from host.edge.orders import Fields, RouteOrder
from host.edge.requests import Request

FORMER = 16  # instances without a route whose counts can still be read


class Target:
    """Chooses the instance of each request, by what was last ordered."""

    def __init__(self, name: str, own: CountFile, random: Random) -> None:
        self.name = name
        self.generation = 0
        self.op_id = ""
        self.order = RouteOrder(name, (), 0, "")
        self.timeout_s = 30.0
        self.backends: dict[str, Backend] = {}  # by instance, also those that lost their route
        self.routed: tuple[Backend, ...] = ()
        self.bad_clients: set[str] = set()  # that have had a bad answer in this stretch
        self._own = own
        self._random = random
        self._deck: Deck | None = None
        self._weighted: tuple[Backend, ...] = ()

    def turn(self, held: Held, backends: dict[str, Backend], limits: Limits) -> list[Backend]:
        """Route from now on as `held` says; return the instances that nobody asks for any more.

        `backends` has those that are new. Requests in flight are not touched.
        """
        order = held.order
        for route in order.routes:
            backend = self.backends.setdefault(route.instance, backends.get(route.instance))  # type: ignore[arg-type]
            backend.turn(route)
        self.order, self.generation, self.op_id = order, held.generation, order.op_id
        self.timeout_s = order.timeout_s
        self.routed = tuple(self.backends[route.instance] for route in order.routes)
        self._weighted = tuple(backend for backend in self.routed if backend.route.weight)
        weights = [backend.route.weight for backend in self._weighted]
        self._deck = Deck(weights, self._random) if weights else None
        kept = {route.instance for route in order.routes} | set(held.former)
        gone = [name for name in self.backends if name not in kept]
        return [self.backends.pop(name) for name in gone]

    def former(self, order: RouteOrder) -> tuple[str, ...]:
        """Return the instances whose counts are to be kept when `order` is in force."""
        named = {route.instance for route in order.routes}
        left = [name for name in self.backends if name not in named]
        return tuple(left[-FORMER:])

    def choose(self, request: Request) -> tuple[Backend | None, bytes]:
        """Return the instance for a request, and the cookie that keeps its client there."""
        if request.override:
            asked = self._asked(request.override.decode("latin-1"))
            if asked is not None:
                return asked, b""
        if self._deck is None:
            return None, b""
        if not self.order.sticky:
            return self._weighted[self._deck.draw()], b""
        return self._stick(request, self._deck)

    def other(self, failed: Backend, tried: tuple[Backend, ...]) -> Backend | None:
        """Return who takes a request that an instance could not be given."""
        left = [backend for backend in self._weighted if backend not in tried]
        same = [backend for backend in left if backend.route.release == failed.route.release]
        return _weighed(same or left, self._random)

    def cookie_for(self, backend: Backend, request: Request) -> bytes:
        """Return what a client shall say to come back; empty without sticky sessions."""
        if not self.order.sticky:
            return b""
        secure = "; Secure" if request.secure else ""
        mark = mark_of(backend.route.release)
        return f"{self.order.sticky}={mark}; Path=/; HttpOnly; SameSite=Lax{secure}".encode()

    def refuse(self, status: int) -> None:
        """Count an answer of the edge that no instance was asked for."""
        self._own.start()
        self._own.end(status // 100 - 1, 0)

    def observe(self, now: float, slow_ms: float) -> Fields:
        """Return the counts, and begin a new stretch of bad clients."""
        backends = self.backends.values()
        slow_ms = slow_ms or self.order.slow_ms
        counts = [backend.observe(now, slow_ms) for backend in backends]
        self.bad_clients.clear()
        return {
            "generation": self.generation,
            "counts": counts,
            "refused": self._own.read()["done"],
        }

    def end(self) -> None:
        """Serve nobody from now on; requests in flight are answered."""
        self.routed = self._weighted = ()
        self._deck = None
        for backend in self.backends.values():
            backend.drop_idle()

    def _asked(self, version: str) -> Backend | None:
        by_instance = [each for each in self.routed if each.route.instance == version]
        by_version = [each for each in self.routed if each.route.version == version]
        return _weighed(by_instance or by_version, self._random)

    def _stick(self, request: Request, deck: Deck) -> tuple[Backend, bytes]:
        mark = _cookie(request.cookie, self.order.sticky.encode())
        known = [each for each in self._weighted if mark_of(each.route.release).encode() == mark]
        backend = _weighed(known, self._random)
        if backend is not None:
            return backend, b""
        backend = self._weighted[deck.draw()]
        return backend, self.cookie_for(backend, request)


def mark_of(release: str) -> str:
    """Return the name of a version that cookies carry."""
    return blake2s(release.encode(), digest_size=6).hexdigest()


def _weighed(backends: list[Backend], random: Random) -> Backend | None:
    """Return one of these by weight; by chance where none has any."""
    if not backends:
        return None
    weights = [backend.route.weight for backend in backends]
    if not sum(weights):
        return random.choice(backends)
    return random.choices(backends, weights)[0]


def _cookie(header: bytes, name: bytes) -> bytes:
    """Return the value of a cookie; the first one counts (RFC 6265 5.4 sends the nearest first)."""
    for pair in header.split(b";"):
        key, _, value = pair.strip().partition(b"=")
        if key == name:
            return value
    return b""
