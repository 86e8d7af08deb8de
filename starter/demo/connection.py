"""Connection: asks one question at a time, and knows whether its answer came whole."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from httptools import HttpParserError, HttpResponseParser

VERSION = b"x-slipway-version"


class Answer(NamedTuple):
    status: int
    version: str  # of the release that answered; empty: nobody said


class Connection(asyncio.Protocol):
    """A connection that is kept alive between questions."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[["Connection"], None]):
        self._loop = loop
        self._lost = lost
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: Any = None  # uvloop's transports are of no class of asyncio
        self._version = ""
        self.idle_since = 0.0  # loop time

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; the future fails with `ConnectionError` where no whole answer comes."""
        self._answer = self._loop.create_future()
        self._version = ""
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the connection was lost"))

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == VERSION:
            self._version = value.decode("latin-1")

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), self._version))
