"""Environments of Node projects: installed packages once, linked into each checkout."""

import json
import os
from pathlib import Path
from typing import Any

from integrations.gates.environment import SYSTEM_PATH, Entered, Environment, Room
from integrations.gates.snapshot import Snapshot
from integrations.gates.workshop import Workshop, inside

LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
FLAGS = "--no-audit --no-fund --ignore-scripts --loglevel=error"
ENV = {"PATH": SYSTEM_PATH, "CI": "1", "NO_UPDATE_NOTIFIER": "1"}
TEST_FILES = (
    "*.test.js", "*.test.mjs", "*.test.cjs", "*.test.ts", "/test/**/*.js", "/test/**/*.mjs",
    "/test/**/*.cjs", "/test.js", "/test.mjs", "/tests/**/*.js",
)  # fmt: skip


def package(snap: Snapshot) -> dict[str, Any]:
    """Return package.json; empty if there is none or it cannot be read."""
    try:
        found = json.loads(snap.text("package.json") or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def facts(snap: Snapshot) -> dict[str, Any]:
    """Return what decides which packages are installed."""
    document = package(snap)
    names = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies",
             "workspaces", "overrides")  # fmt: skip
    return {
        "package": {name: document.get(name) for name in names},
        "locks": {name: snap.text(name) for name in (*LOCKS, ".npmrc")},
    }


async def build(
    shop: Workshop, snap: Snapshot, declared: tuple[tuple[str, bool], ...] = ()
) -> Environment:
    """Install the packages that a commit needs; without any, nothing is run."""
    env = {**ENV, "npm_config_cache": str(shop.home / "npm")}
    for line, network in declared or _steps(snap):
        await shop.run(line, network=network, env=env)
    return Environment(project="node", digest="", folder=str(shop.folder), products=bool(declared))


def _steps(snap: Snapshot) -> tuple[tuple[str, bool], ...]:
    document = package(snap)
    if any(snap.has(name) for name in LOCKS):
        return ((f"npm ci {FLAGS}", True),)
    if document.get("dependencies") or document.get("devDependencies"):
        return ((f"npm install --no-package-lock {FLAGS}", True),)
    return ()


def enter(environment: Environment, room: Room) -> Entered:
    """Link each installed package; links among workspaces lead to the checkout's own files."""
    source = Path(environment.folder, "tree")
    for folder, names, _ in () if source.is_symlink() else os.walk(source):
        if "node_modules" in names:
            names.remove("node_modules")
            target = room.tree / Path(folder).relative_to(source) / "node_modules"
            if inside(room.tree, target):
                _link(Path(folder, "node_modules"), target)
        names[:] = [name for name in names if name != ".git"]
    path = f"{room.tree}/node_modules/.bin:{SYSTEM_PATH}"
    return Entered(env={**ENV, "PATH": path}, readable=(environment.folder,))


def _link(source: Path, target: Path) -> None:
    if target.exists() or target.is_symlink() or not target.parent.exists():
        return
    target.mkdir()
    for entry in source.iterdir():
        place = target / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
        elif entry.name.startswith("@") or entry.name == ".bin":
            _link(entry, place)
        elif entry.name != ".package-lock.json":
            place.symlink_to(entry)
