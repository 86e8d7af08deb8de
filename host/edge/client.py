"""Client connection: reads requests one after another, and has each exchanged for an answer."""

import asyncio
import socket
import struct
from collections import deque
from typing import Any, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from httptools import HttpParserInvalidMethodError as InvalidMethod

from host.edge.answers import own_answer
from host.edge.exchange import Exchange
from host.edge.limits import Limits
from host.edge.problems import Problems
from host.edge.requests import BadRequest, Headers, Peer, Request, read_request
from host.edge.target import Target
from host.edge.tunnel import Tunnel

PADDING = 65_536  # bytes of chunk sizes, extensions and trailers that a body may have
PADDING_RATIO = 16  # and so many times its own bytes
BLOCKED, QUEUED, CHANGING, FULL = 1, 2, 4, 8  # why a connection is not read


class House(Protocol):
    """Where client connections live."""

    limits: Limits
    problems: Problems
    draining: bool

    def enter(self, client: "ClientConnection") -> bool: ...
    def leave(self, client: "ClientConnection") -> None: ...


class ClientConnection(asyncio.Protocol):
    """One connection of a client. `deadline` is when `expire` is to be called (loop time)."""

    __slots__ = (
        "_advancing", "_closing", "_exchange", "_fed", "_got", "_head_fed", "_headers", "_held",
        "_house", "_in_body", "_in_head", "_latest", "_limits", "_lingering", "_loop", "_muted",
        "_parser", "_peer", "_queue", "_reading", "_target", "_transport", "_tunnel", "_url",
        "_why", "blocked", "deadline",
    )  # fmt: skip

    def __init__(self, house: House, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        self._house = house
        self._limits = house.limits
        self._target = target
        self._loop = loop
        self._transport: Any = None
        self._parser: Any = None
        self._peer = Peer("", "")
        self._queue: deque[Request | BadRequest] = deque()
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._latest: Request | None = None  # the request that the parser is in, or was in last
        self._url = b""
        self._headers: Headers = []
        self._held: bytes | None = None  # what came after a request to change the protocol
        self._in_head = self._in_body = self._muted = False
        self._head_fed = self._fed = self._got = 0
        self._why = 0
        self._reading = True
        self._advancing = self._closing = self._lingering = False
        self.blocked = False
        self.deadline = 0.0

    @property
    def draining(self) -> bool:
        return self._house.draining or self._closing

    @property
    def idle(self) -> bool:
        """Whether it waits for a first byte of a request."""
        return not (self._exchange or self._queue or self._in_head or self._tunnel)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = HttpRequestParser(self)
        self._peer = Peer(
            _host(transport.get_extra_info("peername")),
            _address(transport.get_extra_info("sockname")),
        )
        self.wait(self._limits.idle_s)
        if not self._house.enter(self):
            self._target.refuse(503)
            self._finish(own_answer(503, "too many connections", keep_alive=False))

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_client(data)
        elif self._lingering:
            self._discard(len(data))
        elif not self._closing:
            self._feed(data)
            if self._exchange is not None:
                self._exchange.flush_request()
            self._advance()

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for it still gets."""
        if self._tunnel is not None:
            self._tunnel.client_ended()
            return True
        whole = self._latest is None or self._latest.complete
        if self._lingering or self._in_head or not whole or not (self._exchange or self._queue):
            return False
        self._closing = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._house.leave(self)
        self._closing = True
        self._parser = None  # it refers to us
        self._queue.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.on_client_gone()
        if self._tunnel is not None:
            self._tunnel.cut()

    def pause_writing(self) -> None:
        self._block(True)

    def resume_writing(self) -> None:
        self._block(False)

    # What an exchange or a tunnel calls.

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        if not self._transport.is_closing():
            self._transport.write_eof()

    def hold(self, held: bool) -> None:
        self._pause(BLOCKED, held)

    def wait(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def answer(self, status: int, reason: str, version: str) -> None:
        """Answer the request of the exchange, which has ended."""
        exchange = self._exchange
        request = exchange.request if exchange is not None else None
        keep = bool(request and request.keep_alive and request.complete and not self.draining)
        body = request is None or request.method != b"HEAD"
        whole = own_answer(status, reason, keep_alive=keep, version=version, body=body)
        if keep:
            self.write(whole)
            self.end(True)
        else:
            self._finish(whole)

    def end(self, keep_alive: bool) -> None:
        """The answer is written: go on with the next request."""
        complete = self._exchange is None or self._exchange.request.complete
        self._exchange = None
        self._pause(BLOCKED, False)
        if not complete:
            self._finish(b"")
        elif not keep_alive or (self._closing and not self._queue):
            self._close()
        else:
            self._resume_parsing()
            self.wait(self._limits.head_s if self._in_head else self._limits.idle_s)
            self._advance()

    def begin_tunnel(self, tunnel: Tunnel) -> None:
        self._exchange = None
        self._tunnel = tunnel
        held, self._held = self._held, None
        if held:
            tunnel.from_client(held)
        self._pause(CHANGING, False)

    def break_off(self) -> None:
        """Close without the end of an answer; whoever reads until the end must see that."""
        self._exchange = None
        raw = self._transport.get_extra_info("socket")
        if raw is not None and self._tunnel is None and not self._transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # What the house calls.

    def expire(self) -> None:
        """The deadline has passed."""
        if self._tunnel is not None:
            self._tunnel.cut()
        elif self._exchange is not None:
            self._exchange.expire()
        elif self._in_head and not self._lingering:
            self._refuse(BadRequest(408, "the head of the request did not come"))
        else:
            self._transport.abort()

    def leave_if_idle(self) -> None:
        if self.idle:
            self._close()

    def cut(self) -> None:
        """Close, whatever is going on."""
        if self._exchange is not None:
            self._exchange.cut()
        elif self._tunnel is not None:
            self._tunnel.cut()
        else:
            self._transport.abort()

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._muted:
            return
        self._in_head = True
        self._head_fed = 0
        self._url = b""
        self._headers = []
        if self._exchange is None and not self._queue:
            self.wait(self._limits.head_s)

    def on_url(self, url: bytes) -> None:
        if self._in_head:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._muted:
            return
        self._in_head = False
        method = self._parser.get_method()
        if method in (b"CONNECT", b"TRACE"):
            raise BadRequest(501 if method == b"CONNECT" else 405, "this method is not served")
        request = read_request(
            method, self._url, self._parser.get_http_version(), self._headers, self._peer,
            self._limits,
        )  # fmt: skip
        self._headers = []
        self._latest = request
        self._in_body = True
        self._fed = self._got = 0
        self._queue.append(request)

    def on_body(self, data: bytes) -> None:
        self._got += len(data)
        request, exchange = self._latest, self._exchange
        assert request is not None
        if exchange is not None and exchange.request is request:
            exchange.on_request_body(data)
        elif request in self._queue:
            request.body.append(data)

    def on_message_complete(self) -> None:
        request = self._latest
        if self._muted or request is None:
            return
        if request.has_body and self._parser.should_upgrade():
            return  # the parser takes the body for the other protocol
        request.complete = True
        self._in_body = False

    # Our own steps.

    def _feed(self, data: bytes) -> None:
        in_head, in_body = self._in_head, self._in_body
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._stop_parsing(data[upgrade.args[0] :])
        except HttpParserError as error:
            self._spoil(error)
        else:
            self._check_sizes(len(data) if in_head else 0, len(data) if in_body else 0)
        self._pause(QUEUED, bool(self._queue) and self._exchange is not None)

    def _check_sizes(self, head: int, body: int) -> None:
        """Bound what the parser keeps of an endless head, and what is around a body."""
        if self._in_head:
            self._head_fed += head
            if self._head_fed > self._limits.head_bytes:
                self._spoil(BadRequest(431, f"more than {self._limits.head_bytes} bytes of head"))
        elif self._in_body and self._latest is not None and self._latest.chunked:
            self._fed += body
            if self._fed - self._got > PADDING + PADDING_RATIO * self._got:
                self._spoil(BadRequest(400, "too much around the chunks of the body"))

    def _spoil(self, error: Exception) -> None:
        """Refuse what came last; requests before it are answered first."""
        bad = error if isinstance(error, BadRequest) else error.__context__
        if isinstance(error, InvalidMethod):
            bad = BadRequest(501, "the method is not known")
        elif not isinstance(bad, BadRequest):
            if bad is not None:
                self._house.problems.tell("fault", f"while reading a request: {bad!r}")
            bad = BadRequest(400, f"the request is not HTTP/1.1: {error}")
        self._in_head = False
        self._closing = True
        if self._in_body:
            self._spoil_body(bad)
        else:
            self._queue.append(bad)

    def _spoil_body(self, bad: BadRequest) -> None:
        """The body of a request is damaged; it may be with an instance already."""
        self._in_body = False
        exchange = self._exchange
        if exchange is not None and exchange.request is self._latest:
            self._exchange = None
            exchange.on_client_gone()
            if exchange.answered:
                self.break_off()
            else:
                self._finish(_refusal(bad))
            return
        if self._queue and self._queue[-1] is self._latest:
            self._queue.pop()
        self._queue.append(bad)

    def _stop_parsing(self, rest: bytes) -> None:
        """Keep what may belong to another protocol until an answer says so."""
        request = self._latest
        assert request is not None
        if request.upgrade:
            self._held = rest
            self._pause(CHANGING, True)
            return
        self._parser = HttpRequestParser(self)
        if request.has_body:  # the parser would take the body for the other protocol
            coding = b"Transfer-Encoding: chunked"
            size = coding if request.chunked else b"Content-Length: %d" % request.length
            self._muted = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: -\r\n%b\r\n\r\n" % size)
            self._muted = False
        if rest:
            self._feed(rest)

    def _resume_parsing(self) -> None:
        """No other protocol was spoken: what was held back is a request like others."""
        held, self._held = self._held, None
        if held is None:
            return
        self._parser = HttpRequestParser(self)
        self._pause(CHANGING, False)
        if held:
            self._feed(held)

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        while self._queue and self._exchange is None and not self._lingering:
            request = self._queue.popleft()
            if isinstance(request, BadRequest):
                self._refuse(request)
                break
            self._exchange = Exchange(
                self, self._target, request, self._limits, self._house.problems
            )
            self._exchange.begin()
        self._advancing = False
        self._pause(QUEUED, bool(self._queue))

    def _refuse(self, bad: BadRequest) -> None:
        self._target.refuse(bad.status)
        self._finish(_refusal(bad))

    def _finish(self, last: bytes) -> None:
        """Write a last answer and close, but let the client read it (RFC 9112 9.6)."""
        self._exchange = None
        self._queue.clear()
        self._closing = self._lingering = True
        self._in_head = False
        self._got = 0
        if self._transport.is_closing():
            return
        if last:
            self._transport.write(last)
        self._transport.write_eof()
        self._why = 0
        self._read(True)
        self.wait(self._limits.linger_s)

    def _discard(self, size: int) -> None:
        self._got += size
        if self._got > self._limits.linger_bytes:
            self._transport.abort()

    def _close(self) -> None:
        self._closing = True
        self._transport.close()

    def _block(self, blocked: bool) -> None:
        self.blocked = blocked
        if self._tunnel is not None:
            self._tunnel.client_blocked(blocked)
        elif self._exchange is not None:
            self._exchange.on_client_blocked(blocked)

    def _pause(self, why: int, paused: bool) -> None:
        now = self._why | why if paused else self._why & ~why
        if now != self._why:
            self._why = now
            self._read(not now)

    def _read(self, reading: bool) -> None:
        if reading == self._reading or self._transport.is_closing():
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()


def _refusal(bad: BadRequest) -> bytes:
    return own_answer(bad.status, bad.reason, keep_alive=False)


def _host(name: Any) -> str:
    return str(name[0]) if isinstance(name, tuple) else ""


def _address(name: Any) -> str:
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""
