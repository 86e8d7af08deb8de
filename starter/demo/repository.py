"""The demo's repository: the sample service as a bare repository with one tagged commit."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from config.repo import read_repo_config
from domain.errors import Misconfigured
from domain.repo_config import FILE_NAME
from domain.service import Service

SAMPLE = Path(__file__).with_name("sample")
SERVICE = Path(__file__).with_name("service.yaml")
_PORTS = range(8080, 8200)
_SYSTEM = "/usr/local/bin:/usr/bin:/bin"  # where services find their programs
_DATE = "2026-03-02T09:00:00Z"
_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Parcels",
    "GIT_AUTHOR_EMAIL": "parcels@localhost",
    "GIT_COMMITTER_NAME": "Parcels",
    "GIT_COMMITTER_EMAIL": "parcels@localhost",
    "GIT_AUTHOR_DATE": _DATE,
    "GIT_COMMITTER_DATE": _DATE,
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.devnull,
}


def make_repository(folder: Path, port: int = 0) -> Path:
    """Return a new bare repository below `folder`; every demo gets its own.

    With a `port` the sample is a service that is released to it, without it ends with the merge.
    """
    number = 1
    while (place := folder / str(number)).exists():
        number += 1
    place.mkdir(parents=True)
    bare = place / "parcels.git"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "parcels"
        shutil.copytree(SAMPLE, tree, ignore=shutil.ignore_patterns("__pycache__"))
        if port:
            (tree / FILE_NAME).write_text(_config(port))
        _git(tree, "init", "--quiet", "--initial-branch=main")
        _git(tree, "add", "--all")
        _git(tree, "commit", "--quiet", "--message=Price parcels by weight")
        _git(tree, "tag", "--annotate", "--message=1.2.0", "v1.2.0")
        _git(tree, "clone", "--quiet", "--bare", str(tree), str(bare))
        _git(bare, "remote", "remove", "origin")
    return bare


def _config(port: int) -> str:
    """Return the `.slipway.yaml` of the sample with its service."""
    python = "python3" if shutil.which("python3", path=_SYSTEM) else sys.executable
    service = SERVICE.read_text().replace("PORT", str(port)).replace("PYTHON", python)
    return (SAMPLE / FILE_NAME).read_text() + service


def declared() -> Service:
    """Return the service as the demo declares it."""
    return read_repo_config(_config(_PORTS.start), FILE_NAME).services["parcels"]


def free_port(declared: Collection[str] = ()) -> int:
    """Return a port of this machine that nobody listens on; the usual ones come first.

    `declared` are addresses that belong to other services, even if these are down. Raises
    `Misconfigured` where all ports are taken.
    """
    known = {int(address.rpartition(":")[2]) for address in declared}
    for port in sorted(set(_PORTS) - known):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Misconfigured(
        f"the ports {_PORTS.start} to {_PORTS.stop - 1} are all taken: the demo needs one",
        code="port_taken",
        hint="`slipway down --services` ends the services of earlier demos.",
    )


def log_of(bare: Path) -> str:
    """Return the history of the repository, one line per commit, with tags."""
    return _git(bare, "log", "--graph", "--oneline", "--decorate").rstrip()


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=_ENV, check=True, capture_output=True, text=True
    )
    return done.stdout
