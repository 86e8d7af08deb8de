"""Client connection: has requests exchanged for answers, one after another."""

import asyncio
import socket
import struct
from typing import Any, Protocol

from host.edge.answers import own_answer
from host.edge.exchange import Exchange
from host.edge.limits import Limits
from host.edge.problems import Problems
from host.edge.reader import RequestReader
from host.edge.requests import BadRequest, Peer
from host.edge.target import Target
from host.edge.tunnel import Tunnel

BLOCKED, QUEUED, CHANGING = 1, 2, 4  # why a connection is not read
NO_LINGER = struct.pack("ii", 1, 0)  # close with a reset


class House(Protocol):
    """Where client connections live."""

    limits: Limits
    problems: Problems
    draining: bool

    @property
    def crowded(self) -> bool: ...
    def enter(self, client: "ClientConnection") -> bool: ...
    def leave(self, client: "ClientConnection") -> None: ...


class ClientConnection(asyncio.Protocol):
    """One connection of a client; `expire` is called after `deadline` (the loop's time)."""

    __slots__ = (
        "_advancing", "_closing", "_discarded", "_exchange", "_half", "_house", "_lingering",
        "_loop", "_reader", "_reading", "_target", "_transport", "_tunnel", "_why", "blocked",
        "deadline",
    )  # fmt: skip

    _reader: RequestReader

    def __init__(self, house: House, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        self._house = house
        self._target = target
        self._loop = loop
        self._transport: Any = None
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._why = 0
        self._reading = True
        self._advancing = False
        self._closing = False  # no request after those that are here
        self._lingering = False  # the last answer is written; what comes is thrown away
        self._half = False  # the client has closed its side
        self._discarded = 0
        self.blocked = False
        self.deadline = 0.0

    @property
    def draining(self) -> bool:
        """Whether the next answer is the last one; what was asked already is answered."""
        return (self._house.draining or self._closing) and not self._reader.queue

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        name, local = (transport.get_extra_info(each) for each in ("peername", "sockname"))
        peer = Peer(_shown(name), _shown(local, port=True))
        self._reader = RequestReader(peer, self._house.limits, self._house.problems)
        self.wait(self._house.limits.idle_s)
        if not self._house.enter(self):
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._tunnel is not None:
            self._take_rest(data)
            return
        reader = self._reader
        was_in_head = reader.in_head
        reader.feed(data)
        exchange = self._exchange
        if reader.damage is not None:
            self._give_up(reader.damage)
        elif exchange is not None:
            exchange.flush_request()
        elif reader.in_head and not was_in_head:
            self.wait(self._house.limits.head_s)
        if reader.queue:
            self._advance()
        if reader.held is not None:
            self._pause(CHANGING, True)

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for it still gets."""
        if self._tunnel is not None:
            self._tunnel.client_ended()
            return True
        busy = self._exchange is not None or self._reader.queue
        if self._lingering or not busy or not self._reader.between:
            return False
        self._closing = self._half = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._house.leave(self)
        self._closing = True
        self._reader.close()
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
        if held or self._why:
            self._pause(BLOCKED, held)

    def wait(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def answer(self, status: int, reason: str, version: str) -> None:
        """Answer the request of the exchange, which has ended, in the edge's own words."""
        exchange = self._exchange
        assert exchange is not None
        request = exchange.request
        keep = request.keep_alive and request.complete and not self.draining
        body = request.method != b"HEAD"
        self.write(own_answer(status, reason, keep_alive=keep, version=version, body=body))
        self.end(keep)

    def end(self, keep_alive: bool) -> None:
        """The answer is written: go on with the next request."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        self._reader.sink = None
        if self._why:
            self._pause(BLOCKED, False)
        request = exchange.request
        if not keep_alive and (request.keep_alive or not request.complete) and not self._half:
            self._linger()  # it may have sent more
        elif not keep_alive:
            self.close()
        else:
            reader = self._reader
            if reader.held is not None:
                self._go_on(reader)
            limits = self._house.limits
            patience = limits.head_s if reader.in_head else limits.idle_s
            self.deadline = self._loop.time() + patience
            if reader.queue:
                self._advance()

    def begin_tunnel(self, tunnel: Tunnel) -> None:
        self._exchange = None
        self._tunnel = tunnel
        held = self._reader.held
        if held:
            tunnel.from_client(held)
        self._reader.close()
        self._pause(CHANGING, False)

    def break_off(self) -> None:
        """Close without the end of an answer, so that whoever reads up to the end sees it."""
        self._exchange = None
        raw = self._transport.get_extra_info("socket")
        if self._tunnel is None and not self._transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._transport.abort()

    def close(self) -> None:
        """Close when all that was written has been sent."""
        self._closing = True
        self._reader.close()
        self._transport.close()

    # What the house calls.

    def expire(self) -> None:
        """The deadline has passed."""
        if self._tunnel is not None:
            self._tunnel.cut()
        elif self._exchange is not None:
            self._exchange.expire()
        elif self._reader.in_head and not self._lingering:
            self._refuse(BadRequest(408, "the head of the request did not come"))
        else:
            self._transport.abort()

    def leave_if_idle(self) -> None:
        """Close where there is no request, nor a part of one."""
        if self._exchange is None and self._tunnel is None and self._reader.between:
            self.close()

    def cut(self) -> None:
        """Close, whatever is going on."""
        if self._exchange is not None:
            self._exchange.cut()
        elif self._tunnel is not None:
            self._tunnel.cut()
        else:
            self._transport.abort()

    # Our own steps.

    def _take_rest(self, data: bytes) -> None:
        """Take what is no request any more."""
        if self._tunnel is not None:
            self._tunnel.from_client(data)
            return
        self._discarded += len(data)
        if self._discarded > self._house.limits.linger_bytes:
            self._transport.abort()

    def _advance(self) -> None:
        """Begin with the next request, unless one is being exchanged."""
        reader = self._reader
        if self._advancing:
            return
        self._advancing = True
        while reader.queue and self._exchange is None and not self._lingering:
            request = reader.queue.popleft()
            if isinstance(request, BadRequest):
                self._refuse(request)
                break
            house = self._house
            exchange = Exchange(self, self._target, request, house.limits, house.problems)
            self._exchange = reader.sink = exchange
            exchange.begin()
        self._advancing = False
        if self._why or reader.queue:
            self._pause(QUEUED, bool(reader.queue))

    def _go_on(self, reader: RequestReader) -> None:
        """No other protocol was spoken: read what was held back, and on."""
        reader.resume()
        self._pause(CHANGING, reader.held is not None)

    def _refuse(self, bad: BadRequest) -> None:
        """Answer in the edge's own words what no instance was asked."""
        self._target.refuse(bad.status)
        self._reader.queue.clear()
        self.write(own_answer(bad.status, bad.reason, keep_alive=False))
        self._linger()

    def _turn_away(self) -> None:
        """There are too many connections; not even all that are turned away may linger."""
        self._target.refuse(503)
        self.write(own_answer(503, "too many connections", keep_alive=False))
        if self._house.crowded:
            self.close()
        else:
            self._linger()

    def _give_up(self, bad: BadRequest) -> None:
        """The body of a request is damaged, and a part of it is with an instance."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        exchange.on_client_gone()
        if exchange.answered:
            self.break_off()
        else:
            self.write(own_answer(bad.status, bad.reason, keep_alive=False))
            self._linger()

    def _linger(self) -> None:
        """Close, but let the client read the last answer first (RFC 9112 9.6)."""
        self._closing = self._lingering = True
        self.write_eof()
        self._reader.close()
        self._why = 0
        self._read(True)
        self.wait(self._house.limits.linger_s)

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


def _shown(address: Any, *, port: bool = False) -> str:
    """Return the host of a socket's address, or with the port what a Host header says."""
    if not address:
        return ""
    host = str(address[0])
    if not port:
        return host
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
