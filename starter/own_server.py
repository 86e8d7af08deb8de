"""Our own Temporal development server as a child of the up process, proven to be ours."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from domain.errors import Misconfigured, Unavailable
from domain.record import Record
from starter.child import Child, Family
from starter.files import CappedLog, tail, write_whole
from starter.server import connect, free_port, search_attributes, server_version, start_argv
from starter.state import RunningServer

_PORT, _UI_PORT = 7233, 8233  # what Temporal's own tools expect, where they are free
_READY_SECONDS = 30


class Mark(Record):
    """What we know of the database file: who made it, where it was served, and its secret."""

    version: str
    nonce: str
    port: int = _PORT
    ui_port: int = _UI_PORT


class OwnServer:
    """Started, restarted on the same port and file, and stopped by the up process."""

    def __init__(
        self, family: Family, binary: Path, version: str, folder: Path, logs: Path
    ) -> None:
        self._family = family
        self._binary = binary
        self._version = version
        self._folder = folder
        self._log_file = logs / "temporal.log"
        self._log = CappedLog(self._log_file)
        self._child: Child | None = None
        self._lock = -1
        self.running = RunningServer(address="")
        self.nonce = ""

    async def start(self) -> None:
        """Start it and prove that it is ours.

        Raises `Misconfigured` when the database was made by another server version,
        `Unavailable` when the server does not come up or a stranger answers.
        """
        await self._hold_database()
        await self._launch(self._mark())

    async def restart(self) -> None:
        """Start it again where it was; for one that has died."""
        await self._launch(self._mark())

    async def died(self) -> int:
        """Wait until the child is reaped; its exit code."""
        assert self._child is not None
        return await self._child.ended()

    async def stop(self) -> None:
        """End the child, which closes its database first."""
        if self._child:
            await self._child.stop(patience=8)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self._log.close()

    @property
    def _database(self) -> Path:
        return self._folder / "temporal.db"

    def _mark(self) -> Mark:
        """Return what is known of the database, with the ports that it is served on now."""
        path = self._folder / "server.json"
        try:
            mark = Mark.model_validate_json(path.read_text())
        except (OSError, ValidationError):
            mark = Mark(version=self._version, nonce=secrets.token_hex(16))
        if not self._database.exists():
            mark = mark.but(version=self._version)
        elif mark.version != self._version:
            raise self._other_version(mark.version)
        ports = self.running.address and (mark.port, mark.ui_port)
        port, ui_port = ports or (free_port(mark.port), free_port(mark.ui_port))
        mark = mark.but(port=port, ui_port=ui_port)
        write_whole(path, mark.model_dump_json(indent=1) + "\n")
        return mark

    def _other_version(self, maker: str) -> Misconfigured:
        return Misconfigured(
            f"{self._database} was made by Temporal server {maker}, but {self._binary} is "
            f"{self._version}: a database is opened only by the version that made it",
            code="server_version",
            path=str(self._database),
            hint=(
                f"Name a binary with server {maker} in SLIPWAY_TEMPORAL_BIN, or move the file "
                "away (running ideas then lose their run; what is on record stays)."
            ),
        )

    async def _hold_database(self) -> None:
        """Take the lock that a server of ours holds for as long as it lives, even alone."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "server.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + 15
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Another Temporal server still has {self._database} open",
                    code="database_in_use",
                    path=str(self._database),
                    hint=f"End the process that holds {path} (lsof {path} names it).",
                )
            await asyncio.sleep(0.05)

    async def _launch(self, mark: Mark) -> None:
        argv = start_argv(
            self._binary,
            port=mark.port,
            ui_port=mark.ui_port,
            database=self._database,
            attributes=search_attributes(),
        )
        child = self._child = await self._family.spawn(
            argv, self._log, env=os.environ, inherit=(self._lock,)
        )
        self.nonce = mark.nonce
        self.running = RunningServer(
            address=f"127.0.0.1:{mark.port}",
            ui=f"http://127.0.0.1:{mark.ui_port}",
            pid=child.pid,
            born=child.born,
            version=self._version,
        )
        await self._ready(child, mark)

    async def _ready(self, child: Child, mark: Mark) -> None:
        """Wait until it serves and is proven, or until it has died."""
        proof = asyncio.create_task(self._prove(mark))
        death = asyncio.create_task(child.ended())
        await asyncio.wait((proof, death), return_when=asyncio.FIRST_COMPLETED)
        if not child.running:
            proof.cancel()
            raise Unavailable(
                f"The Temporal server ended at its start with exit code {death.result()}: "
                f"{tail(self._log_file, 3)}",
                code="server_died",
                path=str(self._log_file),
                hint=f"Its log is {self._log_file}.",
            )
        death.cancel()
        try:
            await proof
        except Unavailable:
            await child.stop(patience=5)
            raise

    async def _prove(self, mark: Mark) -> None:
        client = await connect(self.running.address, seconds=_READY_SECONDS)
        version = await server_version(client)
        said = await _description(client)
        if not said and await _has_our_attributes(client):
            said = await _describe(client, mark.nonce)
        if said != _sentence(mark.nonce) or version != self._version:
            raise Unavailable(
                f"The server that answers at {self.running.address} is not the one that was "
                f"started there (it is version {version})",
                code="stranger",
                hint=f"End the program that holds that port, or remove {self._folder}/server.json.",
            )


def _sentence(nonce: str) -> str:
    return f"slipway {nonce}"


async def _description(client: Any) -> str:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    told = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    return str(told.namespace_info.description)


async def _describe(client: Any, nonce: str) -> str:
    from temporalio.api.namespace.v1 import UpdateNamespaceInfo
    from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest

    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace="default", update_info=UpdateNamespaceInfo(description=_sentence(nonce))
        )
    )
    return await _description(client)


async def _has_our_attributes(client: Any) -> bool:
    """Whether the server knows our search attributes, as only the one we started just now does."""
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

    told = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    return all(name in told.custom_attributes for name, _ in search_attributes())
