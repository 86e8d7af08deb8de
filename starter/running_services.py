"""What runs on this machine, asked of the host itself: also while Temporal is down."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from domain.deployment import Instance
from domain.errors import Rejected, Unavailable
from domain.hosting import HostState
from domain.record import Record
from integrations.host_sockets import Sockets

_PATIENCE = 120.0  # seconds until a restarted instance is ready
_LOOK = 0.1
_SETTLED = ("ready", "crash_loop", "gone")


class ServiceLine(Record):
    """One instance, and its share of the traffic in basis points; None: the edge is away."""

    instance: Instance
    weight: int | None = None


class Seen(Record):
    """All that the host looks after."""

    host: HostState
    services: tuple[ServiceLine, ...] = ()


def look(home: Path, which: str = "") -> Seen:
    """Return what runs; raises `Unavailable` without a host, `Rejected` when nothing fits."""
    return asyncio.run(_look(Sockets(home / "host"), which))


async def _look(sockets: Sockets, which: str) -> Seen:
    host = await sockets.status()
    found = chosen(await sockets.instances(), which) if which else await sockets.instances()
    shares: dict[str, int | None] = {}
    for target in {each.target for each in found}:
        mine = [each.instance for each in found if each.target == target]
        shares |= await _shares(sockets, target, mine)
    ordered = sorted(found, key=lambda each: (each.target, each.instance))
    lines = (ServiceLine(instance=each, weight=shares.get(each.instance)) for each in ordered)
    return Seen(host=host, services=tuple(lines))


async def _shares(sockets: Sockets, target: str, names: list[str]) -> dict[str, int | None]:
    try:
        _, routes = await sockets.routes(target)
    except Unavailable:
        return {}
    found = {route.instance: route.weight for route in routes}
    return {name: found.get(name, 0) for name in names}


def chosen(found: tuple[Instance, ...], which: str) -> tuple[Instance, ...]:
    """Return the instances that a word names: exactly, else by the beginning, else by a part.

    Raises `Rejected` when there is none.
    """
    fits: tuple[Callable[[str], bool], ...] = (
        lambda name: name == which,
        lambda name: name.startswith(which),
        lambda name: which in name,
    )
    for fit in fits:
        if named := tuple(each for each in found if fit(each.instance) or fit(each.target)):
            return named
    known = ", ".join(sorted({each.target for each in found})) or "nothing"
    raise Rejected(
        f"no service that runs here is called {which!r}",
        code="unknown_service",
        hint=f"What runs: {known}.",
    )


def restart_all(home: Path, which: str, tell: Callable[[str], None]) -> tuple[Instance, ...]:
    """Restart what a word names, one after the other; return how each is after.

    Stops at the first one that does not become ready. Raises what `look` raises, and `Rejected`
    when the word names instances of several targets.
    """
    return asyncio.run(_restart_all(Sockets(home / "host"), which, tell))


async def _restart_all(
    sockets: Sockets, which: str, tell: Callable[[str], None]
) -> tuple[Instance, ...]:
    found = _of_one(chosen(await sockets.instances(), which), which)
    ended: list[Instance] = []
    for each in found:
        tell(f"restarting {each.instance}")
        ended.append(await _restart(sockets, each))
        if ended[-1].state != "ready":
            break
    return tuple(ended)


def _of_one(found: tuple[Instance, ...], which: str) -> tuple[Instance, ...]:
    """Return the instances, which must be of one target."""
    if len(targets := sorted({each.target for each in found})) > 1:
        raise Rejected(
            f"{which!r} names several services: {', '.join(targets)}",
            code="ambiguous",
            hint="Say one of them.",
        )
    return found


def forget_all(home: Path, which: str, tell: Callable[[str], None]) -> str:
    """End a service for good: its instances stop, its port is free, no `up` starts it again.

    Return its target. Raises what `restart_all` raises.
    """
    return asyncio.run(_forget_all(Sockets(home / "host"), which, tell))


async def _forget_all(sockets: Sockets, which: str, tell: Callable[[str], None]) -> str:
    found = _of_one(chosen(await sockets.instances(), which), which)
    target = found[0].target
    for each in await sockets.instances(target):
        tell(f"stopping {each.instance}")
        await sockets.stop(each.instance)
    await sockets.forget(target)
    return target


async def _restart(sockets: Sockets, before: Instance) -> Instance:
    """Restart one and wait until it is ready, or will not be."""
    await sockets.restart(before.instance)
    deadline = time.monotonic() + _PATIENCE
    while True:
        seen = await sockets.instances(before.target)
        now = next((each for each in seen if each.instance == before.instance), None)
        if now is None:
            return before.but(state="gone")
        fresh = now.pid not in (0, before.pid)
        failed = now.state == "crash_loop" or (now.state == "down" and fresh)
        if failed or (fresh and now.state in _SETTLED) or time.monotonic() > deadline:
            return now
        await asyncio.sleep(_LOOK)
