"""HAProxy's Runtime API: one command per connection to a UNIX socket, as its manual describes."""

import asyncio
import csv
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from domain.errors import Unavailable

BACKEND = "instances"
_PATIENCE = 5.0  # seconds for an answer
_LOOK = 0.02
_RELOAD = 15.0  # seconds until a new worker serves
# Bits of srv_admin_state: by order, by configuration, inherited (management guide, 9.3)
_MAINTENANCE, _DRAIN = 0x01 | 0x02 | 0x04 | 0x20, 0x08 | 0x10
_WORKER = re.compile(r"^(\d+)\s+worker\s", re.MULTILINE)

Row = dict[str, str]


class Server:
    """A server line as HAProxy holds it now."""

    def __init__(self, row: Row) -> None:
        self.name = row["srv_name"]
        self.address = f"{row['srv_addr']}:{row['srv_port']}"
        self.weight = int(row["srv_uweight"])
        state = int(row["srv_admin_state"])
        self.asleep = bool(state & _MAINTENANCE)
        self.draining = bool(state & _DRAIN)

    @property
    def serves(self) -> bool:
        """Whether requests that the map sends here are given to it."""
        return not (self.asleep or self.draining)


class Info(NamedTuple):
    """The process that takes new connections, and what its configuration calls its face."""

    worker: int
    face: str


class Admin:
    """Speaks to one HAProxy; raises `Unavailable` when it does not answer, or refuses."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds `admin.sock` of the worker and `master.sock` of its master."""
        self._folder = folder

    async def info(self) -> Info:
        told = await self._ask("show info")
        fields = dict(re.findall(r"^(Pid|description): (.*)$", told, re.MULTILINE))
        if not fields.get("Pid", "").isdigit():
            raise self._away("show info", f"the answer is none: {told[:80]!r}")
        return Info(int(fields["Pid"]), fields.get("description", ""))

    async def order(self, *commands: str, answers: str = "") -> None:
        """Say commands one by one; each is answered by nothing, or begins as in `answers`."""
        for command in commands:
            told = (await self._ask(command)).strip()
            if told and not (answers and re.match(answers, told)):
                raise self._away(command, told)

    async def servers(self) -> dict[str, Server]:
        told = await self._ask(f"show servers state {BACKEND}")
        head, *lines = told.partition("#")[2].strip().splitlines() or [""]
        rows = (dict(zip(head.split(), line.split(), strict=False)) for line in lines)
        return {row["srv_name"]: Server(row) for row in rows}

    async def statistics(self) -> dict[str, Row]:
        """Return the counters of each server."""
        return _rows(await self._ask(f"show stat {BACKEND} 4 -1"))

    async def replace_map(self, file: str, entries: tuple[tuple[str, str], ...]) -> None:
        """Replace a map as a whole: each request sees the old one or the new one."""
        told = await self._ask(f"prepare map {file}")
        found = re.search(r"New version created: (\d+)", told)
        if not found:
            raise self._away(f"prepare map {file}", told.strip())
        version = f"@{found[1]}"
        adds = (f"add map {version} {file} {key} {value}" for key, value in entries)
        await self.order(*adds, f"commit map {version} {file}")

    async def read_map(self, file: str) -> tuple[tuple[str, str], ...]:
        lines = (line.split(None, 2) for line in (await self._ask(f"show map {file}")).splitlines())
        return tuple((words[1], words[2]) for words in lines if len(words) == 3)

    async def reload(self) -> None:
        """Read the configuration anew; a new worker takes over, the old one ends its requests."""
        before = (await self.info()).worker
        await self._ask("reload", door="master.sock")
        try:
            async with asyncio.timeout(_RELOAD):
                await self._have_new(before)
        except TimeoutError as error:
            raise self._away("reload", f"no new worker within {_RELOAD:g} s") from error

    async def _have_new(self, before: int) -> None:
        while True:
            with suppress(Unavailable):
                if (await self.info()).worker != before:
                    return
            await asyncio.sleep(_LOOK)

    async def in_flight(self, server: str) -> int:
        """Return the requests that a server has not ended, those of former workers too."""
        rows = [(await self.statistics()).get(server, {})]
        told = await self._ask("show proc", door="master.sock")
        for pid in _WORKER.findall(told.partition("# old workers")[2]):
            line = f"@!{pid} show stat {BACKEND} 4 -1"
            rows.append(_rows(await self._ask(line, door="master.sock")).get(server, {}))
        return sum(int(row.get("scur") or 0) for row in rows)

    async def _ask(self, line: str, *, door: str = "admin.sock") -> str:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._exchange(line, door)
        except TimeoutError as error:
            raise self._away(line, f"no answer within {_PATIENCE:g} s") from error
        except (OSError, UnicodeDecodeError) as error:
            raise self._away(line, str(error)) from error

    async def _exchange(self, line: str, door: str) -> str:
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # by the folder's descriptor, for a path of any length (unix(7): 107 bytes)
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{door}")
        finally:
            os.close(folder)
        try:
            writer.write(line.encode() + b"\n")
            writer.write_eof()
            return (await reader.read()).decode()
        finally:
            writer.close()

    def _away(self, line: str, what: str) -> Unavailable:
        return Unavailable(
            f"HAProxy at {self._folder} did not carry out `{line[:120]}`: {what}",
            code="haproxy_away",
            hint="slipway service logs haproxy",
        )


def _rows(told: str) -> dict[str, Row]:
    rows = csv.DictReader(told.removeprefix("# ").strip().splitlines())
    return {row["svname"]: row for row in rows if row.get("svname")}
