"""Starting an idea once: the database decides whether it exists, the server refuses a second."""

import asyncio

from config.settings import Settings
from domain.delivery import TERMINAL, StartDelivery
from domain.errors import Rejected
from domain.idea import Idea, Mode
from domain.record import Record
from domain.record_view import IdeaLine
from starter.client import Deliveries
from starter.reads import Reads

_LONGEST_KEY = 100
_LOOKS, _PAUSE = 150, 0.03


class Begun(Record):
    """An idea that runs or has run; `started` is false when it was there before."""

    key: str
    started: bool
    workflow_id: str


async def begin(chosen: Settings, reads: Reads, idea: Idea, *, again: bool) -> Begun:
    """Start an idea, or find that the same was started before.

    Raises `Rejected` when the key belongs to another specification, `Unavailable` when the
    server or the database does not answer.
    """
    idea = await _named(reads, idea)
    line = await reads.find(idea.key)
    if line is not None and again and line.state in TERMINAL:
        idea = idea.but(key=await _next_key(reads, idea.key))
        line = None
    if line is not None:
        _refuse_other(line.spec_digest, line.repository, idea)
        return _begun(idea.key, started=False)
    deliveries = await Deliveries.connect(chosen)
    started = await deliveries.start(StartDelivery(idea=idea, patience=deliveries.patience))
    if not started:
        _refuse_other(await deliveries.digest_of(idea.key), idea.repository.id, idea)
    await _registered(reads, deliveries, idea.key)
    return _begun(idea.key, started=started)


async def _named(reads: Reads, idea: Idea) -> Idea:
    """Give every dry run and shadow run an id of its own."""
    if idea.mode is Mode.LIVE:
        return idea
    suffix = "dry" if idea.mode is Mode.DRY_RUN else "shadow"
    key = f"{idea.key[: _LONGEST_KEY - 12]}-{suffix}"
    return idea.but(key=key if await reads.find(key) is None else await _next_key(reads, key))


async def _next_key(reads: Reads, key: str) -> str:
    """Return key-2, key-3, ...: the first that is free; raises `Rejected` when one still runs."""
    number = 2
    while (line := await reads.find(name := f"{key[: _LONGEST_KEY - 5]}-{number}")) is not None:
        _refuse_running(line)
        number += 1
    return name


def _refuse_running(line: IdeaLine) -> None:
    if line.state not in TERMINAL:
        raise Rejected(
            f"{line.key} still runs ({line.state})",
            code="still_runs",
            path=line.key,
            hint=f"`slipway idea watch {line.key}` follows it.",
        )


def _refuse_other(digest: str, repository: str, idea: Idea) -> None:
    if digest != idea.spec_digest or repository != idea.repository.id:
        raise Rejected(
            f"The key {idea.key} belongs to another specification or repository",
            code="key_taken",
            path=idea.key,
            hint="Give this idea another key, or leave the key out.",
        )


async def _registered(reads: Reads, deliveries: Deliveries, key: str) -> None:
    """Wait until the idea is on record, so that the next command finds it.

    Not for ever: without a worker it is registered when one comes.
    """
    for _ in range(_LOOKS):
        if await reads.find(key) is not None:
            return
        await asyncio.sleep(_PAUSE)
    if broken := await deliveries.failure_of(key):
        raise Rejected(f"{key} could not begin: {broken}", code="broken_start", path=key)


def _begun(key: str, *, started: bool) -> Begun:
    return Begun(key=key, started=started, workflow_id=f"idea/{key}")
