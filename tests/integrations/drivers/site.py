"""Where a driver deploys to in a test: repository, place, public address, and the end of it."""

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from activities.deployment_ports import Driver
from domain.deployment import (
    FULL,
    Artefact,
    BuildOrder,
    Instance,
    ObserveOrder,
    Place,
    StartOrder,
    WeightOrder,
)
from domain.repository import Repository
from domain.service import Environment, Probe, Ready, Service
from integrations.git import Git
from integrations.local_driver import LocalDriver
from integrations.process import Processes
from tests.host.supervisor.house import House
from tests.integrations import git_sandbox
from tests.processes import KEEPER

APPLICATION = Path(__file__).with_name("application.py").read_text()


class Site(Protocol):
    """What the suite needs of a driver's surroundings."""

    driver: Driver
    environment: Environment

    async def open(self) -> None: ...

    async def close(self) -> None:
        """End everything, and raise AssertionError if something is left."""
        ...


class LocalSite:
    """The driver `local`, with a supervisor and an edge of its own."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.house = House(folder / "home")
        processes = Processes(sys.executable, KEEPER, "limits")
        self.driver: Driver = LocalDriver(folder / "releases", self.house.folder, git, processes)
        self.environment = Environment(driver="local", port=free_port(), env={"COLOUR": "blue"})

    async def open(self) -> None:
        await self.house.open()

    async def close(self) -> None:
        await self.house.close()


SITES: dict[str, Callable[[Path, Git], Site]] = {"local": LocalSite}


class Stage:
    """One repository with one service at one site; the words of the suite."""

    def __init__(self, folder: Path, site: Site, git: Git) -> None:
        self.site = site
        self.driver = site.driver
        self.environment = site.environment
        self.address = f"127.0.0.1:{site.environment.port}"
        self._git = git
        self._folder = folder / "a shop"
        self._repository = Repository(id="", name="", location="", base="")
        self.service = Service(
            build=("cp VERSION BUILT",),
            run=(sys.executable, "{release}/application.py", "{port}"),
            ready=Ready(interval=0.1, timeout=1, deadline=10),
            health=Probe(interval=0.2, timeout=1),
            drain=3,
            environments={"prod": site.environment},
        )

    async def prepare(self) -> None:
        """Make the repository."""
        files = {"application.py": APPLICATION, "VERSION": "one\n"}
        git_sandbox.make(self._folder, files)
        self._repository, _ = await self._git.inspect(str(self._folder))

    @property
    def place(self) -> Place:
        return Place(repository=self._repository, service="web", environment="prod")

    async def commit(self, version: str) -> str:
        """Commit another version; return the commit, which is in the store."""
        if (self._folder / "VERSION").read_text().strip() != version:
            git_sandbox.commit(self._folder, {"VERSION": f"{version}\n"}, version)
        return await self._git.import_base(self._repository)

    async def build(self, version: str) -> Artefact:
        order = BuildOrder(place=self.place, sha=await self.commit(version), service=self.service)
        return await self.driver.build(order)

    def start_order(self, artefact: Artefact, rollout: str, replica: int = 0) -> StartOrder:
        return StartOrder(
            place=self.place, rollout=rollout, replica=replica, artefact=artefact,
            service=self.service, environment=self.environment, version=f"v-{rollout}",
        )  # fmt: skip

    async def run(self, version: str, rollout: str) -> Instance:
        """Build, start, and wait until it is ready."""
        begun = await self.driver.start(self.start_order(await self.build(version), rollout))
        return await self.becomes(begun.instance, lambda each: each.state == "ready")

    async def probe(self, instance: str) -> Instance:
        return await self.driver.probe(self.place, self.environment, instance)

    async def becomes(self, instance: str, fact: Callable[[Instance], bool]) -> Instance:
        """Wait until a fact holds for an instance; return it then."""
        deadline = time.monotonic() + 20
        while not fact(seen := await self.probe(instance)):
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.05)
        return seen

    def weights(self, shares: dict[str, int], expected: int, op: str) -> WeightOrder:
        return WeightOrder(
            place=self.place, service=self.service, environment=self.environment,
            weights=shares, expected_generation=expected, op=op,
        )  # fmt: skip

    async def give_all(self, instance: str, op: str = "") -> int:
        """Give one instance all traffic, at whatever generation is in force."""
        seen = await self.driver.inspect(self.place, self.environment)
        op = op or f"all/{instance}/{seen.generation}"
        return await self.driver.set_weights(self.weights({instance: FULL}, seen.generation, op))

    async def counts(self, instance: str) -> dict[str, int]:
        """Return what an instance was asked and has answered, by class."""
        order = ObserveOrder(place=self.place, service=self.service, environment=self.environment)
        seen = await self.driver.observe(order)
        found = next((each for each in seen.counts if each.instance == instance), None)
        return {"started": found.started, **found.done} if found else {}

    async def settled(self, instance: str, expected: dict[str, int]) -> dict[str, int]:
        """Wait until the counts are as expected; what differs in the end is returned."""
        deadline = time.monotonic() + 10
        while True:
            found = {name: n for name, n in (await self.counts(instance)).items() if n}
            if found == expected or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.05)

    async def get(self, path: str = "/", address: str = "") -> tuple[int, str]:
        """Send one request to the public address; return status and body."""
        host, port = (address or self.address).rsplit(":", 1)
        async with asyncio.timeout(15):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        return int(head.split()[1]), body.decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def together(*works: Awaitable[object]) -> list[object]:
    return list(await asyncio.gather(*works))
