"""A supervisor of a home of its own for one test, and what a test asks of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from domain.deployment import FULL, Instance, Route
from domain.errors import Unavailable
from domain.hosting import HostState, RouteTraffic, StartProcess
from domain.service import Limits, Probe, Ready
from host.supervisor.census import everybody
from integrations.host_sockets import Sockets

PROGRAM = str(Path(__file__).with_name("program.py"))
TARGET = "shop-1234abcd.web/prod"


class House:
    """Starts `python -m host`, kills it, starts it again; ends all of it in the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "host"
        self.sockets = Sockets(self.folder)
        self.process: subprocess.Popen[bytes] | None = None

    async def open(self) -> HostState:
        """Start a supervisor, and wait until it and its edge answer."""
        words = [sys.executable, "-P", "-m", "host", "--home", str(self.home)]
        self.process = await asyncio.to_thread(subprocess.Popen, words, start_new_session=True)

        async def answers() -> bool:
            try:
                await self.sockets.ping()
            except Unavailable:
                assert self.process is not None
                assert self.process.poll() is None, self.log("host")
                return False
            return True

        await until(answers)
        return await self.sockets.status()

    async def kill(self) -> None:
        """Kill the supervisor, as the machine's own killer would."""
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def leave(self) -> None:
        """End the supervisor; services and edge go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.process.wait, 20) == 0

    async def close(self) -> None:
        """End everything, and see that nothing is left."""
        if self.process is None or self.process.poll() is not None:
            await self.open()
        await self.sockets.shutdown(services=True)
        assert self.process is not None
        await asyncio.to_thread(self.process.wait, 60)

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def start(self, *faults: str, name: str = "r1.0", **changes: object) -> Instance:
        """Start the program with faults; probes are quick."""
        return await self.sockets.start(order(*faults, name=name, **changes))

    async def see(self, name: str = "r1.0") -> Instance:
        found = {each.instance: each for each in await self.sockets.instances()}
        return found[name]

    async def becomes(
        self, fact: Callable[[Instance], bool], name: str = "r1.0", seconds: float = 20
    ) -> Instance:
        """Wait until a fact holds for an instance, and return it then."""
        seen: list[Instance] = []

        async def holds() -> bool:
            seen.append(await self.see(name))
            return fact(seen[-1])

        await until(holds, seconds, lambda: f"{seen[-1]}\n{self.log(name)}\n{self.log('host')}")
        return seen[-1]

    async def ready(self, name: str = "r1.0") -> Instance:
        return await self.becomes(lambda each: each.state == "ready", name)

    async def publish(self, port: int, *instances: Instance) -> int:
        """Give all traffic of the target's port to instances, in equal parts."""
        await self.sockets.declare(TARGET, "127.0.0.1", port)
        generation, _ = await self.sockets.routes(TARGET)
        share, rest = divmod(FULL, len(instances))
        routes = tuple(
            Route(instance=each.instance, address=each.address, version=each.version,
                  digest=each.digest, weight=share + (rest if at == 0 else 0))
            for at, each in enumerate(instances)
        )  # fmt: skip
        return await self.sockets.route(
            RouteTraffic(target=TARGET, routes=routes, expected_generation=generation,
                         op_id=f"publish-{generation}")
        )  # fmt: skip


def order(*faults: str, name: str = "r1.0", **changes: object) -> StartProcess:
    plain = StartProcess(
        instance=name,
        target=TARGET,
        argv=(sys.executable, PROGRAM, "{port}", *faults),
        cwd="/",
        digest="d1",
        version="v1",
        ready=Ready(interval=0.1, timeout=1, deadline=10),
        health=Probe(interval=0.1, timeout=0.5, failures=3),
        limits=Limits(),
        drain_s=5,
    )
    return plain.but(**changes)


async def until(
    fact: Callable[[], Awaitable[bool]],
    seconds: float = 20,
    story: Callable[[], str] = lambda: "waited in vain",
) -> None:
    """Wait until a fact holds; a test that waits in vain fails here."""
    deadline = time.monotonic() + seconds
    while not await fact():
        assert time.monotonic() < deadline, story()
        await asyncio.sleep(0.02)


def holding(word: str) -> list[int]:
    """Return the living processes whose command line holds a word."""
    found = []
    for seen in everybody():
        if seen.ended:
            continue
        try:
            words = Path(f"/proc/{seen.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(word) in words:
            found.append(seen.pid)
    return found
