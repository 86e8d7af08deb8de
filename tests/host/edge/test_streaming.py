"""Bodies stream both ways: nobody is sent more than they read."""

import asyncio
import hashlib
import http.server
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from threading import Thread

import httpx2
import pytest
import pytest_asyncio

from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import PATIENCE, App, Call, Edge, get, read_answer, reply
from tests.processes import until

MIB = 1 << 20
BIG = 64 * MIB

# An app for a real server of others: it says what it got, in pieces.
ECHO = """
import hashlib
async def app(scope, receive, send):
    assert scope["type"] == "http"
    total, seen, more = hashlib.sha256(), 0, True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        total.update(event.get("body", b""))
        seen += len(event.get("body", b""))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-seen", b"%d" % seen)]})
    for piece in (total.hexdigest()[:32], total.hexdigest()[32:]):
        await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
    await send({"type": "http.response.body"})
"""  # noqa: E501


@pytest_asyncio.fixture
async def uvicorn(tmp_path: Path) -> AsyncIterator[App]:
    """A real server with its usual settings, as an app without calls."""
    (tmp_path / "echo.py").write_text(ECHO)
    app = App("uvicorn")
    await app.open()
    await app.close()
    port = app.address.rpartition(":")[2]
    words = [sys.executable, "-m", "uvicorn", "echo:app", "--port", port, "--log-level", "error"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = await asyncio.to_thread(subprocess.Popen, words, env=environment)
    try:
        while not await _listens(int(port)):
            assert process.poll() is None
        yield app
    finally:
        process.kill()
        await asyncio.to_thread(process.wait, PATIENCE)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.02)
        return False
    writer.close()
    return True


async def test_a_big_upload_reaches_a_real_server_whole(edge: Edge, uvicorn: App):
    await edge.route({uvicorn: 10_000})
    piece = os.urandom(MIB)
    before = edge.resident_kb()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield piece

    async with httpx2.AsyncClient(timeout=60) as client:
        in_chunks = await client.post(edge.url, content=pieces())
        with_length = await client.post(edge.url, content=piece * 8)

    whole = hashlib.sha256()
    for _ in range(64):
        whole.update(piece)
    assert in_chunks.text == whole.hexdigest()
    assert in_chunks.headers["x-seen"] == str(BIG)
    assert with_length.headers["x-seen"] == str(8 * MIB)
    assert edge.resident_kb() - before < 8 * 1_024


async def test_a_slow_reader_slows_the_app_down(edge: Edge, make_app: MakeApp):
    sent = 0

    async def pours(call: Call) -> None:
        nonlocal sent
        call.writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n".encode())
        for _ in range(BIG // MIB):
            call.writer.write(bytes(MIB))
            await call.writer.drain()
            sent += MIB

    await edge.route({await make_app("blue", pours): 10_000})
    before = edge.resident_kb()
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=65_536)
    writer.write(get("/", "Connection: close"))
    await reader.readuntil(b"\r\n\r\n")
    await _stands_still(lambda: sent)
    stuck, grown = sent, edge.resident_kb() - before
    got = 0
    while piece := await reader.read(MIB):
        got += len(piece)
    writer.close()

    assert stuck < BIG / 2
    assert grown < 8 * 1_024
    assert got == BIG
    assert (await edge.observe())["blue.0"].done["2xx"] == 1


async def test_a_slow_app_slows_the_client_down(edge: Edge, make_app: MakeApp):
    read_on = asyncio.Event()

    async def waits(call: Call) -> None:
        await read_on.wait()
        left = BIG
        while left:
            left -= len(await call.reader.read(min(left, MIB)))
        reply(call, b"all")

    await edge.route({await make_app("blue", waits, streams=True): 10_000})
    before = edge.resident_kb()
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BIG}\r\n\r\n".encode())
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(BIG // MIB):
            writer.write(bytes(MIB))
            await writer.drain()
            sent += MIB

    sending = asyncio.create_task(send())
    await _stands_still(lambda: sent)
    stuck, grown = sent, edge.resident_kb() - before
    read_on.set()
    answer = await read_answer(reader)
    await sending
    writer.close()

    assert stuck < BIG / 2
    assert grown < 8 * 1_024
    assert answer[2] == b"all"


async def _stands_still(number) -> None:
    """Wait until a number that grew has stayed the same for a while."""
    loop, last, since = asyncio.get_running_loop(), -1, 0.0

    def still() -> bool:
        nonlocal last, since
        if number() != last:
            last, since = number(), loop.time()
        return last > 0 and loop.time() - since > 0.3

    await until(still)


async def test_pieces_arrive_as_they_come(edge: Edge, make_app: MakeApp):
    heard = asyncio.Event()

    async def speaks(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        call.writer.write(b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await heard.wait()
        call.writer.write(b"6\r\nsecond\r\n0\r\n\r\n")

    await edge.route({await make_app("blue", speaks): 10_000})

    async with httpx2.AsyncClient() as client, client.stream("GET", edge.url) as answer:
        pieces = answer.aiter_raw()
        first = await anext(pieces)
        heard.set()
        second = await anext(pieces)

    assert (first, second) == (b"first", b"second")


async def test_a_reader_that_stops_is_ended(make_edge, make_app: MakeApp):
    edge = await make_edge("body_idle_s=0.3")

    async def pours(call: Call) -> None:
        call.writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n".encode())
        for _ in range(BIG // MIB):
            call.writer.write(bytes(MIB))
            await call.writer.drain()

    await edge.route({await make_app("blue", pours): 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=65_536)
    writer.write(get())
    await reader.readuntil(b"\r\n\r\n")

    async def aborted() -> int:
        return (await edge.observe())["blue.0"].done["aborted"]

    async with asyncio.timeout(PATIENCE):
        while not await aborted():
            pass
    writer.close()
    counts = (await edge.observe())["blue.0"]
    assert counts.started == sum(counts.done.values()) == 1


async def test_an_app_that_falls_silent_in_its_answer_is_a_timeout(make_edge, make_app: MakeApp):
    edge = await make_edge("answer_idle_s=0.3")
    never = asyncio.Event()

    async def stops(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await never.wait()

    await edge.route({await make_app("blue", stops): 10_000})

    async with httpx2.AsyncClient() as client:
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await client.get(edge.url)

    assert (await edge.observe())["blue.0"].done["timeout"] == 1


async def test_files_of_the_standard_library_server_arrive(edge: Edge, tmp_path: Path):
    """`http.server` speaks HTTP/1.0 and closes after each answer."""
    (tmp_path / "page").write_bytes(os.urandom(300_000))
    handler = partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    app = App("std", address=f"127.0.0.1:{server.server_port}")
    await edge.route({app: 10_000})

    async with httpx2.AsyncClient() as client:
        answers = [await client.get(f"{edge.url}/page") for _ in range(10)]
        missing = await client.get(f"{edge.url}/none")
    await asyncio.to_thread(server.shutdown)
    server.server_close()
    await asyncio.to_thread(thread.join)

    page = (tmp_path / "page").read_bytes()
    assert all(answer.content == page for answer in answers)
    assert answers[0].headers["x-slipway-version"] == "std"
    assert missing.status_code == 404
    counts = (await edge.observe())["std.0"]
    assert (counts.started, counts.done["2xx"], counts.done["4xx"]) == (11, 10, 1)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    "words", [["-T", "{file}"], ["--data-binary", "@{file}"], ["-F", "f=@{file}"]]
)
async def test_curl_uploads_with_its_own_manners(
    edge: Edge, app: App, tmp_path: Path, words: list[str]
):
    """curl asks for `100 Continue` with large bodies, and goes on alone after a second."""
    file = tmp_path / "up"
    file.write_bytes(b"u" * 2_000_000)
    filled = [word.format(file=file) for word in words]

    curl = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-w", "%{http_code}", *filled, edge.url + "/", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await curl.communicate()

    assert out == b"blue200"
    assert len(app.calls[-1].body) >= 2_000_000
