"""Rooms for gate commands: made for one run, and removed even when the worker was killed."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from integrations.gates.environment import Room
from integrations.gates.workshop import remove

TOOLS = Path(__file__).parent / "inside"
PATIENCE = 5.0  # seconds in which what still writes into a room must have ended


class Rooms:
    """Folders `gates/NAME` of the workspaces; who holds a lock on `NAME.held` is at work there."""

    def __init__(self, workspaces: Path) -> None:
        self._folder = workspaces / "gates"

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[Room]:
        """Furnish an empty room; it is gone afterwards."""
        root = self._folder / uuid.uuid4().hex
        held = await asyncio.to_thread(_hold, root)
        try:
            room = Room(folder=str(root / "room"))
            await asyncio.to_thread(_furnish, room)
            yield room
        finally:
            await asyncio.to_thread(_discard, root, held)

    async def sweep(self) -> int:
        """Remove the rooms of workers that were killed; return how many that were."""
        return await asyncio.to_thread(lambda: sum(map(_swept, self._folder.glob("*.held"))))


def _furnish(room: Room) -> None:
    for name in ("home", "reports", "witness"):
        (room.path / name).mkdir(parents=True)
    shutil.copytree(TOOLS, room.path / "tools", ignore=shutil.ignore_patterns("__pycache__"))


def _held(root: Path) -> Path:
    return root.with_name(f"{root.name}.held")


def _hold(root: Path) -> int:
    root.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(_held(root), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def _swept(path: Path) -> bool:
    try:
        held = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return False
    _discard(path.with_suffix(""), held)
    return True


def _discard(root: Path, held: int) -> None:
    """Remove a room, then its mark; without the room gone the mark stays for the next sweep."""
    deadline = time.monotonic() + PATIENCE
    try:
        while root.exists() and time.monotonic() < deadline:
            remove(root)
        if not root.exists():
            _held(root).unlink(missing_ok=True)
    finally:
        os.close(held)
