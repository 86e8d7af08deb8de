"""A rollout with a control and a canary, and a server whose answers a test chooses."""

import asyncio
import json
from typing import Any

from domain.deployment import Instance, Observation
from domain.rollout import RolloutPlan
from domain.service import Analysis, MetricSource
from domain.verdict import JudgeSetup
from tests.rollouts import SECOND, TARGET
from tests.rollouts import plan as some_plan

OLD, OLDER, NEW = "r0.0", "r0.1", f"{SECOND}.0"


def instance(name: str, version: str, **changes: Any) -> Instance:
    made = Instance(
        instance=name, target=TARGET, digest="d", sha="5" * 40, version=version,
        address=f"127.0.0.1:2{name[-1]}000", state="ready",
    )  # fmt: skip
    return made.but(**changes)


def seen(*instances: Instance) -> Observation:
    every = instances or (instance(OLD, "v1"), instance(OLDER, "v1"), instance(NEW, "v2"))
    return Observation(target=TARGET, at_ms=1, generation=1, instances=every)


def plan(*sources: MetricSource, tick: float = 10) -> RolloutPlan:
    setup = JudgeSetup(classes=(), analysis=Analysis(tick=tick, metrics=sources))
    return some_plan(SECOND, setup=setup)


class Answers:
    """An HTTP server on loopback: each path has its answer, and remembers who asked."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}
        self.status = 200
        self.asked: list[str] = []
        self.hanging = False

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, path: str, value: object) -> None:
        self.bodies[path] = value if isinstance(value, str) else json.dumps(value)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        self.asked.append(path)
        if self.hanging:
            await reader.read()  # until the other side goes away
        body = self.bodies.get(path, "null").encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\nLocation: /else\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        writer.close()
