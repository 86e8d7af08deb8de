"""WebSockets pass through, and are ended when their instance drains."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from domain.hosting import Drain
from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import TARGET, App, Call, Edge, exchange, get, read_answer, reply
from tests.processes import until

WANTS = ("Connection: Upgrade", "Upgrade: chat")


@pytest_asyncio.fixture
async def echo(edge: Edge) -> AsyncIterator[App]:
    """A WebSocket server of the library that everybody uses."""

    async def handle(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async with serve(handle, "127.0.0.1", 0, max_size=None) as server:
        app = App("echo")
        host, port = next(iter(server.sockets)).getsockname()
        app.address = f"{host}:{port}"
        await edge.route({app: 10_000})
        yield app


async def test_messages_pass_both_ways(edge: Edge, echo: App):
    url = edge.url.replace("http", "ws")
    async with connect(url, max_size=None) as one, connect(url, max_size=None) as two:
        for socket, message in ((one, "hello"), (two, b"\0" * 3_000_000), (one, "again")):
            await socket.send(message)
            assert await socket.recv() == message
        version = one.response.headers["x-slipway-version"]
        counts = (await edge.observe())["echo.0"]

    assert version == "echo"
    assert (counts.started, counts.done["1xx"]) == (2, 2)


async def test_a_side_that_closes_closes_the_other(edge: Edge, echo: App):
    async with connect(edge.url.replace("http", "ws")) as socket:
        await socket.close(1000)
        await socket.wait_closed()

    drained = await edge.say(Drain(target=TARGET, instance="gone.0", deadline_s=1))
    assert drained == {"drained": True, "left": 0}


async def test_draining_ends_websockets_at_the_deadline(edge: Edge, echo: App, make_app: MakeApp):
    other = await make_app("other")
    async with connect(edge.url.replace("http", "ws")) as socket:
        await socket.send("hello")
        await socket.recv()
        await edge.route({other: 10_000, echo: 0})
        drained = await edge.say(Drain(target=TARGET, instance="echo.0", deadline_s=0.2))
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()

    assert drained == {"drained": True, "left": 0}


async def test_bytes_that_come_with_the_change_are_not_lost(edge: Edge, make_app: MakeApp):
    async def chats(call: Call) -> None:
        call.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhi"
        )
        call.writer.write(await call.reader.readexactly(5))
        call.writer.write_eof()
        await call.reader.read()

    app = await make_app("blue", chats)
    await edge.route({app: 10_000})

    raw = await exchange(edge.port, get("/", *WANTS) + b"early", eof=True)

    assert raw.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert raw.endswith(b"\r\n\r\nhiearly")
    assert app.calls[0].header("upgrade") == "chat"


async def test_a_declined_change_leaves_an_ordinary_connection(edge: Edge, app: App):
    raw = await exchange(
        edge.port, get("/1", *WANTS) + get("/2", *WANTS) + get("/3", "Connection: close")
    )

    assert raw.count(b"HTTP/1.1 200 OK") == 3
    assert [call.target for call in app.calls] == ["/1", "/2", "/3"]


async def test_what_follows_a_wish_to_change_is_no_request_until_it_is_declined(
    edge: Edge, make_app: MakeApp
):
    decide = asyncio.Event()

    async def slowly(call: Call) -> None:
        await decide.wait()
        reply(call, b"no")

    app = await make_app("blue", slowly)
    await edge.route({app: 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(get("/1", *WANTS) + get("/2"))
    writer.write(get("/3"))
    await until(lambda: len(app.calls) > 0)
    seen = len(app.calls)
    decide.set()
    answers = [await read_answer(reader) for _ in range(3)]
    writer.close()

    assert seen == 1
    assert [answer[2] for answer in answers] == [b"no"] * 3
