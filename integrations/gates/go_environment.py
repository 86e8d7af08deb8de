"""Environments of Go projects: the module cache and a warm build cache."""

import shutil
from pathlib import Path
from typing import Any

from integrations.gates.environment import SYSTEM_PATH, Entered, Environment, Room
from integrations.gates.snapshot import Snapshot
from integrations.gates.workshop import Workshop


def facts(snap: Snapshot) -> dict[str, Any]:
    """Return what decides which modules are downloaded."""
    return {name: snap.text(name) for name in ("go.mod", "go.sum", "go.work")}


async def build(
    shop: Workshop, snap: Snapshot, declared: tuple[tuple[str, bool], ...] = ()
) -> Environment:
    """Download the modules with network, compile the tests once without."""
    steps = declared or _steps(snap)
    env = _env(shop.folder / "modules", shop.folder / "build", offline=False)
    for line, network in steps:
        await shop.run(line, network=network, env=env)
    offline = _env(shop.folder / "modules", shop.folder / "build", offline=True)
    await shop.run("go test -count=1 -run '^$' ./... || true", network=False, env=offline)
    return Environment(project="go", digest="", folder=str(shop.folder), products=bool(declared))


def _steps(snap: Snapshot) -> tuple[tuple[str, bool], ...]:
    """Return nothing where modules are vendored or the standard library is enough."""
    vendored = snap.has("vendor/modules.txt")
    return () if vendored or "require" not in snap.text("go.mod") else (("go mod download", True),)


def enter(environment: Environment, room: Room) -> Entered:
    """Give a checkout a copy of the build cache: what a test writes there stays there."""
    build_cache = room.path / "build"
    source = Path(environment.folder, "build")
    if source.exists() and not source.is_symlink():
        shutil.copytree(source, build_cache, symlinks=True)
    env = _env(Path(environment.folder, "modules"), build_cache, offline=True)
    return Entered(env=env, readable=(environment.folder,))


def _env(modules: Path, build_cache: Path, *, offline: bool) -> dict[str, str]:
    env = {
        "PATH": SYSTEM_PATH,
        "GOMODCACHE": str(modules),
        "GOCACHE": str(build_cache),
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "GOENV": "off",
    }
    return env | ({"GOPROXY": "off", "GOFLAGS": ""} if offline else {})
