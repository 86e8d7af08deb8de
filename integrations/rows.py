"""Rows in and out: text that every database holds, JSON columns, insert or update."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, Table, insert, update

from domain.audit import readable
from domain.record import Record


def document(value: Record | tuple[Record, ...] | tuple[str, ...] | None) -> str:
    """Return `value` as the JSON text of a column (ASCII, so that no character is refused)."""
    if isinstance(value, tuple):
        return json.dumps([_plain(item) for item in value])
    return json.dumps(_plain(value))


def _plain(value: Record | str | None) -> object:
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, Record) else value


def add(conn: Connection, table: Table, /, **values: object) -> None:
    """Insert one row."""
    conn.execute(insert(table), _storable(values))


def put(conn: Connection, table: Table, where: Mapping[str, object], /, **values: object) -> None:
    """Write `values` to the row with these key columns, which is made if it is missing.

    Not for concurrent writers: every caller holds the writer's lock.
    """
    if values and change(conn, table, where, **values):
        return
    add(conn, table, **where, **values)


def change(
    conn: Connection, table: Table, where: Mapping[str, object], /, **values: object
) -> bool:
    """Write `values` to the rows with these columns; false: there is none."""
    statement = update(table).values(_storable(values))
    for name, value in where.items():
        statement = statement.where(table.c[name] == value)
    return conn.execute(statement).rowcount > 0


def _storable(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: readable(value) if isinstance(value, str) else value for name, value in values.items()
    }
