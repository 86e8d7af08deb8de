"""Where the drivers `haproxy` and `command` deploy to in a test."""

import sys
from pathlib import Path

from activities.deployment_ports import Driver
from domain.service import Environment
from integrations.command_driver import CommandDriver
from integrations.git import Git
from integrations.haproxy import HaproxyDriver
from integrations.local_driver import LocalDriver
from integrations.process import Processes
from tests.host.supervisor.house import House
from tests.integrations.drivers.site import free_port
from tests.processes import KEEPER

PROGRAM = Path(__file__).parents[3] / "docs/examples/driver/deploy.py"


class HaproxySite:
    """The driver `haproxy`: a supervisor, and the real HAProxy of this machine."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.home = folder / "home"
        self.house = House(self.home)
        processes = Processes(sys.executable, KEEPER, "limits")
        self.local = LocalDriver(folder / "releases", self.house.folder, git, processes)
        self.driver: Driver = self.another()
        self.environment = Environment(driver="haproxy", port=free_port(), env={"COLOUR": "blue"})

    def another(self) -> HaproxyDriver:
        """Return a driver that knows nothing yet, as that of a worker which was started again."""
        return HaproxyDriver(self.local, self.house.folder, self.home / "haproxy")

    async def open(self) -> None:
        await self.house.open()

    async def close(self) -> None:
        await self.house.close()
        assert living_below(self.home) == []


class CommandSite:
    """The driver `command` with the program that the guide shows."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.house = House(folder / "home")
        self.driver: Driver = CommandDriver(folder / "command", git, {"PATH": "/usr/bin:/bin"})
        self.environment = Environment(
            driver="command",
            command=(sys.executable, str(PROGRAM), str(self.house.folder)),
            port=free_port(),
            env={"COLOUR": "blue"},
        )

    async def open(self) -> None:
        await self.house.open()

    async def close(self) -> None:
        await self.house.close()


def living_below(folder: Path) -> list[int]:
    """Return the processes that work in a folder, or below."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            place = (each / "cwd").resolve(strict=True)
        except OSError:
            continue
        if place.is_relative_to(folder):
            found.append(int(each.name))
    return found
