"""The doctor: what slipway needs on this machine, what is there, and what to do about a lack."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from config.settings import Settings
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.record import Record
from starter.place import foreign_server
from starter.server import connect, find, free_port, server_version, version_of
from starter.state import running

_GIT = (2, 39)  # merge-tree --write-tree
_SERVER = (1, 29, 1)  # lower servers lack what we rely on
_FIXED = {(1, 29): (1, 29, 5), (1, 30): (1, 30, 3)}  # holes between namespaces closed
_DISK_LOW, _DISK_NONE = 5 * 1024**3, 512 * 1024**2
_TIERS = ("none", "limits", "bwrap")


class Check(Record):
    """One thing looked at. `warning` works, but could be better; `lack` must be mended."""

    name: str
    state: Literal["ok", "warning", "lack"]
    found: str
    hint: str = ""


class Report(Record):
    """All checks; `healthy` when nothing is lacking."""

    healthy: bool
    checks: tuple[Check, ...]


def examine(chosen: Settings) -> Report:
    """Look at everything; never raises for what it finds."""
    looks: tuple[Callable[[Settings], Iterator[Check]], ...] = (
        _python, _git, _home, _disk, _sandbox, _binary, _server, _host, _database,
    )  # fmt: skip
    checks = tuple(check for look in looks for check in _safely(look, chosen))
    return Report(healthy=all(check.state != "lack" for check in checks), checks=checks)


def _safely(look: Callable[[Settings], Iterator[Check]], chosen: Settings) -> tuple[Check, ...]:
    try:
        return tuple(look(chosen))
    except (Misconfigured, Unavailable, Rejected) as error:
        name = look.__name__.strip("_")
        hint = error.problem.hint
        return (Check(name=name, state="lack", found=error.problem.message, hint=hint),)


def _python(_: Settings) -> Iterator[Check]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    yield Check(name="python", state="ok", found=f"{found} ({sys.executable})")


def _git(_: Settings) -> Iterator[Check]:
    if shutil.which("git") is None:
        yield Check(name="git", state="lack", found="none on PATH", hint="Install git >= 2.39.")
        return
    said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"(\d+)\.(\d+)[\d.]*", said)
    if version is None or (int(version[1]), int(version[2])) < _GIT:
        hint = "Install git >= 2.39 (slipway merges with `merge-tree --write-tree`)."
        yield Check(name="git", state="lack", found=said.strip(), hint=hint)
    else:
        yield Check(name="git", state="ok", found=version[0])


def _home(chosen: Settings) -> Iterator[Check]:
    nearest = _nearest(chosen.home)
    if os.access(nearest, os.W_OK):
        yield Check(name="home", state="ok", found=str(chosen.home))
    else:
        hint = "Set SLIPWAY_HOME to a folder that you may write."
        yield Check(name="home", state="lack", found=f"{nearest} is not writable", hint=hint)


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _disk(chosen: Settings) -> Iterator[Check]:
    free = shutil.disk_usage(_nearest(chosen.home)).free
    found = f"{free / 1024**3:.1f} GiB free"
    hint = f"Make room on the disk of {chosen.home}, or set SLIPWAY_HOME to another."
    if free < _DISK_NONE:
        yield Check(name="disk", state="lack", found=found, hint=hint)
    elif free < _DISK_LOW:
        yield Check(name="disk", state="warning", found=found, hint=hint)
    else:
        yield Check(name="disk", state="ok", found=found)


def _sandbox(chosen: Settings) -> Iterator[Check]:
    tier, why = _tier()
    if _TIERS.index(tier) < _TIERS.index(chosen.minimum_tier):
        found = f"tier {tier}, but SLIPWAY_MINIMUM_TIER asks for {chosen.minimum_tier}: {why}"
        hint = "Install bubblewrap (`bwrap`) with user namespaces, or lower SLIPWAY_MINIMUM_TIER."
        yield Check(name="sandbox", state="lack", found=found, hint=hint)
    elif tier != "bwrap":
        hint = "Install bubblewrap (`bwrap`), so that agents and gates see only their workspace."
        yield Check(name="sandbox", state="warning", found=f"tier {tier}: {why}", hint=hint)
    else:
        yield Check(name="sandbox", state="ok", found=f"tier {tier}")


def _tier() -> tuple[str, str]:
    """Return the best tier that works here, and why it is not a better one."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "limits", "no `bwrap` on PATH"
    probe = [bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"]
    try:
        run = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=10)
    except subprocess.TimeoutExpired:
        return "limits", "`bwrap` does not end"
    if run.returncode != 0:
        return "limits", f"`bwrap` does not work: {run.stderr.strip()[:200]}"
    return "bwrap", ""


def _binary(chosen: Settings) -> Iterator[Check]:
    if foreign_server() is not None:
        return
    binary = find(chosen)
    if binary is None:
        ways = "the vendor's download" + (" or `go install`" if shutil.which("go") else "")
        found = f"not here yet; the first `slipway up` gets it by {ways}"
        hint = "Or put `temporal` on PATH, or name it in SLIPWAY_TEMPORAL_BIN."
        yield Check(name="temporal", state="warning", found=found, hint=hint)
        return
    version = version_of(binary.path, chosen)
    found = f"{binary.path} (from {binary.origin}), server {version}"
    if _numbers(version) < _SERVER:
        hint = f"Use one with server {_spell(_SERVER)} or newer; unset it to let slipway get one."
        yield Check(name="temporal", state="lack", found=found, hint=hint)
    else:
        yield Check(name="temporal", state="ok", found=found)


def _server(chosen: Settings) -> Iterator[Check]:
    options = foreign_server()
    if options is not None:
        yield from asyncio.run(_look_at(options, own=False))
        return
    state = running(chosen.home)
    if state is not None:
        yield from asyncio.run(_look_at({"target_host": state.server.address}, own=True))
        yield Check(name="ui", state="ok", found=state.server.ui)
        return
    yield Check(name="server", state="warning", found="not running", hint="Start it: `slipway up`.")
    taken = [port for port in (7233, 8233) if free_port(port) != port]
    if taken:
        ports = ", ".join(str(port) for port in taken)
        found = f"{ports} taken by another program; `slipway up` picks free ones"
        yield Check(name="ports", state="ok", found=found)


async def _look_at(options: dict[str, Any], *, own: bool) -> list[Check]:
    from starter.init import missing_attributes

    options = dict(options)
    address = options.pop("target_host")
    client = await connect(address, seconds=3, **options)
    version = await server_version(client)
    checks = [_judged_version(address, version, own=own)]
    missing = await missing_attributes(client)
    if missing:
        names = ", ".join(name for name, _ in missing)
        hint = "`slipway down` and `up` register them." if own else "Run `slipway init`."
        found = f"not registered: {names}"
        checks.append(Check(name="search attributes", state="lack", found=found, hint=hint))
    else:
        checks.append(Check(name="search attributes", state="ok", found="all registered"))
    return checks


def _judged_version(address: str, version: str, *, own: bool) -> Check:
    """Below the fixed versions: a warning on loopback, a lack elsewhere."""
    found = f"{address}, version {version}"
    numbers = _numbers(version)
    local = own or address.startswith(("127.", "localhost", "[::1]"))
    if numbers < _SERVER:
        hint = f"Upgrade it to {_spell(_SERVER)} or newer."
        return Check(name="server", state="lack", found=found, hint=hint)
    if numbers < _FIXED.get((numbers[0], numbers[1]), ()):
        hint = "Has known holes between namespaces (CVE-2025-14986, CVE-2026-5199): "
        hint += "keep its port on loopback." if local else "upgrade to 1.29.5, 1.30.3 or newer."
        return Check(name="server", state="warning" if local else "lack", found=found, hint=hint)
    return Check(name="server", state="ok", found=found)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _spell(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _host(chosen: Settings) -> Iterator[Check]:
    from starter.hosting import Host

    if sys.platform != "linux":
        hint = "The driver `local` does not work here; another one may."
        yield Check(name="host", state="warning", found="services run on Linux only", hint=hint)
        return
    state = asyncio.run(Host(chosen.home).status())
    if state is None:
        hint = "Start it: `slipway up`."
        yield Check(name="host", state="warning", found="no supervisor of services", hint=hint)
        return
    found = f"supervisor {state.pid}, {state.instances} instances of {len(state.targets)} targets"
    if state.edge_pid:
        yield Check(name="host", state="ok", found=f"{found}, edge {state.edge_pid}")
    else:
        hint = f"Look into {chosen.host}/logs/edge.log."
        yield Check(name="host", state="lack", found=f"{found}, no edge", hint=hint)


def _database(chosen: Settings) -> Iterator[Check]:
    from starter.lookup import open_reads

    async def look() -> str:
        async with open_reads(chosen) as reads:
            lines = await reads.list_ideas(limit=1)
        return f"newest idea {lines[0].key}" if lines else "no ideas yet"

    shown = re.sub(r"//[^/@]*@", "//***@", chosen.database)  # never a password
    yield Check(name="database", state="ok", found=f"{shown}: {asyncio.run(look())}")
