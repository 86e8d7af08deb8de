"""Running transactions: a SQLite file in a thread of its own, PostgreSQL on the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from integrations.engine import is_file

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")
_GROUP = 64  # most transactions that share one commit


class Access(Protocol):
    """One connection to the records, one transaction at a time; the others wait in line."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, after its transaction is committed."""
        ...

    async def close(self) -> None: ...


def connect(url: URL, busy_seconds: float, *, read_only: bool = False) -> Access:
    """Return access to the database at `url`; nothing is opened before the first transaction."""
    if is_file(url):
        return File(url, busy_seconds, read_only=read_only)
    return Server(url, busy_seconds, read_only=read_only)


class _Call(NamedTuple):
    """Work that waits for its transaction, and the one who waits for its result."""

    work: Callable[[Connection], Any]
    waiting: Future[Any]


class File:
    """A SQLite file. Whole transactions run in one thread; those that wait share the next one.

    A driver that hops to the thread and back for each statement, as aiosqlite does, costs
    three times the processor time; a commit of its own for each of many writers costs an
    fsync each.
    """

    def __init__(self, url: URL, busy_seconds: float, *, read_only: bool) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records")
        self._waiting: deque[_Call] = deque()
        self._most = 1 if read_only else _GROUP
        self._engine = create_engine(
            url, connect_args={"timeout": busy_seconds}, poolclass=StaticPool
        )
        begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        event.listen(self._engine, "connect", _read_only if read_only else _durable)
        event.listen(self._engine, "begin", lambda conn: _begin(conn, begin))

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns. It is run again if another one of its group fails."""
        call = _Call(work, Future())
        self._waiting.append(call)
        self._thread.submit(self._next)
        return cast(T, await asyncio.wrap_future(call.waiting))

    def _next(self) -> None:
        calls = self._take()
        try:
            results = self._commit(calls)
        except OperationalError as error:
            _fail(calls, error)  # locked or full: so it would be for each of them
        except Exception as error:
            if len(calls) == 1:
                _fail(calls, error)
            else:
                self._one_by_one(calls)
        else:
            for call, result in zip(calls, results, strict=True):
                call.waiting.set_result(result)

    def _take(self) -> list[_Call]:
        calls: list[_Call] = []
        while self._waiting and len(calls) < self._most:
            call = self._waiting.popleft()
            if call.waiting.set_running_or_notify_cancel():
                calls.append(call)
        return calls

    def _commit(self, calls: list[_Call]) -> list[Any]:
        if not calls:
            return []
        with self._engine.begin() as conn:
            return [call.work(conn) for call in calls]

    def _one_by_one(self, calls: list[_Call]) -> None:
        for call in calls:
            try:
                call.waiting.set_result(self._commit([call])[0])
            except Exception as error:
                _fail([call], error)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()


def _fail(calls: list[_Call], error: Exception) -> None:
    for call in calls:
        call.waiting.set_exception(error)


def _durable(connection: DBAPIConnection, _record: object) -> None:
    _set_up(connection, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


def _read_only(connection: DBAPIConnection, _record: object) -> None:
    _set_up(connection, "query_only=ON")


def _set_up(connection: DBAPIConnection, *pragmas: str) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(conn: Connection, begin: str) -> None:
    conn.exec_driver_sql(begin)


class Server:
    """A PostgreSQL server."""

    def __init__(self, url: URL, busy_seconds: float, *, read_only: bool) -> None:
        settings = {
            "application_name": "slipway",
            "lock_timeout": str(round(busy_seconds * 1000)),
            "synchronous_commit": "on",
            "default_transaction_read_only": "on" if read_only else "off",
        }
        self._arguments = {"timeout": 10, "command_timeout": 60, "server_settings": settings}
        self._url = url
        self._made: AsyncEngine | None = None

    @property
    def _engine(self) -> "AsyncEngine":
        if self._made is None:
            # Imported here, for it costs commands that read a file 0.1 s
            from sqlalchemy.ext.asyncio import create_async_engine

            self._made = create_async_engine(
                self._url,
                connect_args=self._arguments,
                pool_size=1,
                max_overflow=0,
                pool_timeout=60,
            )
        return self._made

    async def run(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as conn:
            return await conn.run_sync(work)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.dispose()
