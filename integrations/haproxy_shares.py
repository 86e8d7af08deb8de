"""Shares of traffic for HAProxy: a map from a random number to an instance, and weights.

Each request draws a number below `FULL` and goes where the map says, so a share is exact to the
basis point and holds from the first request on. HAProxy's own round robin does neither: weights
end at 256, and after a change it may give hundreds of requests to one server before it comes to
the other. Its weights count for requests that were passed on by an instance out of reach.
"""

import re
from collections.abc import Iterable
from itertools import accumulate

from domain.deployment import FULL, Route

HEAVIEST = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/-]{0,127}")  # without what its command line reads

Entries = tuple[tuple[str, str], ...]


def routes_map(routes: Iterable[Route]) -> Entries:
    """Return a range of numbers, `first:last`, for each instance that gets traffic."""
    weighed = [route for route in routes if route.weight]
    ends = accumulate(route.weight for route in weighed)
    return tuple(
        (f"{end - route.weight}:{end - 1}", route.instance)
        for route, end in zip(weighed, ends, strict=True)
    )


def shares(entries: Entries) -> dict[str, int]:
    """Return the basis points that a map gives to each instance."""
    found: dict[str, int] = {}
    for numbers, instance in entries:
        first, _, last = numbers.partition(":")
        found[instance] = found.get(instance, 0) + int(last or first) - int(first) + 1
    return found


def versions_map(routes: Iterable[Route]) -> Entries:
    """Return the version that answers of an instance carry."""
    return tuple(
        (route.instance, route.version) for route in routes if _NAME.fullmatch(route.version)
    )


def asked_map(routes: Iterable[Route]) -> Entries:
    """Return the instance that a tester gets who asks for it, or for a version."""
    named = sorted(routes, key=lambda route: route.weight)
    found = {route.version: route.instance for route in named if _NAME.fullmatch(route.version)}
    found |= {route.instance: route.instance for route in named}
    return tuple(found.items())


def weight(route: Route, heaviest: int = FULL) -> int:
    """Return a weight of HAProxy, where the largest share of the target is `heaviest`."""
    return max(1, round(route.weight * HEAVIEST / heaviest)) if route.weight else 0
