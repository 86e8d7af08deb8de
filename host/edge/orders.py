"""Reads what is said to the edge; the words are those of `domain.hosting`.

The records there are pydantic models, whose import costs more memory than the whole edge, so the
edge reads JSON by hand; a test proves that both read the same.
"""

import json
import re
from dataclasses import asdict, dataclass

FULL = 10_000  # domain.deployment.FULL

TARGET = re.compile(r"[^\x00-\x1f\x7f]{1,300}")  # begins with a repository's name
WORD = re.compile(r"[!-~]{1,200}")  # goes into headers
ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")
COOKIE = re.compile(r"[A-Za-z0-9_-]{0,64}")

Fields = dict[str, object]


class Refused(Exception):
    """An order that is not carried out, and what to do about it."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Route:
    """A share of a target's traffic, in basis points."""

    instance: str
    address: str
    version: str
    digest: str
    weight: int

    @property
    def label(self) -> str:
        """What answers call the version."""
        return self.version or self.instance

    @property
    def release(self) -> str:
        """What all instances of one version have in common."""
        return self.digest or self.version or self.instance


@dataclass(frozen=True, slots=True)
class RouteOrder:
    """Compare and swap: see `domain.hosting.RouteTraffic`."""

    target: str
    routes: tuple[Route, ...]
    expected_generation: int
    op_id: str
    sticky: str = ""
    timeout_s: float = 30
    slow_ms: float = 0


def parse(line: bytes) -> Fields:
    """Return the JSON object of a line; raises `Refused`."""
    try:
        order = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused("bad_order", f"The order is no JSON: {error}") from error
    if not isinstance(order, dict):
        raise Refused("bad_order", "The order is no JSON object")
    return order


def read_route_order(order: Fields) -> RouteOrder:
    """Return the order to route traffic; raises `Refused`."""
    found = order.get("routes")
    if not isinstance(found, list | tuple):
        raise Refused("bad_order", "`routes` is no list", "Say one route per instance")
    routes = tuple(read_route(route) for route in found)
    _check_sum(routes)
    return RouteOrder(
        target=text(order, "target", TARGET),
        routes=routes,
        expected_generation=int(number(order, "expected_generation")),
        op_id=text(order, "op_id", WORD),
        sticky=text(order, "sticky", COOKIE, default=""),
        timeout_s=number(order, "timeout_s", default=30) or 30,
        slow_ms=number(order, "slow_ms", default=0),
    )


def read_route(route: object) -> Route:
    if not isinstance(route, dict):
        raise Refused("bad_order", "A route is no JSON object")
    weight = number(route, "weight")
    if weight != int(weight) or weight > FULL:
        raise Refused("bad_order", f"The weight {weight} is no number of basis points")
    address = text(route, "address", ADDRESS)
    if not 0 < int(address.rpartition(":")[2]) < 65_536:
        raise Refused("bad_order", f"The address {address} has no port")
    return Route(
        instance=text(route, "instance", WORD),
        address=address,
        version=text(route, "version", WORD, default=""),
        digest=text(route, "digest", WORD, default=""),
        weight=int(weight),
    )


def text(order: Fields, name: str, shape: re.Pattern[str], default: str | None = None) -> str:
    """Return a field of text that has this shape; empty is fine where there is a default."""
    value = order.get(name, default)
    if value == "" and default == "":
        return ""
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise Refused("bad_order", f"`{name}` is missing or not well formed: {value!r:.100}")
    return value


def number(order: Fields, name: str, default: float | None = None) -> float:
    """Return a field that is a finite number and not negative."""
    value = order.get(name, default)
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not 0 <= value < 1e15:  # type: ignore[operator]
        raise Refused("bad_order", f"`{name}` is missing or no number: {value!r:.100}")
    return value  # type: ignore[return-value]


def told(order: RouteOrder) -> Fields:
    """Return the order as JSON can hold it."""
    return asdict(order)


def _check_sum(routes: tuple[Route, ...]) -> None:
    names = [route.instance for route in routes]
    if len(set(names)) < len(names):
        raise Refused("bad_order", "An instance is named twice in the routes")
    total = sum(route.weight for route in routes)
    if total not in (0, FULL):
        raise Refused(
            "bad_weights",
            f"The weights sum to {total} basis points",
            f"Let them sum to {FULL}, or all be 0 to serve nobody",
        )
