"""What is passed on, and what ends at the edge (RFC 9110 7.6, RFC 9112)."""

import asyncio

import httpx2
import pytest

from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import App, Call, Edge, exchange, get, read_answer, reply, says

ANSWER = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def _last(app: App) -> Call:
    return app.calls[-1]


async def test_hop_by_hop_fields_of_a_request_end_here(edge: Edge, app: App):
    lines = (
        "Connection: close, X-Private, Cookie",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eA==",
        "TE: trailers",
        "Trailer: X-Sum",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "X-Private: 1",
        "Cookie: a=1",
        "X-Public: 2",
    )

    await exchange(edge.port, get("/a?b=%20c", *lines))

    assert _last(app).target == "/a?b=%20c"
    assert _last(app).names() == {
        "host", "x-public", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
    }  # fmt: skip


async def test_connection_can_not_take_away_what_an_app_must_trust(edge: Edge, app: App):
    lines = (
        "Connection: close, X-Forwarded-For, Host, Content-Length, Via, Transfer-Encoding",
        "X-Forwarded-For: 192.0.2.7",
        "Content-Length: 0",
    )

    await exchange(edge.port, get("/", *lines))

    assert _last(app).header("x-forwarded-for") == "192.0.2.7, 127.0.0.1"
    assert _last(app).header("host") == "shop.test"
    assert _last(app).header("content-length") == "0"


async def test_who_the_client_is_comes_from_a_proxy_on_this_machine(edge: Edge, app: App):
    headers = {
        "X-Forwarded-For": "192.0.2.7, 198.51.100.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Real-IP": "192.0.2.7",
        "Via": "2 front",
    }
    async with httpx2.AsyncClient(headers=headers) as client:
        await client.get(edge.url)

    call = _last(app)
    assert call.header("x-forwarded-for") == "192.0.2.7, 198.51.100.1, 127.0.0.1"
    assert call.header("x-forwarded-proto") == "https"
    assert call.header("x-forwarded-host") == "shop.example"
    assert call.header("x-real-ip") == "192.0.2.7"
    assert call.header("via") == "2 front, 1.1 slipway"


async def test_lookalikes_of_what_is_checked_are_dropped(edge: Edge, app: App):
    await exchange(
        edge.port,
        get("/", "Connection: close", "X_Forwarded_For: 1.2.3.4", "Content_Length: 9", "my_key: 1"),
    )

    assert not _last(app).names() & {"x_forwarded_for", "content_length"}
    assert _last(app).header("my_key") == "1"


async def test_hop_by_hop_fields_of_an_answer_end_here(edge: Edge, make_app: MakeApp):
    raw = ANSWER + (
        b"Connection: X-Inner\r\nKeep-Alive: timeout=9\r\nX-Inner: 1\r\nX-Outer: 2\r\n"
        b"Trailer: X-Sum\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"
    )
    await edge.route({await make_app("blue", says(raw)): 10_000})

    async with httpx2.AsyncClient() as client:
        answer = await client.get(edge.url)

    assert answer.text == "ok"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-outer"] == "2"
    assert not {"x-inner", "keep-alive", "trailer", "connection"} & set(answer.headers)


@pytest.mark.parametrize(
    ("tail", "body"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"hello"),
        (CHUNKED + b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n", b"hello"),
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"\r\nhello", b"hello"),
    ],
    ids=["length", "chunked", "empty", "until close"],
)  # fmt: skip
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_bodies_of_answers_arrive_whole(
    edge: Edge, make_app: MakeApp, tail: bytes, body: bytes, version: str
):
    closes = b"Length" not in tail and b"chunked" not in tail
    await edge.route({await make_app("blue", says(ANSWER + tail, close=closes)): 10_000})

    head = f"GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"
    raw = await exchange(edge.port, head.encode())

    assert raw.startswith(ANSWER)
    got = raw.split(b"\r\n\r\n", 1)[1]
    if b"Transfer-Encoding: chunked" in raw:
        assert version == "1.1"
        got = got.replace(b"5\r\nhello\r\n", b"hello").replace(b"3\r\nhel\r\n2\r\nlo\r\n", b"hello")
        got = got.removesuffix(b"0\r\n\r\n")
    assert got == body


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_answers_without_a_body_end_with_their_head(
    edge: Edge, make_app: MakeApp, status: str
):
    raw = f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()
    await edge.route({await make_app("blue", says(raw)): 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)

    answers = []
    for _ in range(2):
        writer.write(get())
        answers.append(await read_answer(reader))
    writer.close()

    assert [answer[0] for answer in answers] == [int(status[:3])] * 2
    assert "transfer-encoding" not in answers[0][1]


async def test_head_has_the_length_but_no_body(edge: Edge, app: App):
    async with httpx2.AsyncClient() as client:
        answers = [await client.head(edge.url) for _ in range(3)]
        after = await client.get(edge.url)

    assert [answer.headers["content-length"] for answer in answers] == ["4"] * 3
    assert after.text == "blue"


async def test_information_comes_before_the_answer(edge: Edge, make_app: MakeApp):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    app = await make_app("blue", says(early + ANSWER + b"Content-Length: 2\r\n\r\nok"))
    await edge.route({app: 10_000})

    modern = await exchange(edge.port, get("/", "Connection: close"))
    old = await exchange(edge.port, b"GET / HTTP/1.0\r\n\r\n")

    assert modern.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n")
    assert modern.count(b"HTTP/1.1 200 OK") == 1
    assert old.startswith(ANSWER)
    assert app.calls[-1].header("host") == f"127.0.0.1:{edge.port}"


async def test_a_body_is_sent_once_the_app_says_continue(edge: Edge, make_app: MakeApp):
    async def patient(call: Call) -> None:
        call.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await call.reader.readexactly(4)
        reply(call, body)

    app = await make_app("blue", patient, streams=True)
    await edge.route({app: 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")

    first = await read_answer(reader)
    writer.write(b"body")
    second = await read_answer(reader)
    writer.close()

    assert (first[0], second[0], second[2]) == (100, 200, b"body")


async def test_an_app_may_answer_before_it_read_the_body(edge: Edge, make_app: MakeApp):
    async def refuses(call: Call) -> None:
        reply(call, b"too much", "413 Content Too Large", "Connection: close")

    app = await make_app("blue", refuses, streams=True)
    await edge.route({app: 10_000})

    raw = await exchange(
        edge.port,
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n",
    )

    assert raw.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in raw
    assert raw.endswith(b"too much")
    assert (await edge.observe())["blue.0"].done["4xx"] == 1


async def test_requests_in_a_row_are_answered_in_order(edge: Edge, app: App):
    async def echo(call: Call) -> None:
        reply(call, call.target.encode() + call.body)

    app.answer = echo
    post = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n"
    sent = get("/1") + post + get("/2") + get("/3", "Connection: close")

    raw = await exchange(edge.port, sent)

    assert [raw.find(part) for part in (b"/1HTTP", b"/pxyHTTP", b"/2HTTP")] != [-1] * 3
    assert [call.target for call in app.calls] == ["/1", "/p", "/2", "/3"]
    assert raw.endswith(b"/3")


async def test_a_client_that_sends_no_more_still_gets_its_answer(edge: Edge, make_app: MakeApp):
    shut = asyncio.Event()

    async def late(call: Call) -> None:
        await shut.wait()
        reply(call, b"late")

    await edge.route({await make_app("blue", late): 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(get())
    writer.write_eof()
    shut.set()

    answer = await read_answer(reader)

    assert (answer[0], answer[2]) == (200, b"late")
    assert await reader.read() == b""
    writer.close()


async def test_all_that_was_asked_before_is_answered_to_who_sends_no_more(edge: Edge, app: App):
    raw = await exchange(edge.port, get("/1") + get("/2") + get("/3"), eof=True)

    assert raw.count(b"HTTP/1.1 200 OK") == 3
    assert [call.target for call in app.calls] == ["/1", "/2", "/3"]


async def test_kept_connections_to_an_app_are_used_again(edge: Edge, app: App):
    async with httpx2.AsyncClient() as client:
        for _ in range(20):
            await client.post(edge.url, content=b"x")

    assert app.connections == 1


async def test_a_kept_connection_that_the_app_closed_costs_no_request(
    edge: Edge, make_app: MakeApp
):
    async def once(call: Call) -> None:
        """Close without a word where a second request comes on the same connection."""
        served = sum(1 for other in app.calls if other.writer is call.writer)
        if served > 1:
            call.writer.close()
        else:
            reply(call, b"ok")

    app = await make_app("blue", once)
    await edge.route({app: 10_000})

    async with httpx2.AsyncClient() as client:
        answers = [await client.get(edge.url) for _ in range(6)]
        puts = [await client.put(edge.url, content=b"body") for _ in range(6)]

    counts = (await edge.observe())["blue.0"]
    assert {answer.status_code for answer in answers + puts} == {200}
    assert counts.started == counts.done["2xx"] == 12


async def test_what_may_have_had_an_effect_is_not_sent_twice(edge: Edge, make_app: MakeApp):
    async def once(call: Call) -> None:
        if len(app.calls) > 1:
            call.writer.close()
        else:
            reply(call, b"ok")

    app = await make_app("blue", once)
    await edge.route({app: 10_000})

    async with httpx2.AsyncClient() as client:
        answers = [await client.post(edge.url, content=b"pay") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 502]
    assert len(app.calls) == 2
    assert (await edge.observe())["blue.0"].done["reset"] == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"y" * 400_000 + b"\r\n\r\n",
        b"",
    ],
    ids=[
        "no HTTP", "both framings", "two lengths", "coding", "name", "protocol", "bare 101",
        "endless head", "nothing",
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_http_is_a_reset(edge: Edge, make_app: MakeApp, raw: bytes):
    await edge.route({await make_app("blue", says(raw, close=True)): 10_000})

    answer = await exchange(edge.port, get("/", "Connection: close"))

    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"\r\nX-Slipway-Version: blue\r\n" in answer
    assert (await edge.observe())["blue.0"].done["reset"] == 1
    assert "answer: shop.web/prod" in edge.log()


@pytest.mark.parametrize(
    "tail", [b"Content-Length: 9\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
async def test_an_answer_that_breaks_off_has_no_end_for_the_client(
    edge: Edge, make_app: MakeApp, tail: bytes
):
    app = await make_app("blue", says(ANSWER + tail, close=True))
    await edge.route({app: 10_000})

    async with httpx2.AsyncClient() as client:
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await client.get(edge.url)

    assert (await edge.observe())["blue.0"].done["reset"] == 1


async def test_what_an_app_says_unasked_is_never_an_answer(edge: Edge, make_app: MakeApp):
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    app = await make_app("blue", says(ANSWER + b"Content-Length: 2\r\n\r\nok" + extra))
    await edge.route({app: 10_000})

    async with httpx2.AsyncClient() as client:
        bodies = {(await client.get(edge.url)).text for _ in range(5)}

    assert bodies == {"ok"}
    assert app.connections == 5


async def test_an_app_that_never_answers_is_a_timeout(edge: Edge, make_app: MakeApp):
    never = asyncio.Event()

    async def silent(call: Call) -> None:
        await never.wait()

    await edge.route({await make_app("blue", silent): 10_000}, timeout_s=0.2)

    answer = await exchange(edge.port, get("/", "Connection: close"))

    counts = (await edge.observe())["blue.0"]
    assert answer.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert (counts.started, counts.done["timeout"]) == (1, 1)
