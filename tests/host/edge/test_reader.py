"""The reader: what it lets through, any server reads as the same single request."""

from pathlib import Path

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from host.edge.limits import Limits
from host.edge.problems import Problems
from host.edge.reader import RequestReader
from host.edge.requests import BadRequest, Peer, Request

# Pieces of which attacks on framing are made, beside what is plainly fine.
STARTS = (
    b"GET / HTTP/1.1\r\n",
    b"POST /p?q HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"PUT http://a/ HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"\r\nGET / HTTP/1.1\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET /\r\n",
)
LINES = (
    b"Host: a\r\n",
    b"Host: a\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"content-length: 5\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: 03\r\n",
    b"Content-Length:\r\n",
    b"Content-Length : 3\r\n",
    b"Content_Length: 9\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: Chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: x\r\n",
    b"Transfer-Encoding:\tchunked \r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"TE: trailers\r\n",
    b"Connection: close\r\n",
    b"Connection: Transfer-Encoding, Content-Length\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"X: 1\n",
    b"X: 1\r\n 2\r\n",
    b"X:\r\n",
    b"X: \0\r\n",
    b"X: 1\rY: 2\r\n",
    b"Expect: 100-continue\r\n",
    b"Cookie: a=1\r\n",
    b"X-Forwarded-For: 1.2.3.4\r\n",
)
BODIES = (
    b"",
    b"",
    b"abc",
    b"abcde",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    b"0\r\n\r\n",
    b"3\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcX\r\n0\r\n\r\n",
    b"0003\r\nabc\r\n00\r\n\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
)
MESSAGE = st.builds(
    lambda start, lines, body: start + b"".join(lines) + b"\r\n" + body,
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(LINES), max_size=5),
    st.sampled_from(BODIES),
)
STREAM = st.lists(MESSAGE, min_size=1, max_size=3).map(b"".join)


def _read(pieces: list[bytes]) -> list[Request | BadRequest]:
    reader = RequestReader(Peer("192.0.2.1", "a:80"), Limits(), Problems(Path("/dev/null")))
    for piece in pieces:
        reader.feed(piece)
        if reader.held is not None:
            reader.resume()
    return list(reader.queue)


def _sent(request: Request) -> bytes:
    """What an instance is sent, as the exchange frames it."""
    body = b"".join(request.body)
    if not request.chunked:
        return request.head + body
    return request.head + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def _as_others_read(raw: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return method, target and body of each request that h11 finds."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    found = []
    while not isinstance(event := connection.next_event(), type(h11.NEED_DATA)):
        if isinstance(event, h11.Request):
            found.append([event.method, event.target, b""])
        elif isinstance(event, h11.Data):
            found[-1][2] += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert connection.trailing_data[0] == b""
            break
    return [tuple(each) for each in found]


@settings(max_examples=3_000, deadline=None)
@given(STREAM)
def test_each_request_let_through_is_one_request_to_others(raw: bytes):
    for request in _read([raw]):
        if isinstance(request, Request) and request.complete:
            target = request.head.split(b" ")[1]
            assert _as_others_read(_sent(request)) == [
                (request.method, target, b"".join(request.body))
            ]


@settings(max_examples=1_000, deadline=None)
@given(STREAM, st.lists(st.integers(0, 400), max_size=6))
def test_it_does_not_matter_how_bytes_arrive(raw: bytes, cuts: list[int]):
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {len(raw)})
    pieces = [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    assert [_told(each) for each in _read(pieces)] == [_told(each) for each in _read([raw])]


def _told(item: Request | BadRequest) -> tuple[object, ...]:
    if isinstance(item, BadRequest):
        return ("refused",)  # with which status depends on how much was there to be read
    return (item.head, b"".join(item.body), item.complete)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_noise_never_breaks_it(raw: bytes):
    for item in _read([raw]):
        assert isinstance(item, BadRequest) or item.head.endswith(b"\r\n\r\n")


def test_what_connection_names_ends_here_but_never_the_framing():
    raw = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding, X-A, Host\r\nX-A: 1\r\n"
        b"X-B: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )

    (request,) = _read([raw])

    assert isinstance(request, Request)
    assert (request.chunked, request.complete) == (True, True)
    assert b"X-B: 2\r\n" in request.head
    assert b"Transfer-Encoding: chunked\r\n" in request.head
    assert b"X-A" not in request.head


def test_strangers_do_not_say_who_they_are():
    raw = (
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n"
        b"Forwarded: for=10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n"
    )

    (request,) = _read([raw])

    assert isinstance(request, Request)
    assert b"10.0.0.1" not in request.head
    assert b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n" in request.head
    assert (request.client, request.secure) == ("192.0.2.1", False)


def test_a_declined_protocol_leaves_the_body_to_come():
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    reader = RequestReader(Peer("192.0.2.1", "a:80"), Limits(), Problems(Path("/dev/null")))

    reader.feed(head + b"Content-Length: 3\r\n\r\n")
    (request,) = reader.queue
    assert isinstance(request, Request)
    early = request.complete
    for piece in (b"ab", b"c" + head, b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        reader.feed(piece)

    assert early is False
    assert (request.complete, b"".join(request.body)) == (True, b"abc")
    assert [_told(each)[1:] for each in reader.queue] == [(b"abc", True), (b"", True)]
