"""The field of the edge's measures: an origin, the edge and its rivals in front of it, load.

The origin is HAProxy answering by itself, the load generators are wrk and hey: all Debian
packages that nobody here wrote, each a process of its own.
"""

import asyncio
import csv
import io
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from domain.deployment import FULL, Route
from domain.errors import Misconfigured
from domain.hosting import Listen, Observe, RouteTraffic
from domain.record import Record
from starter.server import free_port

TARGET = "bench.web/prod"
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")
# What a browser says, more or less.
HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept: text/html,application/xhtml+xml",
    "Accept-Encoding: gzip, deflate",
    "Accept-Language: en",
    "Cookie: session=0123456789abcdef; theme=dark",
)
COMMON = """
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
"""
ORIGIN = """
frontend f{port}
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/html string "{text}" hdr Cache-Control no-store
"""
PROXY = """
frontend front
    bind 127.0.0.1:{port}
    option forwardfor
    default_backend behind
backend behind
    server a 127.0.0.1:{one} weight 80
    server b 127.0.0.1:{two} weight 20
"""


class Load(Record):
    """What a load generator saw."""

    rate: float  # answers per second
    failed: int  # other statuses, broken connections, timeouts
    requests: int


class Field:
    """Ports and processes; all serve the same two origins, 80 to 20."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origins = (free_port(), free_port())
        self.haproxy, self.minimal = free_port(), free_port()
        self.public = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        self.edge = int(self.public.getsockname()[1])
        self.processes: dict[str, Process] = {}
        self.generation = 0

    async def open(self) -> None:
        """Start everything; raises `Misconfigured` where a program is missing."""
        for name in ("haproxy", "wrk", "hey"):
            if shutil.which(name) is None:
                raise Misconfigured(f"{name} is not on PATH", hint=f"apt install {name}")
        one, two = self.origins
        text = "hello from the origin " * 10
        self._write("origin", "".join(ORIGIN.format(port=p, text=text) for p in self.origins))
        self._write("haproxy", PROXY.format(port=self.haproxy, one=one, two=two))
        for name in ("origin", "haproxy"):
            await self._start(name, "haproxy", "-db", "-q", "-f", f"{self.folder}/{name}.cfg")
        python, servers = sys.executable, (f"127.0.0.1:{one}=80", f"127.0.0.1:{two}=20")
        rival = ("-m", "bench.rivals.minimal_proxy", str(self.minimal), *servers)
        await self._start("minimal", python, *rival)
        state = ("--state", f"{self.folder}/edge", "--admin", f"{self.folder}/edge.sock")
        await self._start("edge", python, "-m", "host.edge", *state)
        for port in (*self.origins, self.haproxy, self.minimal):
            await _answers(lambda port=port: asyncio.open_connection("127.0.0.1", port))
        await _answers(lambda: asyncio.open_unix_connection(f"{self.folder}/edge.sock"))
        await self.say(Listen(target=TARGET), self.public)
        await self.weigh(2_000)

    def _write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.cfg").write_text(COMMON + text)

    async def _start(self, name: str, *words: str) -> None:
        self.processes[name] = await asyncio.create_subprocess_exec(
            *words, stdout=DEVNULL, stderr=DEVNULL
        )

    async def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            await process.wait()
        self.public.close()

    async def say(self, order: Record, *sockets: socket.socket) -> dict[str, object]:
        """Ask the edge; raises `RuntimeError` when it refuses."""
        line = order.model_dump_json().encode() + b"\n"
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(f"{self.folder}/edge.sock")
            socket.send_fds(door, [line], [each.fileno() for each in sockets])
            door.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=door)
            answer = json.loads(await reader.readline())
            writer.close()
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        assert isinstance(answer, dict)
        return answer

    async def weigh(self, canary: int) -> None:
        """Give the second origin these basis points."""
        weights = (FULL - canary, canary)
        routes = tuple(
            Route(instance=f"{port}", address=f"127.0.0.1:{port}", version="", digest="", weight=w)
            for port, w in zip(self.origins, weights, strict=True)
        )
        order = RouteTraffic(
            target=TARGET,
            routes=routes,
            expected_generation=self.generation,
            op_id=str(self.generation),
        )
        await self.say(order)
        self.generation += 1

    async def counted(self) -> int:
        """Return how many requests the edge has begun."""
        counts = (await self.say(Observe(target=TARGET)))["counts"]
        assert isinstance(counts, list)
        return sum(each["started"] for each in counts)

    def cpu_s(self, name: str) -> float:
        """Return the processor time that a process has used."""
        stat = Path(f"/proc/{self.processes[name].pid}/stat").read_text().rpartition(")")[2]
        return sum(map(int, stat.split()[11:13])) / TICKS

    def resident_kb(self) -> int:
        status = Path(f"/proc/{self.processes['edge'].pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@asynccontextmanager
async def field() -> AsyncIterator[Field]:
    """Start the field in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="slipway-edge-") as name:
        found = Field(Path(name))
        try:
            await found.open()
            yield found
        finally:
            await found.close()


async def full_load(port: int, seconds: float, *headers: str) -> Load:
    """As many requests as there are answers, over kept connections (wrk, one thread)."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", *_headers(headers)]
    said = await _run(*words, f"http://127.0.0.1:{port}/")
    errors = re.findall(
        r"Non-2xx or 3xx responses: (\d+)|(?:connect|read|write|timeout) (\d+)", said
    )
    return Load(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        failed=sum(int(one or other) for one, other in errors),
        requests=int(_found(r"(\d+) requests in", said)),
    )


async def latencies_ms(port: int, seconds: float, rate: float) -> list[float]:
    """Return latencies at a fixed rate (hey)."""
    each = max(1, round(rate / CONNECTIONS))
    words = ["hey", "-z", f"{seconds:g}s", "-c", str(CONNECTIONS), "-q", str(each), "-o", "csv"]
    said = await _run(*words, *_headers(()), f"http://127.0.0.1:{port}/")
    rows = list(csv.DictReader(io.StringIO(said)))
    wrong = [row for row in rows if row["status-code"] != "200"]
    if wrong or not rows:
        raise RuntimeError(f"{len(wrong)} of {len(rows)} requests failed at a fixed rate")
    return [float(row["response-time"]) * 1_000 for row in rows]


def _headers(more: Sequence[str]) -> list[str]:
    return [word for header in (*HEADERS, *more) for word in ("-H", header)]


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the load generator said nothing of {pattern}: {text[:400]}")
    return found[1]


async def _run(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE, stderr=DEVNULL)
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode()


async def _answers(connect) -> None:  # type: ignore[no-untyped-def]
    """Wait until a connection is accepted."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await connect()
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
