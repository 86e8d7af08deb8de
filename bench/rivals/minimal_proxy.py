"""A minimal reverse proxy on httptools and uvloop: no limits, no counts, no checks.

`python -m bench.rivals.minimal_proxy PORT HOST:PORT[=WEIGHT] ...` forwards each request to one
of the servers, by weight and by chance, over connections that are kept alive.
"""

import asyncio
import random
import sys
from typing import Any

import httptools
import uvloop

Server = tuple[str, int]
IDLE: dict[Server, list["Behind"]] = {}
HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"upgrade", b"te"}


class Front(asyncio.Protocol):
    """A client connection."""

    def __init__(self, servers: list[Server], weights: list[int]) -> None:
        self.servers, self.weights = servers, weights

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.url, self.headers, self.body = b"", list[tuple[bytes, bytes]](), list[bytes]()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self.body)
        head = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        for name, value in self.headers:
            if name.lower() not in HOP:
                head.append(b"%b: %b\r\n" % (name, value))
        if body:
            head.append(b"Content-Length: %d\r\n" % len(body))
        self.url, self.headers, self.body = b"", [], []
        server = random.choices(self.servers, self.weights)[0]
        request = b"".join((*head, b"\r\n", body))
        idle = IDLE[server]
        if idle:
            idle.pop().send(self, request)
        else:
            asyncio.get_running_loop().create_task(self.connect(server, request))

    async def connect(self, server: Server, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, behind = await loop.create_connection(lambda: Behind(IDLE[server]), *server)
        behind.send(self, request)


class Behind(asyncio.Protocol):
    """A connection to a server."""

    def __init__(self, idle: list["Behind"]) -> None:
        self.idle = idle

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpResponseParser(self)
        self.headers, self.body = list[tuple[bytes, bytes]](), list[bytes]()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.idle:
            self.idle.remove(self)

    def send(self, front: Front, request: bytes) -> None:
        self.front = front
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_status(self, reason: bytes) -> None:
        self.reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self.body)
        head = [b"HTTP/1.1 %d %b\r\n" % (self.parser.get_status_code(), self.reason)]
        for name, value in self.headers:
            if name.lower() not in HOP:
                head.append(b"%b: %b\r\n" % (name, value))
        head.append(b"Content-Length: %d\r\n\r\n" % len(body))
        self.headers, self.body = [], []
        if not self.front.transport.is_closing():
            self.front.transport.write(b"".join((*head, body)))
        self.idle.append(self)


async def serve(port: int, words: list[str]) -> None:
    """Serve until killed."""
    servers, weights = [], []
    for word in words:
        address, _, weight = word.partition("=")
        host, _, number = address.rpartition(":")
        servers.append((host, int(number)))
        weights.append(int(weight or 1))
        IDLE[servers[-1]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Front(servers, weights), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2:]))
