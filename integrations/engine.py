"""Connecting to the records: one URL, SQLite or PostgreSQL, and their errors in our words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from domain.errors import Misconfigured, Rejected, Unavailable

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+asyncpg"}


def parse(url: str) -> URL:
    """Return `url` with the driver that we ship; raises `Misconfigured` on any other database."""
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError as error:
        raise _unusable(f"The database URL is not one ({error})") from error
    backend = parsed.get_backend_name()
    if backend not in _DRIVERS:
        raise _unusable(f"slipway keeps its records in SQLite or PostgreSQL, not in {backend}")
    query = dict(parsed.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return parsed.set(drivername=_DRIVERS[backend], query=query)


def _unusable(what: str) -> Misconfigured:
    return Misconfigured(
        what,
        code="bad_database_url",
        hint="Set SLIPWAY_DATABASE_URL, for example postgresql://user@host/slipway.",
    )


def is_file(url: URL) -> bool:
    """Return whether the records are a SQLite file."""
    return url.get_backend_name() == "sqlite"


def exists(url: URL) -> bool:
    """Return whether there is a SQLite file; of a server nobody knows before it is asked."""
    return not is_file(url) or Path(url.database or "").is_file()


def shown(url: URL) -> str:
    """Return `url` for people, without a password."""
    return url.render_as_string(hide_password=True)


def create_file(url: URL) -> None:
    """Make the SQLite file and its folder, readable by their owner only."""
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Misconfigured(
            f"The database file {path} cannot be opened: {error.strerror}",
            code="database_file",
            hint="Check the folder named by SLIPWAY_HOME, its owner and its file system.",
        ) from error


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn the database's errors into ours; anything else passes unchanged."""
    try:
        yield
    except IntegrityError as error:
        raise Rejected(
            f"The records refuse a row that contradicts them: {error.orig}", code="contradiction"
        ) from error
    except (DBAPIError, OSError, TimeoutError) as error:
        raise _told(error, url) from error
    except Exception as error:
        # asyncpg's errors while connecting reach us bare; all others carry no SQLSTATE
        if getattr(error, "sqlstate", None) is None:
            raise
        raise _told(error, url) from error


def _told(error: Exception, url: URL) -> Exception:
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or name == "55P03":
        return Unavailable(
            f"The database {shown(url)} is locked by another process",
            code="database_locked",
            hint="Another program keeps it open for writing; it is tried again.",
        )
    if name in ("SQLITE_FULL", "53100"):
        return Unavailable(
            f"The disk of the database {shown(url)} is full",
            code="disk_full",
            hint="Make room; nothing is lost, what waits is tried again.",
        )
    if name in ("SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_CORRUPT"):
        return Misconfigured(
            f"The database file {url.database} cannot be used: {cause}", code="database_file"
        )
    if name.startswith("28") or name == "3D000":
        return Misconfigured(
            f"The database {shown(url)} refuses us: {cause}",
            code="database_refused",
            hint="Check user, password and database name in SLIPWAY_DATABASE_URL.",
        )
    if isinstance(error, DBAPIError) and not _passing(error, name):
        return error
    return Unavailable(
        f"The database {shown(url)} did not answer: {cause}",
        code="database_unreachable",
        hint="Check that it runs and that SLIPWAY_DATABASE_URL names it.",
    )


def _passing(error: DBAPIError, name: str) -> bool:
    """Return whether the error lies in the connection or the server, not in what was asked."""
    if name.startswith("SQLITE_"):
        return name.startswith("SQLITE_IOERR")
    return error.connection_invalidated or name[:2] in ("", "08", "40", "53", "57")
