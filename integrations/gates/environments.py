"""Target environments: one per lock and interpreter, built once, found again by content."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from domain.globs import matches
from domain.record import digest
from domain.repo_config import FILE_NAME, RepoConfig
from integrations.gates import go_environment, node_environment, python_checkout, python_environment
from integrations.gates.environment import MARKER, SYSTEM_PATH, Entered, Environment, Room
from integrations.gates.interpreters import Interpreters
from integrations.gates.ports import Commands, Objects, Progress
from integrations.gates.python_project import is_python
from integrations.gates.snapshot import CHANGELOGS, TEST_MODULES, Snapshot
from integrations.gates.workshop import SetupFailed, Workshop, inside, locked, remove

RECIPE = 5  # raise it when set-up changes what it installs
INDIFFERENT = (f"/{FILE_NAME}", *CHANGELOGS, *TEST_MODULES)  # the base alone declares set-up
Project = Literal["python", "node", "go", "other"]


def project_of(snap: Snapshot) -> Project:
    """Return the kind of a project by its manifests; Python before Go before Node."""
    pyproject = snap.toml("pyproject.toml")
    if pyproject.get("project") or "poetry" in pyproject.get("tool", {}) or snap.has("setup.py"):
        return "python"
    if snap.has("go.mod"):
        return "go"
    if snap.has("package.json"):
        return "node"
    return "python" if is_python(snap) else "other"


class Environments:
    """Builds what is missing, under a lock that all processes of this host respect."""

    def __init__(
        self, git: Objects, commands: Commands, folder: Path, passed: tuple[str, ...]
    ) -> None:
        self._git = git
        self._commands = commands
        self._folder = folder
        self._passed = passed
        self._interpreters = Interpreters()

    async def key(self, snap: Snapshot, config: RepoConfig) -> str:
        """Return the digest of everything that decides how an environment is built."""
        project = project_of(snap)
        wanted: dict[str, Any] = {"recipe": RECIPE, "project": project}
        if project == "python":
            wanted |= python_environment.facts(snap)
            requires = wanted["about"]["requires_python"]
            interpreter = await self._interpreters.find(requires)
            wanted["interpreter"] = interpreter.model_dump() if interpreter else None
        elif project == "node":
            wanted |= node_environment.facts(snap)
        elif project == "go":
            wanted |= go_environment.facts(snap)
        if config.setup:
            wanted["setup"] = [step.model_dump() for step in config.setup]
            wanted["named"] = _named(snap, config) if project != "other" else snap.tree
        return digest(json.dumps(wanted, sort_keys=True, default=str).encode())[:32]

    async def ensure(
        self, repository_id: str, snap: Snapshot, config: RepoConfig, progress: Progress
    ) -> Environment:
        """Return the environment of a commit, building it if it is new.

        Raises `SetupFailed` with the last lines of what went wrong.
        """
        key = await self.key(snap, config)
        folder = self._folder / key
        async with locked(self._folder / f"{key}.lock"):
            marker = folder / MARKER
            if marker.exists():
                return Environment.model_validate_json(marker.read_bytes())
            shop = Workshop(folder, self._commands, progress, self._passed)
            await asyncio.to_thread(shop.furnish)
            await self._git.materialise(repository_id, snap.sha, shop.tree)
            started = time.monotonic()
            try:
                built = await self._build(shop, snap, config)
            finally:
                await asyncio.to_thread(shop.tidy)
            done = built.but(digest=key, seconds=round(time.monotonic() - started, 2))
            if not (done.products or done.project == "node"):
                await asyncio.to_thread(remove, shop.tree)
            _write(marker, done.model_dump_json().encode())
            return done

    async def _build(self, shop: Workshop, snap: Snapshot, config: RepoConfig) -> Environment:
        declared = tuple((step.run, step.network) for step in config.setup)
        match project_of(snap):
            case "python":
                return await python_environment.build(shop, snap, self._interpreters, declared)
            case "node":
                return await node_environment.build(shop, snap, declared)
            case "go":
                return await go_environment.build(shop, snap, declared)
            case _:
                for line, network in declared:
                    await shop.run(line, network=network, env={"PATH": SYSTEM_PATH})
                return Environment(
                    project="other", digest="", folder=str(shop.folder), products=bool(declared)
                )


def enter(environment: Environment, room: Room) -> Entered:
    """Lay an environment into a checkout (files and links only; nothing is run)."""
    ways: dict[str, Callable[[Environment, Room], Entered]] = {
        "python": python_checkout.enter,
        "node": node_environment.enter,
        "go": go_environment.enter,
    }
    way = ways.get(environment.project)
    entered = way(environment, room) if way else Entered(env={"PATH": SYSTEM_PATH})
    if environment.products:
        _lay_products(Path(environment.folder, "tree"), room.tree)
    return entered


def _lay_products(source: Path, tree: Path) -> None:
    """Copy what set-up added to its own checkout; files of the commit are never replaced."""
    for path in () if source.is_symlink() else source.rglob("*"):
        relative = path.relative_to(source)
        if {"node_modules", ".git"} & set(relative.parts):
            continue
        target = tree / relative
        if path.is_file() and not path.is_symlink() and not target.exists():
            if not inside(tree, target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _named(snap: Snapshot, config: RepoConfig) -> dict[str, str]:
    """Return the manifests, and every path that a set-up line names."""
    lines = " ".join(step.run for step in config.setup)
    found = {path: text for path, text in snap.texts.items() if not matches(path, INDIFFERENT)}
    named = {path for path in snap.paths if path.rpartition("/")[2] in lines}
    return found | dict.fromkeys(sorted(named - set(found)), snap.tree)


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


__all__ = ["Environments", "SetupFailed", "enter", "project_of"]
