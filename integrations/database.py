"""Database: the records of slipway in a SQLite file or in PostgreSQL."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, func, select

from domain.ledger import EffectRow, RecordFacts, Registered, RegisterIdea
from integrations import effects, recording
from integrations.access import connect
from integrations.effects import Intent
from integrations.engine import create_file, is_file, parse, told
from integrations.migrations import migrate
from integrations.rollout_records import RolloutRecords

T = TypeVar("T")
_LOCK = 0x736C6970_77726974  # "slipwrit": advisory lock of PostgreSQL, one writer at a time


def now_ms() -> int:
    """Return milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000


class Database:
    """Writes the records. Several processes may share one database.

    `url` is a SQLAlchemy URL of SQLite or PostgreSQL, `busy_seconds` how long a writer waits
    for another one. Methods raise `Unavailable` (locked, full, unreachable), `Rejected` and
    `Misconfigured`; of a cancelled call
    either all is on record or nothing. `rollouts` writes what has no entry in the audit chain.
    """

    def __init__(
        self, url: str, busy_seconds: float = 5, clock: Callable[[], int] = now_ms
    ) -> None:
        self._url = parse(url)
        self._access = connect(self._url, busy_seconds)
        self._clock = clock
        self._opened = False
        self._opening = asyncio.Lock()
        self.rollouts = RolloutRecords(self._write)

    async def open(self) -> None:
        """Create or upgrade the tables; every other method does so by itself, once."""
        async with self._opening:
            if self._opened:
                return
            if is_file(self._url):
                create_file(self._url)
            await self._transact(migrate)
            self._opened = True

    async def close(self) -> None:
        """Let go of the database."""
        await self._access.close()

    async def ping(self) -> None:
        """Raise what keeps the database from being used."""
        await self._write(lambda conn: conn.execute(select(1)).scalar())

    async def register(self, order: RegisterIdea) -> Registered:
        """Make an idea exist, or say whose its key is already."""
        return await self._write(partial(recording.register, order=order))

    async def append(self, order: RecordFacts) -> None:
        """Record facts and their audit entries in one transaction, once per operation id.

        Raises `Rejected` with code `unknown_idea` or `illegal_transition`.
        """
        await self._write(partial(recording.append, order=order))

    async def begin(
        self,
        op: str,
        *,
        key: str,
        kind: str,
        scopes: tuple[str, ...],
        subject_sha256: str,
        intent: str,
        approvals: tuple[str, ...] = (),
    ) -> EffectRow:
        """Write the intent row in the transaction that checks switches and consumes approvals.

        Raises `Rejected` with code `switched_off`, `not_approved` or `already_consumed`.
        """
        order = Intent(op, key, kind, scopes, subject_sha256, intent, approvals, self._clock())
        return await self._write(partial(effects.begin, order=order))

    async def finish(self, op: str, readback: str) -> None:
        """Record what was read back; raises `Rejected` (`readback_differs`, `unknown_effect`)."""
        at_ms = self._clock()
        await self._write(partial(effects.finish, op=op, readback=readback, at_ms=at_ms))

    async def switch(self, scope: str, *, off: bool, actor: str, reason: str) -> None:
        """Switch the effects of a scope (`all`, `repository/<id>`, `idea/<key>`) off or on."""
        order = partial(effects.switch, scope=scope, off=off, actor=actor, reason=reason)
        await self._write(partial(order, at_ms=self._clock()))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        if not self._opened:
            await self.open()
        return await self._transact(partial(_alone, work=work))

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        with told(self._url):
            return await self._access.run(work)


def _alone(conn: Connection, work: Callable[[Connection], T]) -> T:
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    return work(conn)
