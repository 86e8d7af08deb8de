"""Bringing the tables to the schema that this release knows."""

from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text

from domain.errors import Misconfigured
from integrations.tables import SCHEMA

_LOCK = 0x736C6970_6D696772  # "slipmigr": advisory lock of PostgreSQL


def schema_of(conn: Connection) -> str:
    """Return the revision of the tables; empty: there are none yet."""
    if not inspect(conn).has_table("alembic_version"):
        return ""
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def migrate(conn: Connection) -> None:
    """Create or upgrade the tables in the transaction of `conn`, one process at a time.

    On SQLite the transaction itself is the lock. Raises `Misconfigured` (code `newer_schema`)
    when a newer release has been here.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    found = schema_of(conn)
    if found != SCHEMA:
        _upgrade(conn, found)


def _upgrade(conn: Connection, found: str) -> None:
    # Alembic is imported only when there is something to do: it costs 0.1 s
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = conn
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found and found not in known:
        raise newer(found)
    command.upgrade(config, "head")


def newer(found: str) -> Misconfigured:
    """Return the error for tables that a newer release has made."""
    return Misconfigured(
        f"The database has schema {found}, made by a newer slipway; this one knows up to {SCHEMA}",
        code="newer_schema",
        hint="Start the newer release, or use another database.",
    )
