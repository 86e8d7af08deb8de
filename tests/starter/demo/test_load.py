"""The load generator against servers of every kind: it knows what became of each request."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from domain.errors import Unavailable
from starter.demo.account import Account
from starter.demo.customers import customers
from starter.demo.load import Load
from starter.demo.traffic import asks
from tests.processes import running, until

Reply = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, version: str = "v1", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nX-Slipway-Version: {version}\r\n{more}"
    return f"{head}Content-Length: 2\r\n\r\n{{}}".encode()


class Server:
    """Answers the n-th request as `reply` does."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.asked: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(head.decode())
                await self._reply(len(self.asked), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[Server]:
    server = Server(reply)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


async def well(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(200))


async def loaded(port: int, folder: Path, number: int = 100) -> Account:
    """Send so many requests quickly; the account of them."""
    load = Load("127.0.0.1", port, 2_000, islice(asks(1, 2_000), number))
    return await load.run(asyncio.Event(), folder / "load.json")


async def test_each_request_is_sent_once_and_answered(tmp_path):
    async with serving(well) as server:
        account = await loaded(server.port, tmp_path)

    assert (account.started, account.completed, account.aborted) == (100, 100, 0)
    assert (account.sent, len(server.asked)) == (100, 100)
    assert account.balanced
    assert account == Account.model_validate_json((tmp_path / "load.json").read_text())


async def test_a_request_says_which_customer_it_is_of(tmp_path):
    async with serving(well) as server:
        await loaded(server.port, tmp_path, 1)

    assert f"X-Forwarded-For: {next(asks(1, 2_000)).client}\r\n" in server.asked[0]


async def test_answers_are_told_apart_by_version_and_kind(tmp_path):
    async def mixed(number: int, writer: asyncio.StreamWriter) -> None:
        status = (200, 503, 404, 200)[number % 4]
        writer.write(answer(status, "v2" if status == 503 else "v1"))

    async with serving(mixed) as server:
        account = await loaded(server.port, tmp_path)

    v1, v2 = account.versions["v1"], account.versions["v2"]
    assert (v1.good, v1.refused, v1.bad) == (50, 25, 0)
    assert (v2.good, v2.refused, v2.bad) == (0, 0, 25)
    assert account.began_ms <= v2.first_bad_ms <= v2.last_bad_ms <= account.now_ms
    assert (v1.first_bad_ms, v1.last_bad_ms) == (0, 0)


async def test_an_answer_that_names_no_version_is_not_taken_for_the_one_before(tmp_path):
    async def named_once(number: int, writer: asyncio.StreamWriter) -> None:
        named = answer(200)
        writer.write(named if number == 1 else named.replace(b"X-Slipway-Version: v1\r\n", b""))

    async with serving(named_once) as server:
        account = await loaded(server.port, tmp_path)

    assert {name: each.good for name, each in account.versions.items()} == {"v1": 1, "": 99}


async def test_a_lost_answer_is_aborted_and_not_asked_for_again(tmp_path):
    async def broken(number: int, writer: asyncio.StreamWriter) -> None:
        if number % 5:
            writer.write(answer(200))
        else:
            writer.write(answer(200)[:-1])
            writer.close()

    async with serving(broken) as server:
        account = await loaded(server.port, tmp_path)

    assert (account.started, account.completed, account.aborted) == (100, 80, 20)
    assert (account.sent, len(server.asked)) == (100, 100)
    assert account.balanced


async def test_nonsense_is_no_answer(tmp_path):
    async def nonsense(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n\r\n")

    async with serving(nonsense) as server:
        account = await loaded(server.port, tmp_path, 5)

    assert (account.started, account.completed, account.aborted) == (5, 0, 5)


async def test_a_connection_that_is_to_be_closed_is_not_used_again(tmp_path):
    async def last(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, more="Connection: close\r\n"))

    async with serving(last) as server:
        account = await loaded(server.port, tmp_path)

    assert (account.completed, account.aborted) == (100, 0)


async def test_where_nobody_listens_nothing_is_sent(tmp_path, unused_tcp_port):
    account = await loaded(unused_tcp_port, tmp_path, 5)

    assert (account.started, account.sent, account.aborted) == (5, 0, 5)
    assert account.balanced


async def test_slow_answers_hold_no_request_back(tmp_path):
    all_asked = asyncio.Event()

    async def late(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 30:
            all_asked.set()
        await all_asked.wait()
        writer.write(answer(200))

    async with serving(late) as server:
        account = await loaded(server.port, tmp_path, 30)

    assert (account.completed, account.aborted) == (30, 0)


async def test_the_process_accounts_for_all_when_it_is_ended(tmp_path):
    async with serving(well) as server, customers(tmp_path, server.port, 500) as load:
        await until(lambda: _completed(tmp_path) > 50)
        account = await load.end()

    assert account.balanced
    assert account.completed == account.sent == len(server.asked)
    assert not running(str(tmp_path))


async def test_the_process_ends_with_the_block_whatever_happens(tmp_path):
    with pytest.raises(ZeroDivisionError):
        async with serving(well) as server, customers(tmp_path, server.port, 500):
            raise ZeroDivisionError

    assert not running(str(tmp_path))


async def test_a_load_generator_that_fails_says_why(tmp_path):
    async with customers(tmp_path, 1, rate=0) as load:
        with pytest.raises(Unavailable, match="exit code 1: ZeroDivisionError"):
            await load.end()


async def test_work_is_done_while_customers_ask(tmp_path):
    async def work() -> str:
        await until(lambda: _completed(tmp_path) > 10)
        return "done"

    async with serving(well) as server, customers(tmp_path, server.port, 500) as load:
        assert await load.serve(work()) == "done"
        assert (await load.end()).balanced


async def test_work_ends_when_the_customers_are_gone(tmp_path):
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with customers(tmp_path, 1, rate=0) as load:
        with pytest.raises(Unavailable, match="exit code 1"):
            await load.serve(work())

    assert ended.is_set()


def _completed(folder: Path) -> int:
    report = folder / "load.json"
    if not report.exists():
        return 0
    return Account.model_validate(json.loads(report.read_text())).completed
