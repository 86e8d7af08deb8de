"""Speaking with the edge over its socket: one line each way, sockets beside the line."""

import asyncio
import json
import socket
from collections.abc import Sequence
from pathlib import Path

from domain.errors import Rejected, Unavailable
from domain.record import Record
from host.supervisor.address import at

_PATIENCE = 10.0  # seconds
_LINE = 4 * 1024 * 1024


class EdgeWords:
    """A connection per question; the edge may be away at any time."""

    def __init__(self, door: Path) -> None:
        self._door = door

    async def ask(
        self, question: Record, sockets: Sequence[socket.socket] = (), patience: float = _PATIENCE
    ) -> tuple[dict[str, object], list[socket.socket]]:
        """Return the answer, and the sockets that came with it.

        Raises `Rejected` when the edge refuses, `Unavailable` when it does not answer in time.
        """
        try:
            async with asyncio.timeout(patience):
                return await self._ask(question, sockets)
        except (TimeoutError, OSError, ValueError) as error:
            raise Unavailable(
                f"the edge does not answer: {error or 'too late'}", code="edge_away"
            ) from error

    async def _ask(
        self, question: Record, sockets: Sequence[socket.socket]
    ) -> tuple[dict[str, object], list[socket.socket]]:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as line:
            with at(self._door) as address:
                await loop.sock_connect(line, address)
            data = question.model_dump_json().encode() + b"\n"
            sent = _send(line, data, sockets)
            await loop.sock_sendall(line, data[sent:])
            return await _answer(line)


def _send(line: socket.socket, data: bytes, sockets: Sequence[socket.socket]) -> int:
    """Send the first bytes with the sockets; on a fresh connection there is room for them."""
    if not sockets:
        return 0
    return socket.send_fds(line, [data], [each.fileno() for each in sockets])


async def _answer(line: socket.socket) -> tuple[dict[str, object], list[socket.socket]]:
    loop = asyncio.get_running_loop()
    data, given = b"", list[socket.socket]()
    while not data.endswith(b"\n"):
        await _readable(loop, line)
        more, descriptors, _, _ = socket.recv_fds(line, 65_536, 16)
        given += [socket.socket(fileno=each) for each in descriptors]
        if not more or len(data) > _LINE:
            raise ValueError("it closed the connection")
        data += more
    return _understood(json.loads(data), given), given


async def _readable(loop: asyncio.AbstractEventLoop, line: socket.socket) -> None:
    ready = asyncio.Event()
    loop.add_reader(line, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(line)


def _understood(answer: dict[str, object], given: list[socket.socket]) -> dict[str, object]:
    error = answer.get("error")
    if not isinstance(error, dict):
        return answer
    for each in given:
        each.close()
    code, hint = str(error.get("code", "")), str(error.get("hint", ""))
    raise Rejected(str(error.get("message", "the edge refuses")), code=code, hint=hint)
