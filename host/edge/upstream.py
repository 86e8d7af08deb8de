"""Upstream: one connection to an instance; it reads answers and hands them to an exchange."""

import asyncio
from typing import Any, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from host.edge.answers import KINDS, Answer, BadAnswer, read_answer
from host.edge.fields import Fields, size_of
from host.edge.tunnel import Tunnel

HEADS = 8  # times the limit of a request's head: instances are trusted more than strangers


class Receiver(Protocol):
    """Who waits for an answer. `flush` follows once after all that one read brought."""

    method: bytes

    def on_interim(self, answer: Answer) -> None: ...
    def on_head(self, answer: Answer) -> None: ...
    def on_body(self, data: bytes) -> None: ...
    def on_end(self) -> None: ...
    def flush(self) -> None: ...
    def on_lost(self, why: str) -> None: ...
    def on_blocked(self, blocked: bool) -> None: ...


class Upstream(asyncio.Protocol):
    """A connection. One request at a time; what it says unasked ends it."""

    def __init__(self, address: str, head_bytes: int) -> None:
        self.address = address
        self.idle_since = 0.0
        self.reused = False
        self.spoke = False  # a byte of the answer has come
        self.reusable = False  # the answer ended, and nothing speaks against a next request
        self.closed = False
        self._most = head_bytes * HEADS
        self._transport: Any = None
        self._receiver: Receiver | None = None
        self._parser: Any = None
        self._fields = Fields(KINDS)
        self.on_header = self._fields.add  # for the parser; trailers are added, never read
        self._reason = b""
        self._answer: Answer | None = None
        self._ended = False
        self._head_fed = 0
        self._tunnel: Tunnel | None = None
        self._paused = False

    def send(self, receiver: Receiver, data: bytes) -> None:
        """Send a request, and hand its answer to `receiver`."""
        self._receiver = receiver
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        self._answer = None
        self._ended = self.spoke = self.reusable = False
        self._head_fed = 0
        if self.closed:  # as soon as it was open
            asyncio.get_running_loop().call_soon(self._tell_lost)
        else:
            self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Send a further piece of the request, or of a tunnel."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        if not self._transport.is_closing():
            self._transport.write_eof()

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on."""
        if paused != self._paused and not self._transport.is_closing():
            self._paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def let_go(self, now: float) -> None:
        """Forget who waited, after the answer ended; the connection may serve another."""
        self._receiver = None
        self.idle_since = now
        self.reused = True
        if self._paused:
            self.pause(False)

    def begin_tunnel(self, tunnel: Tunnel) -> None:
        self._receiver = None
        self._tunnel = tunnel

    def close(self) -> None:
        self._receiver = None
        self.closed = True
        self._transport.close()

    def abort(self) -> None:
        self._receiver = None
        self.closed = True
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_instance(data)
            return
        receiver = self._receiver
        if receiver is None:
            self.abort()
            return
        self.spoke = True
        if self._answer is None:
            self._head_fed += len(data)
        try:
            self._parser.feed_data(data)
            if self._answer is None and self._head_fed > self._most:
                raise self._too_large()
        except HttpParserUpgrade as upgrade:
            receiver.flush()
            if self._tunnel is not None and len(data) > upgrade.args[0]:
                self._tunnel.from_instance(data[upgrade.args[0] :])
            return
        except (HttpParserError, BadAnswer) as error:
            self.reusable = False
            if not self._ended:
                receiver.on_lost(f"not HTTP: {told(error)}")
                return
        receiver.flush()

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.instance_ended()
            return True
        self.closed = True
        receiver = self._receiver
        if receiver is not None and self._answer is not None and self._answer.until_close:
            self._ended = True
            receiver.on_end()
            receiver.flush()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._tunnel is not None:
            self._tunnel.cut()
        self._tell_lost(error)
        self._parser = None  # it refers to us

    def pause_writing(self) -> None:
        self._blocked(True)

    def resume_writing(self) -> None:
        self._blocked(False)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._ended:
            raise BadAnswer("more than one answer")
        self._fields.begin()

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_headers_complete(self) -> None:
        receiver = self._receiver
        assert receiver is not None
        reason, self._reason = self._reason, b""
        status = self._parser.get_status_code()
        if self._head_fed > self._most and self._size() > self._most:
            raise self._too_large()
        answer = read_answer(status, reason, self._fields, receiver.method)
        if answer.status < 200 and answer.status != 101:
            receiver.on_interim(answer)
            return
        if answer.status == 101 and not self._parser.should_upgrade():
            raise BadAnswer("101 without Upgrade")
        self._answer = answer
        receiver.on_head(answer)
        if receiver.method == b"HEAD":
            self._end(reusable=False)  # the parser waits for a body, and so may a wrong server

    def on_body(self, data: bytes) -> None:
        if self._receiver is not None and not self._ended:
            self._receiver.on_body(data)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._ended and self._answer.status != 101:
            self._end(reusable=self._parser.should_keep_alive())

    def _end(self, *, reusable: bool) -> None:
        self._ended = True
        self.reusable = reusable
        assert self._receiver is not None
        self._receiver.on_end()

    def _tell_lost(self, error: Exception | None = None) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.on_lost(f"the connection was lost: {error or 'closed'}")

    def _size(self) -> int:
        return size_of(self._fields.lines, self._fields.known)

    def _too_large(self) -> BadAnswer:
        return BadAnswer(f"the head is larger than {self._most} bytes")

    def _blocked(self, blocked: bool) -> None:
        if self._tunnel is not None:
            self._tunnel.instance_blocked(blocked)
        elif self._receiver is not None:
            self._receiver.on_blocked(blocked)


def told(error: BaseException) -> str:
    """Return what a parser or one of our own checks said."""
    return str(error.__context__ or error)
