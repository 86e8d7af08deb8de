"""Reader: turns what a client sends into requests, and refuses what is not plainly one."""

from collections import deque
from typing import Any, Protocol

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from host.edge.fields import Fields, size_of
from host.edge.limits import Limits
from host.edge.problems import Problems
from host.edge.requests import KINDS, BadRequest, Peer, Request, read_request

# What chunk sizes, extensions and trailers of a body may take: bytes, and times the body's own.
PADDING = 65_536
PADDING_RATIO = 16
UNSERVED = {b"CONNECT": 501, b"TRACE": 405}


class Sink(Protocol):
    """Takes the body of the request that is being exchanged."""

    request: Request

    def on_request_body(self, data: bytes) -> None: ...


class RequestReader:
    """Reads one connection. Requests wait in `queue`, at its end what must be refused."""

    __slots__ = (
        "_around", "_body", "_fed", "_fields", "_head", "_in_body", "_limits", "_muted", "_parser",
        "_peer", "_problems", "_url", "damage", "held", "in_head", "latest", "on_header", "queue",
        "sink", "spoiled",
    )  # fmt: skip

    def __init__(self, peer: Peer, limits: Limits, problems: Problems) -> None:
        self._peer = peer
        self._limits = limits
        self._problems = problems
        self._fields = Fields(KINDS)
        self.on_header = self._fields.add  # for the parser; trailers are added, never read
        self._parser: Any = HttpRequestParser(self)
        self._url = b""
        self._in_body = self._muted = False
        self._fed = self._head = self._around = self._body = 0  # bytes
        self.queue: deque[Request | BadRequest] = deque()
        self.sink: Sink | None = None
        self.latest: Request | None = None  # the one whose body is read, or was read last
        self.in_head = False
        self.held: bytes | None = None  # came after a request to change the protocol
        self.spoiled = False  # nothing more is read
        self.damage: BadRequest | None = None  # of the request that `sink` has

    @property
    def between(self) -> bool:
        """Whether no request has been begun and not been read to its end."""
        return not self.in_head and (self.latest is None or self.latest.complete)

    def feed(self, data: bytes) -> None:
        """Read on; what is wrong is queued, or noted as `damage`."""
        if self.spoiled or self.held is not None:
            return
        self._fed = len(data)
        try:
            self._parser.feed_data(data)
            if self.in_head or self._in_body:
                self._check_sizes()
        except HttpParserUpgrade as upgrade:
            self._stop(data[upgrade.args[0] :])
        except (HttpParserError, BadRequest) as error:
            self._spoil(self._fault(error))

    def resume(self) -> None:
        """No other protocol was spoken: what was held back is a request like others."""
        held, self.held = self.held, None
        if held is not None:
            self._parser = HttpRequestParser(self)
            self.feed(held)

    def close(self) -> None:
        """Let go of the parser, which refers to us."""
        self._parser = None
        self.spoiled = True
        self.sink = None
        self.queue.clear()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if not self._muted:
            self.in_head = True
            self._head = -self._fed  # of what is fed now, only a part belongs to this head
            self._url = b""
            self._fields.begin()

    def on_url(self, url: bytes) -> None:
        if self.in_head:
            self._url += url

    def on_headers_complete(self) -> None:
        if self._muted:
            return
        self.in_head = False
        parser = self._parser
        if self._head + 2 * self._fed > self._limits.head_bytes:
            self._measure()
        method = parser.get_method()
        if method in UNSERVED:
            raise BadRequest(UNSERVED[method], "this method is not served")
        self.latest = read_request(
            method, self._url, parser.get_http_version(), self._fields, self._peer, self._limits
        )
        self._in_body = True
        self._around = -self._fed
        self._body = 0
        self.queue.append(self.latest)

    def on_body(self, data: bytes) -> None:
        request, sink = self.latest, self.sink
        self._body += len(data)
        if sink is not None and sink.request is request:
            sink.on_request_body(data)
        elif request is not None:
            request.body.append(data)

    def on_message_complete(self) -> None:
        request = self.latest
        if self._muted or request is None:
            return
        if self._parser.should_upgrade() and request.has_body:
            return  # the parser takes the body for the other protocol
        request.complete = True
        self._in_body = False

    # Our own steps.

    def _check_sizes(self) -> None:
        """Bound what the parser keeps of an endless head, and what surrounds a chunked body."""
        self._head += self._fed
        if self.in_head and self._head > self._limits.head_bytes:
            raise self._too_large()
        self._around += self._fed
        if self._in_body and self._around - self._body > PADDING + PADDING_RATIO * self._body:
            raise BadRequest(400, "too much around the chunks of the body")

    def _measure(self) -> None:
        """Check a head where what was read allows it to be too large."""
        fields = self._fields
        if len(self._url) + size_of(fields.lines, fields.known) > self._limits.head_bytes:
            raise self._too_large()

    def _too_large(self) -> BadRequest:
        return BadRequest(431, f"the head is larger than {self._limits.head_bytes} bytes")

    def _fault(self, error: Exception) -> BadRequest:
        """Return what is wrong with the request, by the parser or by our own checks."""
        if isinstance(error, HttpParserCallbackError) and error.__context__ is not None:
            ours = error.__context__
            if not isinstance(ours, BadRequest):
                self._problems.tell("fault", f"while reading a request: {ours!r}")
                return BadRequest(500, "the edge failed")
            return ours
        if isinstance(error, BadRequest):
            return error
        if isinstance(error, HttpParserInvalidMethodError):
            return BadRequest(501, "the method is not known")
        return BadRequest(400, f"the request is not HTTP/1.1: {error}")

    def _spoil(self, bad: BadRequest) -> None:
        """Read no more. Requests before the bad one are answered first."""
        self.spoiled = True
        self.in_head = False
        if self._in_body:
            self._in_body = False
            if self.sink is not None and self.sink.request is self.latest:
                self.damage = bad
                return
            self.queue.pop()
        self.queue.append(bad)

    def _stop(self, rest: bytes) -> None:
        """Keep what may belong to another protocol until an answer says so."""
        request = self.latest
        assert request is not None
        if request.upgrade:
            self.held = rest
            return
        self._parser = HttpRequestParser(self)
        if request.has_body:  # a protocol that is not ours to change to: read the body all the same
            size = b"Content-Length: %d" % request.length
            coding = b"Transfer-Encoding: chunked"
            head = b"POST / HTTP/1.1\r\nHost: -\r\n%b\r\n\r\n"
            self._muted = True
            self._parser.feed_data(head % (coding if request.chunked else size))
            self._muted = False
        if rest:
            self.feed(rest)
