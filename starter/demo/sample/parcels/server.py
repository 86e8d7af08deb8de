"""The server: HTTP in, routes behind; one process, one thread, many connections."""

import asyncio
import json
import signal
import sys
import traceback
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from parcels.routes import answer

MOST = 16_384  # bytes of a request


def respond(head: str) -> tuple[bytes, bool]:
    """Return the whole answer to a request without a body, and whether more may follow it."""
    line, *rest = head.split("\r\n")
    headers = {}
    for each in rest:
        name, _, value = each.partition(":")
        headers[name.strip().lower()] = value.strip().lower()
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _written(400, {"error": "this is no HTTP request"}, keep=False)
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return _written(413, {"error": "nothing here takes a body"}, keep=False)
    status, body = _answered(words[0], words[1])
    keep = words[2] == "HTTP/1.1" and headers.get("connection") != "close"
    return _written(status, body, keep=keep)


def _answered(method: str, target: str) -> tuple[int, dict]:
    url = urlsplit(target)
    try:
        return answer(method, url.path, dict(parse_qsl(url.query)))
    except Exception:
        traceback.print_exc()
        return 500, {"error": "something went wrong here"}


def _written(status: int, body: dict, *, keep: bool) -> tuple[bytes, bool]:
    data = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode() + data, keep


class Connection(asyncio.Protocol):
    """A client; what it asks is answered at once and in order, so nothing is ever half done."""

    def __init__(self, connections: set) -> None:
        self._connections = connections
        self._received = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, error) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received and not self.transport.is_closing():
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            written, keep = respond(head.decode("latin-1"))
            self.transport.write(written)
            if not keep:
                self.transport.close()
        if len(self._received) > MOST:
            self.transport.close()


async def serve(port: int) -> None:
    """Serve until TERM or INT; what has been asked by then is still answered."""
    loop, over, connections = asyncio.get_running_loop(), asyncio.Event(), set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    server = await loop.create_server(lambda: Connection(connections), "127.0.0.1", port)
    print(f"parcels listens on 127.0.0.1:{port}", file=sys.stderr)
    await over.wait()
    server.close()
    for connection in tuple(connections):
        connection.transport.close()
