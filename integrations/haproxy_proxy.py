"""One HAProxy process under the host's supervisor: begun, brought up to date, looked at, ended."""

import asyncio
import errno
import os
import shutil
import socket
import time
from pathlib import Path

from domain.deployment import Counts, Instance
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.hosting import StartProcess
from domain.service import Limits, Probe, Ready
from integrations.haproxy_admin import BACKEND, Admin, Server
from integrations.haproxy_config import ASKED, FILE, ROUTES, VERSIONS, Face
from integrations.haproxy_counts import read_counts
from integrations.haproxy_folder import HaproxyFolder, InForce
from integrations.haproxy_shares import asked_map, routes_map, shares, versions_map, weight
from integrations.host_sockets import Sockets

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"  # where packages put it, not on every PATH
_PATIENCE = 15.0  # seconds until a new process serves
_LOOK = 0.02
_FILES = 20_000  # each request needs two


class Proxy:
    """The HAProxy of one target; the supervisor keeps it alive, and it reads what is in force.

    Whoever changes something holds the lock of `folder`.
    """

    def __init__(self, target: str, folder: HaproxyFolder, host: Sockets, program: str) -> None:
        self.name = f"haproxy.{folder.name[-8:]}"  # no rollout is called so
        self.target = f"haproxy/{target}"
        self.serves = target
        self.folder = folder
        self.admin = Admin(folder.path)
        self._host = host
        self._program = program

    async def answers(self) -> bool:
        try:
            await self.admin.info()
        except Unavailable:
            return False
        return True

    async def known(self) -> Instance | None:
        """Return its process as the supervisor sees it; None: it was never started, or ended."""
        found = await self._host.instances(self.target)
        return next((each for each in found if each.instance == self.name), None)

    async def enforce(self, state: InForce) -> None:
        """Write the state down, then make HAProxy serve it, and read it back.

        Raises `Rejected` (`port_taken`, `bad_address`), `Unavailable` when it does not serve it;
        the order may be repeated.
        """
        assert state.face is not None
        if not await self.answers():
            await self._begin(state, state.face)
        elif (shown := (await self.admin.info()).face) != state.face.label:
            await self._turn(shown, state, state.face)
        await self._apply(state)

    async def _begin(self, state: InForce, face: Face) -> None:
        """Start a process that serves the state from its first moment on."""
        known = await self.known()
        if known is None or known.state in ("down", "crash_loop"):
            _refuse_taken(self.serves, face)
        self.folder.write(state)
        if known and known.state == "crash_loop":
            await self._host.restart(self.name)
        else:
            await self._host.start(self._process())
        await self._wait_until_it_answers()

    async def _turn(self, shown: str, state: InForce, face: Face) -> None:
        """Give it a new face without a pause: a new worker takes the sockets over."""
        if shown.split()[:2] != face.label.split()[:2]:
            _refuse_taken(self.serves, face)
        self.folder.write(state)
        await self.admin.reload()

    async def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not await self.answers():
            seen = await self.known()
            if seen is None or seen.state == "crash_loop" or time.monotonic() > deadline:
                raise Unavailable(
                    f"the HAProxy of {self.serves} does not start: {seen.reason if seen else ''}",
                    code="haproxy_away",
                    hint=f"slipway service logs {self.name}",
                )
            await asyncio.sleep(_LOOK)

    async def _apply(self, state: InForce) -> None:
        """Bring servers first, then move traffic at once for all, then take away."""
        live = await self.admin.servers()
        state = state.with_births(set(live))
        self.folder.write(state)
        for route in state.routes:
            await self._ensure(route.instance, route.address, weight(route), live)
        await self.admin.replace_map(VERSIONS, versions_map(state.routes))
        await self.admin.replace_map(ASKED, asked_map(state.routes))
        await self.admin.replace_map(ROUTES, routes_map(state.routes))
        for route in state.routes:
            if not route.weight:
                await self.admin.order(f"set server {BACKEND}/{route.instance} state drain")
        for name in live.keys() - {route.instance for route in state.routes}:
            await self._remove(name)
        await self._read_back(state)

    async def _ensure(self, name: str, address: str, share: int, live: dict[str, Server]) -> None:
        server, there = f"{BACKEND}/{name}", live.get(name)
        if there is None:
            await self.admin.order(f"add server {server} {address}", answers="New server")
        elif there.address != address:
            host, _, port = address.rpartition(":")
            line = f"set server {server} addr {host} port {port}"
            await self.admin.order(line, answers="no need|addr changed")
        if share:
            await self.admin.order(f"set server {server} weight {share}")
            await self.admin.order(f"set server {server} state ready")

    async def _remove(self, name: str) -> None:
        """Take a server away, with its counts; one that is still in use goes another time."""
        server = f"{BACKEND}/{name}"
        await self.admin.order(f"set server {server} state maint")
        await self.admin.order(f"del server {server}", answers="Server")

    async def _read_back(self, state: InForce) -> None:
        wanted = {route.instance: route.weight for route in state.routes if route.weight}
        found = {name: share for name, share in (await self.shares()).items() if share}
        if found != wanted:
            raise Unavailable(
                f"the HAProxy of {self.serves} serves {found}, ordered was {wanted}",
                code="not_applied",
                hint="does another program change it? The order may be repeated",
            )

    async def shares(self) -> dict[str, int]:
        """Return the basis points of each instance, as HAProxy gives them now."""
        given = shares(await self.admin.read_map(ROUTES))
        servers = await self.admin.servers()
        return {name: given.get(name, 0) if each.serves else 0 for name, each in servers.items()}

    async def counts(self, state: InForce) -> tuple[Counts, ...]:
        """Return the counts of each server since its counters began."""
        worker = (await self.admin.info()).worker
        rows = await self.admin.statistics()
        if (await self.admin.info()).worker != worker:
            raise Unavailable(
                f"the HAProxy of {self.serves} was just started anew", code="haproxy_away"
            )
        life = f"{worker}.{_started(worker)}"
        return tuple(
            read_counts(name, row, f"{life}.{state.born.get(name, 0)}")
            for name, row in sorted(rows.items())
        )

    async def end(self) -> None:
        """End the process; the port is free then."""
        if await self.known():
            await self._host.stop(self.name)

    def _process(self) -> StartProcess:
        program = shutil.which(self._program, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
        if program is None:
            raise Misconfigured(
                f"there is no program {self._program!r}, which serves {self.serves}",
                code="no_haproxy",
                hint="install HAProxy 2.6 or later, for example: apt-get install haproxy",
            )
        return StartProcess(
            instance=self.name,
            target=self.target,
            argv=(program, "-W", "-S", "unix@master.sock,mode,600", "-f", FILE),
            cwd=str(self.folder.path),
            digest="haproxy",
            version="HAProxy",
            ready=Ready(interval=0.1, deadline=_PATIENCE),
            health=Probe(interval=5),
            limits=Limits(files=_FILES, restarts=1_000),
            drain_s=5,
        )


def _started(pid: int) -> str:
    """Return when a process began, in ticks since boot (proc(5)); empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text[text.rindex(")") + 2 :].split()[19]


def _refuse_taken(target: str, face: Face) -> None:
    """Raise `Rejected` where the public port cannot be had; HAProxy says it only in its log."""
    host = "0.0.0.0" if face.host == "*" else face.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, face.port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise Rejected(
                f"port {face.port} of {face.host}, which {target} wants to be reached at, "
                f"is taken by another program"
                if taken
                else f"{target} cannot be reached at {face.host}:{face.port}: {error}",
                code="port_taken" if taken else "bad_address",
                hint="declare another port or host for this environment",
            ) from error
