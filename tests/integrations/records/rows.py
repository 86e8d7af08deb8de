"""Looking into the tables past the code under test."""

from sqlalchemy import select

from integrations.access import connect
from integrations.engine import parse


async def rows(url: str, table, **where) -> list[dict]:
    """Return the rows of a table, in the order of their first column."""
    query = select(table).order_by(*table.primary_key.columns)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    return await run(url, lambda conn: [dict(row._mapping) for row in conn.execute(query)])


async def run(url: str, work):
    access = connect(parse(url), 5)
    try:
        return await access.run(work)
    finally:
        await access.close()
