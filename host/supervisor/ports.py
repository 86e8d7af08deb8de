"""Ports: which are free, who listens on which (proc(5), net/tcp), and the sockets of the public."""

import os
import random
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from domain.errors import Rejected, Unavailable

RANGE = range(20_000, 30_000)  # below the ports that Linux gives to outgoing connections
BACKLOG = 4_096  # connections that wait while the edge starts again
_LISTEN = "0A"


def choose(taken: Collection[int]) -> int:
    """Return a port that nobody listens on and no instance was given.

    Raises `Unavailable` when there is none.
    """
    ports = list(RANGE)
    random.shuffle(ports)
    for port in ports:
        if port not in taken and _bindable(port):
            return port
    raise Unavailable(
        f"no port from {RANGE.start} to {RANGE.stop - 1} is free", code="no_port",
        hint="stop services that are not needed: slipway service status",
    )  # fmt: skip


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))  # every IPv4 address at once; nothing ever listens
        except OSError:
            return False
    return True


def listeners() -> dict[int, int]:
    """Return inode and port of every TCP socket of this machine that listens."""
    found: dict[int, int] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/self/net", name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                found[int(fields[9])] = int(fields[1].rpartition(":")[2], 16)
    return found


def _inodes(pid: int) -> set[int]:
    """Return the sockets that a process holds; empty where we may not look."""
    found = set()
    try:
        with os.scandir(f"/proc/{pid}/fd") as descriptors:
            for descriptor in descriptors:
                target = os.readlink(descriptor.path)  # noqa: PTH115
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    except OSError:
        return found
    return found


def ports_of(pids: Iterable[int]) -> set[int]:
    """Return the ports that these processes listen on."""
    known = listeners()
    held = {inode for pid in pids for inode in _inodes(pid)}
    return {port for inode, port in known.items() if inode in held}


def holders(port: int) -> set[int]:
    """Return the processes that listen on a port, as far as we may see them."""
    inodes = {inode for inode, each in listeners().items() if each == port}
    names = os.listdir("/proc") if inodes else ()  # noqa: PTH208
    return {int(name) for name in names if name.isdigit() and inodes & _inodes(int(name))}


def holder(port: int) -> str:
    """Say who listens on a port; empty: nobody does."""
    if port not in listeners().values():
        return ""
    pids = sorted(holders(port))
    return f"process {pids[0]} ({_name(pids[0])})" if pids else "another program"


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended meanwhile"


def listen(target: str, host: str, port: int) -> socket.socket:
    """Bind a public port and listen; raises `Rejected` (`port_taken`, `bad_address`)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    public = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        public.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        public.bind((host, port))
        public.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        public.close()
        raise _refused(target, host, port, error) from error
    return public


def _refused(target: str, host: str, port: int, error: Exception) -> Rejected:
    if who := holder(port):
        return Rejected(
            f"port {port} of {host}, which {target} wants to be reached at, is taken by {who}",
            code="port_taken",
            hint="end that program, or declare another port for this environment",
        )
    return Rejected(
        f"{target} cannot be reached at {host}:{port}: {error}",
        code="bad_address",
        hint="declare an address of this machine and a port that this user may listen on",
    )
