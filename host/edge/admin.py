"""The admin socket: one JSON object per line, answered by one; sockets come with `listen`."""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Callable

from host.edge.edge import Edge
from host.edge.orders import (
    TARGET,
    WORD,
    Fields,
    Refused,
    number,
    parse,
    read_route_order,
    text,
)

LONGEST = 1_048_576  # bytes of a line
DESCRIPTORS = 8  # that may come at once
OPS = ("ping", "route", "listen", "give_back", "forget", "inspect", "observe", "drain")


class Admin:
    """Answers orders; each connection is served by a task of its own, in order."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._loop = asyncio.get_running_loop()
        self._talks: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        listener.setblocking(False)
        while True:
            connection, _ = await self._loop.sock_accept(listener)
            talk = self._loop.create_task(self._talk(connection))
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)

    async def _talk(self, connection: socket.socket) -> None:
        line = Line(connection)
        try:
            while (order := await line.next()) is not None:
                answer = await self._answered(order, line)
                data = json.dumps(answer).encode() + b"\n"
                await self._loop.sock_sendall(connection, data[line.hand_out(data) :])
        except OSError:
            pass  # who asked went away
        finally:
            line.close()

    async def _answered(self, order: bytes, line: "Line") -> Fields:
        try:
            return await self._obey(parse(order), line)
        except Refused as refused:
            return _error(refused.code, refused.message, refused.hint)
        except OSError as error:
            self._edge.problems.tell("disk", f"an order failed: {error}")
            return _error("disk", f"The edge could not write: {error}", "Make room, then repeat")
        except Exception as error:
            self._edge.problems.tell("fault", f"an order failed: {error!r}")
            return _error("fault", f"The edge failed: {error!r}", "See its log")

    async def _obey(self, order: Fields, line: "Line") -> Fields:
        edge = self._edge
        op = order.get("op")
        if op == "ping":
            return edge.ping()
        if op == "route":
            return await edge.route(read_route_order(order))
        if op not in OPS:
            raise Refused("unknown_op", f"There is no order {op!r:.50}", f"Say one of {OPS}")
        target = text(order, "target", TARGET)
        if op == "listen":
            return await edge.listen(target, line.take_socket())
        if op == "give_back":
            line.give(edge.listener(target))
            return {}
        if op == "forget":
            return await edge.forget(target)
        if op == "inspect":
            return edge.inspect(target)
        if op == "observe":
            return edge.observe(target, number(order, "slow_ms", default=0))
        instance = text(order, "instance", WORD)
        return await edge.drain(target, instance, number(order, "deadline_s"))


class Line:
    """Lines both ways over a UNIX socket, and the descriptors that come along."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()
        self._given: socket.socket | None = None

    async def next(self) -> bytes | None:
        """Return the next line; None at the end. Raises `OSError` on one that is too long."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST:
                raise OSError("the line is too long")
            data = await self._receive()
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def take_socket(self) -> socket.socket:
        """Return the listening socket that came; raises `Refused`."""
        if not self._descriptors:
            raise Refused("no_socket", "No socket came with the order", "Send it by SCM_RIGHTS")
        taken = socket.socket(fileno=self._descriptors.popleft())
        if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            taken.close()
            raise Refused("no_socket", "The socket that came does not listen")
        return taken

    def give(self, listener: socket.socket) -> None:
        """Let a socket go with the next answer; it stays ours too."""
        self._given = listener

    def hand_out(self, data: bytes) -> int:
        """Send what is given with the answer's first bytes; return how many these were."""
        given, self._given = self._given, None
        if given is None:
            return 0
        return socket.send_fds(self._connection, [data], [given.fileno()])

    def close(self) -> None:
        for descriptor in self._descriptors:
            socket.close(descriptor)
        self._connection.close()

    async def _receive(self) -> bytes:
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._connection, 65_536, DESCRIPTORS)
            except BlockingIOError:
                await self._readable()
                continue
            self._descriptors += descriptors
            return data

    async def _readable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(self._connection, _wake(ready))
        try:
            await ready
        finally:
            self._loop.remove_reader(self._connection)


def _wake(ready: "asyncio.Future[None]") -> Callable[[], None]:
    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    return wake


def _error(code: str, message: str, hint: str = "") -> Fields:
    return {"error": {"code": code, "message": message, "hint": hint}}
