"""Deployed services at the end of `slipway up`: which go on, which were ended, said to a person."""

import asyncio
from pathlib import Path

from domain.deployment import Instance
from domain.record import Record
from starter.hosting import Host


class Left(Record):
    """What happened to the services of a home."""

    ended: tuple[str, ...] = ()
    going_on: tuple[str, ...] = ()
    addresses: dict[str, str] = {}  # target: where it is reached
    unwatched: bool = False  # there are services, and no supervisor that could say how they are

    def lines(self) -> tuple[str, ...]:
        """Say it to a person."""
        if self.ended:
            return (f"{_count(self.ended)} ended; the next `slipway up` starts what was ended",)
        if self.unwatched:
            return (
                "services may go on, but their supervisor does not run: `slipway up` starts it, "
                "`slipway down --services` ends everything",
            )
        if not self.going_on and not self.addresses:
            return ()
        where = (f"  {target} at {address}" for target, address in self.addresses.items())
        return (
            f"what was deployed goes on ({_count(self.going_on)}):",
            *where,
            "`slipway down --services` ends that too",
        )


def leave_or_end(home: Path, *, end: bool) -> Left:
    """Leave the services of a home running, or end them; raises `Unavailable` where that fails."""
    return asyncio.run(_end(Host(home)) if end else _leave(Host(home)))


async def _end(host: Host) -> Left:
    return Left(ended=_names(await host.end_services()))


async def _leave(host: Host) -> Left:
    state = await host.status()
    if state is None:
        return Left(unwatched=host.left_something())
    if not state.instances and not state.targets:
        await host.end_idle()
        return Left()
    return Left(going_on=_names(await host.services()), addresses=state.targets)


def _names(found: tuple[Instance, ...]) -> tuple[str, ...]:
    return tuple(f"{each.target} ({each.instance})" for each in found)


def _count(names: tuple[str, ...]) -> str:
    return f"{len(names)} instance{'s' if len(names) != 1 else ''}"
