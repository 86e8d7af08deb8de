"""Databases that are locked, full, away, damaged or newer; each is said in our words."""

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, make_url, text

from domain.delivery import Stage
from domain.errors import Misconfigured, Unavailable
from integrations import migrations, tables
from integrations.access import connect
from integrations.database import Database
from integrations.engine import parse
from starter.reads import Reads
from tests.facts import KEY, stages, start
from tests.integrations.records.rows import rows, run


async def problem_of(awaitable, kind=Unavailable):
    with pytest.raises(kind) as told:
        await awaitable
    return told.value.problem


async def test_a_locked_file_is_said_after_the_busy_timeout(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/s.db", busy_seconds=0.1)
    await database.register(start())
    with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        problem = await problem_of(database.append(stages("op", Stage.VALIDATING)))

    await database.append(stages("op", Stage.VALIDATING))
    await database.close()

    assert problem.code == "database_locked"


async def test_many_writers_do_not_wait_for_a_locked_file_one_after_another(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/s.db", busy_seconds=0.1)
    await database.register(start())
    begun: list[int] = []
    event.listen(database._access._engine, "begin", lambda _conn: begun.append(1))
    orders = [stages(f"op{number}", Stage.REGISTERED) for number in range(100)]
    with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = await asyncio.gather(*map(database.append, orders), return_exceptions=True)
    await database.close()

    assert {type(answer) for answer in told} == {Unavailable}
    assert len(begun) < 10


async def test_a_locked_server_is_said_after_the_busy_timeout(postgres):
    url = postgres.new()
    database = Database(url, busy_seconds=0.1)
    await database.register(start())
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(parse(url))
        async with engine.begin() as conn:
            await conn.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
            holding.set()
            await release.wait()
        await engine.dispose()

    other = asyncio.create_task(hold())
    await holding.wait()
    problem = await problem_of(database.append(stages("op", Stage.VALIDATING)))
    release.set()
    await other
    await database.append(stages("op", Stage.VALIDATING))
    await database.close()

    assert problem.code == "database_locked"


async def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    database = Database(url)
    await database.register(start())
    pages = [1]
    event.listen(
        database._access._engine,
        "begin",
        lambda conn: conn.exec_driver_sql(f"PRAGMA max_page_count={pages[0]}"),
    )
    long = stages("op", Stage.VALIDATING).but(actor="a" * 100_000)

    problem = await problem_of(database.append(long))
    pages[0] = 1_000_000
    await database.append(long)
    await database.close()

    assert (problem.code, "full" in problem.message) == ("disk_full", True)
    assert [row["seq"] for row in await rows(url, tables.events)] == [1, 2]


async def test_a_server_that_is_away_is_said():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = Database(f"postgresql://ada:secret@127.0.0.1:{port}/slipway")

    problem = await problem_of(database.open())
    await database.close()

    assert problem.code == "database_unreachable"
    assert "secret" not in problem.message
    async with Reads(f"postgresql://ada@127.0.0.1:{port}/slipway") as reads:
        assert (await problem_of(reads.record(KEY))).code == "database_unreachable"


async def test_a_cut_connection_is_said_and_made_again(postgres):
    url = postgres.new()
    database = Database(url)
    await database.register(start())
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    )
    others = f"{cut} AND pid <> pg_backend_pid()"
    await run(url, lambda conn: conn.execute(text(others)).all())

    problem = await problem_of(database.append(stages("op", Stage.VALIDATING)))
    await database.append(stages("op", Stage.VALIDATING))
    await database.close()

    assert problem.code == "database_unreachable"
    assert [row["seq"] for row in await rows(url, tables.events)] == [1, 2]


async def test_a_database_that_does_not_exist_is_said(postgres):
    url = make_url(postgres.new()).set(database="nowhere").render_as_string(False)
    database = Database(url)

    problem = await problem_of(database.open(), Misconfigured)
    await database.close()

    assert problem.code == "database_refused"


async def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "s.db").write_bytes(b"not a database" * 1_000)
    database = Database(f"sqlite:///{tmp_path}/s.db")

    problem = await problem_of(database.open(), Misconfigured)
    await database.close()

    assert problem.code == "database_file"


async def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    database = Database(f"sqlite:///{tmp_path}/file/s.db")

    problem = await problem_of(database.open(), Misconfigured)
    await database.close()

    assert problem.code == "database_file"


@pytest.mark.parametrize("url", ["mysql://localhost/slipway", "not a url"])
def test_another_database_is_refused(url):
    with pytest.raises(Misconfigured) as told:
        Database(url)

    assert told.value.problem.code == "bad_database_url"


def test_the_usual_spellings_of_a_url_are_understood():
    assert parse("postgres://h/d?sslmode=require").render_as_string() == (
        "postgresql+asyncpg://h/d?ssl=require"
    )
    assert parse("sqlite+aiosqlite:////srv/s.db").database == "/srv/s.db"


async def test_the_file_belongs_to_its_owner_only(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/home/s.db")
    await database.ping()

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "home").iterdir()}
    await database.close()

    assert set(modes.values()) == {0o600}
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


async def test_many_workers_may_start_at_once(url):
    databases = [Database(url, busy_seconds=10) for _ in range(4)]

    await asyncio.gather(*(database.open() for database in databases))
    await asyncio.gather(*(database.close() for database in databases))

    assert await run(url, migrations.schema_of) == tables.SCHEMA


async def test_a_newer_schema_is_refused(url):
    first = Database(url)
    await first.open()
    await first.close()
    await run(url, lambda conn: conn.execute(text("UPDATE alembic_version SET version_num='9999'")))
    database = Database(url)

    problem = await problem_of(database.open(), Misconfigured)
    await database.close()

    assert problem.code == "newer_schema"


async def test_the_migrations_lead_to_the_tables_as_they_are(database, url):
    await database.open()

    def differences(conn):
        return compare_metadata(MigrationContext.configure(conn), tables.metadata)

    assert await run(url, differences) == []


def test_the_newest_migration_is_the_schema_that_the_tables_name():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))

    assert ScriptDirectory.from_config(config).get_heads() == [tables.SCHEMA]


async def test_a_mistake_in_a_query_is_not_called_an_outage(database, url):
    await database.open()
    access = connect(parse(url), 1)

    with pytest.raises(Exception, match="nowhere") as told:
        await database._transact(lambda conn: conn.execute(text("SELECT * FROM nowhere")))
    await access.close()

    assert not isinstance(told.value, Unavailable)
