"""Requests that two servers could read in two ways are refused, and nothing of them passes."""

import asyncio

import pytest

from tests.host.edge.conftest import MakeEdge
from tests.host.edge.ground import App, Edge, exchange, get, read_answer, status_of

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHANGE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "both lengths": (HEAD + b"Content-Length: 4\r\n" + TE + b"\r\n0\r\n\r\n", 400),
    "both, other order": (HEAD + TE + b"Content-Length: 4\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "list of lengths": (HEAD + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "signed length": (HEAD + b"Content-Length: +3\r\n\r\nabc", 400),
    "negative length": (HEAD + b"Content-Length: -3\r\n\r\nabc", 400),
    "hexadecimal length": (HEAD + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "huge length": (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    "empty length": (HEAD + b"Content-Length: \r\n\r\n", 400),
    "folded line": (HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400),
    "folded coding": (HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "bare LF": (b"POST / HTTP/1.1\nHost: a\n\n", 400),
    "bare LF in head": (HEAD + b"X: a\nContent-Length: 3\r\n\r\nabc", 400),
    "bare CR": (HEAD + b"X: a\rContent-Length: 3\r\n\r\nabc", 400),
    "NUL": (HEAD + b"X: a\0b\r\n\r\n", 400),
    "control character": (HEAD + b"X: a\x01b\r\n\r\n", 400),
    "space before colon": (HEAD + b"Content-Length : 3\r\n\r\nabc", 400),
    "space in name": (HEAD + b"Content Length: 3\r\n\r\nabc", 400),
    "space before name": (HEAD + b" Content-Length: 3\r\n\r\nabc", 400),
    "empty name": (HEAD + b": 3\r\n\r\n", 400),
    "no colon": (HEAD + b"Content-Length\r\n\r\n", 400),
    "unknown coding": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "coding twice": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "coding in two lines": (HEAD + TE + TE + b"\r\n0\r\n\r\n", 400),
    "further coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "identity": (HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 400),
    "almost chunked": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked with a tab": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "coding in HTTP/1.0": (b"POST / HTTP/1.0\r\n" + TE + b"\r\n0\r\n\r\n", 400),
    "signed chunk": (CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk with 0x": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "huge chunk": (CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    "negative chunk": (CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", 400),
    "empty chunk size": (CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400),
    "chunk without end": (CHUNKED + b"3\r\nabcXX0\r\n\r\n", 400),
    "chunks with bare LF": (CHUNKED + b"3\nabc\n0\n\n", 400),
    "LF in chunk extension": (CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n", 400),
    "space after chunk size": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "Host with an account": (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    "other host in target": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "account in target": (b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no path": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "star": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "control in target": (b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "high byte in target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "unknown method": (b"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "small method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501),
    "upgrade with a body": (HEAD + CHANGE + b"Content-Length: 3\r\n\r\nabc", 400),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED)
async def test_refuses_what_is_not_plainly_one_request(
    edge: Edge, app: App, raw: bytes, status: int
):
    answer = await exchange(edge.port, raw + SMUGGLED)

    assert status_of(answer) == status, answer
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not [call for call in app.calls if call.target == "/smuggled"]
    counts = (await edge.observe())["blue.0"]
    assert counts.started == sum(counts.done.values())
    assert counts.done["2xx"] == 0


async def test_the_refusals_harm_nobody_else(edge: Edge, app: App):
    for raw, _ in REFUSED.values():
        await exchange(edge.port, raw, eof=True)

    answer = await exchange(edge.port, get("/", "Connection: close"))

    assert status_of(answer) == 200
    assert "fault" not in edge.log()


async def test_a_bad_request_after_good_ones_is_refused_in_its_turn(edge: Edge, app: App):
    answer = await exchange(edge.port, get("/1") + get("/2") + REFUSED["both lengths"][0])

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]
    assert [call.target for call in app.calls] == ["/1", "/2"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://A/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\r\n\r\nGET /x?y HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
        b"GET /x?y HTTP/1.1\r\nhOsT:a\r\nConnection:close\r\nX-Empty:\r\n\r\n",
        b"GET /x?y HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
        b"POST /x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
        b"3;ext=1\r\nabc\r\n000\r\nTrailer: x\r\n\r\n",
    ],
    ids=["absolute", "empty lines", "plain", "IPv6", "chunked"],
)
async def test_unusual_but_clear_requests_are_served(edge: Edge, app: App, raw: bytes):
    answer = await exchange(edge.port, raw)

    assert status_of(answer) == 200
    assert app.calls[-1].target == "/x?y"


async def test_an_offer_of_http_2_is_declined_with_its_body_read(edge: Edge, app: App):
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    fixed = HEAD + offer + b"Content-Length: 3\r\n\r\nabc"
    pieces = HEAD + offer + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    bare = b"GET / HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n"

    answer = await exchange(edge.port, fixed + pieces + bare + get("/last", "Connection: close"))

    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert [call.body for call in app.calls] == [b"abc", b"abc", b"", b""]
    assert not {"upgrade", "http2-settings"} & set.union(*(call.names() for call in app.calls))


@pytest.mark.parametrize(
    "raw",
    [
        get("/", "X-Long: " + "y" * 33_000),
        get("/", *(f"X-{at}: 1" for at in range(101))),
        get("/" + "y" * 33_000),
        get("/", *("TE: " + "z" * 3_000 for _ in range(12))),
        get("/", "X-Endless: " + "y" * 600_000)[:-4],
        b"GET /" + b"y" * 600_000,
    ],
    ids=["line", "count", "target", "dropped", "endless line", "endless target"],
)
async def test_heads_that_are_too_large_are_refused(edge: Edge, app: App, raw: bytes):
    answer = await exchange(edge.port, raw)

    assert status_of(answer) == 431
    assert app.calls == []


@pytest.mark.parametrize(
    "piece",
    [(b"1;" + b"x" * 5_000 + b"\r\ny\r\n") * 60, b"0\r\n" + b"X-Trailer: yes\r\n" * 20_000],
    ids=["extensions", "trailers"],
)
async def test_what_surrounds_a_body_is_bounded(edge: Edge, app: App, piece: bytes):
    answer = await exchange(edge.port, CHUNKED + piece)

    assert status_of(answer) == 400


async def test_slow_heads_are_ended(make_edge: MakeEdge):
    edge = await make_edge("head_s=0.3")
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")

    answer = await read_answer(reader)
    writer.close()

    assert answer[0] == 408


async def test_idle_connections_are_ended(make_edge: MakeEdge):
    edge = await make_edge("idle_s=0.3")

    assert await exchange(edge.port, b"") == b""
    assert await exchange(edge.port, b"\r\n\r\n") == b""


async def test_a_client_that_stops_in_its_body_is_ended(make_edge: MakeEdge, make_app):
    edge = await make_edge("body_idle_s=0.3")
    app = await make_app("blue")
    await edge.route({app: 10_000})

    answer = await exchange(edge.port, HEAD + b"Content-Length: 9\r\n\r\nhalf")

    assert status_of(answer) == 408
    assert (await edge.observe())["blue.0"].done["aborted"] == 1


async def test_too_many_connections_are_told_so(make_edge: MakeEdge, make_app):
    edge = await make_edge("connections=3")
    await edge.route({await make_app("blue"): 10_000})
    held = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(3)]
    for reader, writer in held:
        writer.write(get())
        assert (await read_answer(reader))[0] == 200

    refused = await exchange(edge.port, get())
    held.pop()[1].close()
    for reader, writer in held:
        writer.write(get())
        assert (await read_answer(reader))[0] == 200
        writer.close()

    assert status_of(refused) == 503
    assert b"\r\nRetry-After: 1\r\n" in refused
    assert "full: more than 3 client connections" in edge.log()
    served = await exchange(edge.port, get("/", "Connection: close"))
    assert status_of(served) == 200
