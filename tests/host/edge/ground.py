"""An edge of its own for a test, apps behind it, and raw clients in front."""

import asyncio
import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domain.deployment import Counts, Route
from domain.hosting import InspectRoutes, Listen, Observe, RouteTraffic
from domain.record import Record
from tests.processes import until

TARGET = "shop.web/prod"
PATIENCE = 15.0  # seconds; what takes longer hangs


class Edge:
    """Plays the supervisor: holds the public socket, starts and kills the edge."""

    def __init__(self, folder: Path, *limits: str) -> None:
        self.folder = folder
        self.limits = limits
        self.door = folder / "edge.sock"
        self.public = listening()
        self.port = int(self.public.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.generation = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        """Start a process, and hand it the public socket."""
        words = [sys.executable, "-m", "host.edge"]
        words += ["--state", str(self.folder / "edge"), "--admin", str(self.door)]
        for limit in self.limits:
            words += ["--limit", limit]
        self.door.unlink(missing_ok=True)
        self.process = await asyncio.to_thread(subprocess.Popen, words)
        self._started.append(self.process)
        await until(self._answers)
        await self.say(Listen(target=TARGET), self.public)

    def _answers(self) -> bool:
        assert self.running.poll() is None, "the edge ended"
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self.door)) == 0

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    async def kill(self) -> None:
        self.running.kill()
        await asyncio.to_thread(self.running.wait, PATIENCE)

    def terminate(self) -> None:
        self.running.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for the end of the process; return its exit code."""
        return await asyncio.to_thread(self.running.wait, PATIENCE)

    async def close(self) -> None:
        """End every process that this test started, and the public socket."""
        for process in self._started:
            process.kill()
            await asyncio.to_thread(process.wait, PATIENCE)
        self.public.close()

    async def say(
        self, order: Record | dict[str, object] | bytes, *sockets: socket.socket
    ) -> dict[str, object]:
        """Give an order over a connection of its own, and return the answer."""
        if isinstance(order, Record):
            order = order.model_dump_json().encode()
        line = (order if isinstance(order, bytes) else json.dumps(order).encode()) + b"\n"
        return await asyncio.to_thread(self._say, line, sockets)

    def _say(self, line: bytes, sockets: Sequence[socket.socket]) -> dict[str, object]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.door))
            socket.send_fds(connection, [line], [each.fileno() for each in sockets])
            answer = b""
            while not answer.endswith(b"\n"):
                more = connection.recv(65_536)
                if not more:
                    raise ConnectionError("the edge closed the admin connection")
                answer += more
        found = json.loads(answer)
        assert isinstance(found, dict)
        return found

    async def route(self, weights: "dict[App, int]", **more: object) -> int:
        """Route by basis points, as the next generation."""
        routes = tuple(app.route(weight) for app, weight in weights.items())
        order = RouteTraffic(
            target=TARGET,
            routes=routes,
            expected_generation=self.generation,
            op_id=f"op-{self.generation}",
        )
        answer = await self.say(order.but(**more))
        self.generation = int(str(answer["generation"]))
        return self.generation

    async def inspect(self) -> dict[str, object]:
        return await self.say(InspectRoutes(target=TARGET))

    async def observe(self, slow_ms: float = 0) -> dict[str, Counts]:
        """Return the counts by instance."""
        answer = await self.say(Observe(target=TARGET, slow_ms=slow_ms))
        listed = answer["counts"]
        assert isinstance(listed, list)
        return {each["instance"]: Counts.model_validate(each) for each in listed}

    async def refused(self) -> int:
        """Return how many answers the edge gave without asking an instance."""
        answer = await self.say(Observe(target=TARGET))
        by_class = answer["refused"]
        assert isinstance(by_class, dict)
        return sum(by_class.values())

    def resident_kb(self) -> int:
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def log(self) -> str:
        path = self.folder / "edge" / "edge.log"
        return path.read_text() if path.exists() else ""


@dataclass
class Call:
    """A request as an app sees it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return a header's values, joined; empty when it is missing."""
        return ", ".join(value for key, value in self.headers if key.lower() == name.lower())

    def names(self) -> set[str]:
        return {name.lower() for name, _ in self.headers}


Answer = Callable[[Call], Awaitable[None]]


@dataclass(eq=False)
class App:
    """A server of HTTP/1.1 that answers as it is told to; it reads bodies unless `streams`."""

    name: str
    answer: Answer | None = None
    version: str = ""
    streams: bool = False
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    address: str = ""
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=1 << 20)
        host, number = self._server.sockets[0].getsockname()
        self.address = f"{host}:{number}"

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def route(self, weight: int) -> Route:
        version = self.version or self.name
        return Route(
            instance=f"{self.name}.0",
            address=self.address,
            version=version,
            digest=f"sha-{version}",
            weight=weight,
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                call = await _call(reader, writer)
                if not self.streams:
                    call.body = await read_body(call)
                self.calls.append(call)
                await (self.answer or self._hello)(call)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the edge closed, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _hello(self, call: Call) -> None:
        reply(call, self.name.encode())


def reply(call: Call, body: bytes = b"", status: str = "200 OK", *lines: str) -> None:
    """Answer with a body of known length; HEAD gets the length only."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines]
    call.writer.write("\r\n".join((*head, "", "")).encode())
    if call.method != "HEAD":
        call.writer.write(body)


def says(raw: bytes, *, close: bool = False) -> Answer:
    """Return an app's answer of these very bytes."""

    async def answer(call: Call) -> None:
        call.writer.write(raw)
        if close:
            call.writer.close()
            await call.writer.wait_closed()

    return answer


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Call(method, target, headers, reader, writer)


async def read_body(call: Call) -> bytes:
    """Read a body to its end."""
    if call.header("transfer-encoding") == "chunked":
        pieces = []
        while size := int(await call.reader.readline(), 16):
            pieces.append(await call.reader.readexactly(size))
            await call.reader.readexactly(2)
        await call.reader.readline()
        return b"".join(pieces)
    return await call.reader.readexactly(int(call.header("content-length") or 0))


def listening() -> socket.socket:
    """Return a socket that listens on a free port of this machine."""
    public = socket.socket()
    public.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    public.bind(("127.0.0.1", 0))
    public.listen(1_024)
    return public


def get(path: str = "/", *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: shop.test", *lines, "", "")).encode()


async def exchange(port: int, data: bytes, *, eof: bool = False) -> bytes:
    """Send bytes, and return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(data)
            await writer.drain()
            if eof:
                writer.write_eof()
            return await reader.read()
    except ConnectionResetError:
        return b"(reset)"
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one answer with a known length: status, headers by small name, body."""
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split(" ")[1]), headers, body


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave with a reset, as who dies or has enough."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def status_of(answer: bytes) -> int:
    """Return the status of a raw answer; 0 when there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
