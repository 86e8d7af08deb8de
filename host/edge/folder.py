"""The edge's folder: routes per target on disk before they are answered, and one row per process.

`routes/<target>.json` holds what was last ordered; `counts/<target>/<instance>.counts` the
numbers; `slots/<n>.lock` says which row of the numbers is whose.
"""

import fcntl
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2s
from pathlib import Path

from host.edge.counts import SLOTS
from host.edge.orders import Fields, Refused, RouteOrder, read_route_order, told
from host.edge.problems import Problems

SUFFIX = ".counts"


@dataclass(frozen=True, slots=True)
class Held:
    """What the folder says of a target: its last order, and instances that lost their route."""

    order: RouteOrder
    generation: int
    former: tuple[str, ...] = ()


class Folder:
    """Files of the edge below one folder; methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.routes = path / "routes"
        self.counts = path / "counts"
        for folder in (path, self.routes, self.counts, path / "slots"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locks: list[int] = []

    def take_slot(self) -> tuple[int, tuple[int, ...]]:
        """Return a row of our own, and all rows whose process is dead (ours among them).

        Raises `Refused` while as many processes as there are rows live. The locks of other dead
        rows are kept until `let_go`, so that two processes never bury the same row.
        """
        free = [(slot, lock) for slot in range(SLOTS) if (lock := self._lock(slot)) >= 0]
        if not free:
            raise Refused("busy", f"{SLOTS} edges run on {self.path}", "End one of them")
        self._locks = [lock for _, lock in free]
        return free[0][0], tuple(slot for slot, _ in free)

    def let_go(self) -> None:
        """Give back all rows but ours; our lock ends with the process."""
        for lock in self._locks[1:]:
            os.close(lock)
        del self._locks[1:]

    def _lock(self, slot: int) -> int:
        file = os.open(self.path / "slots" / f"{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return -1
        return file

    def load(self, problems: Problems) -> list[Held]:
        """Return what each target was last ordered; a damaged file is told, and set aside.

        Its target then has generation 0 and serves nobody until it is routed anew; the others
        must not wait for that.
        """
        found = []
        for path in sorted(self.routes.glob("*.json")):
            try:
                found.append(_read(path))
            except Refused as refused:
                problems.tell("damaged", refused.message)
                path.replace(path.with_suffix(".damaged"))
        return found

    def keep(self, held: Held) -> None:
        """Write a target's routes so that either the old or the new ones are there, for good."""
        path = self.routes / f"{slug(held.order.target)}.json"
        kept = told(held.order) | {"generation": held.generation, "former": held.former}
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(json.dumps(kept, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(self.routes, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def counts_of(self, target: str, instance: str) -> Path:
        return self.counts / slug(target) / f"{slug(instance)}{SUFFIX}"

    def forget(self, target: str) -> None:
        """Remove all that is kept of a target."""
        (self.routes / f"{slug(target)}.json").unlink(missing_ok=True)
        folder = self.counts / slug(target)
        for path in folder.glob("*"):
            path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            folder.rmdir()


def slug(name: str) -> str:
    """Return a file name for a target or an instance; different names have different ones."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:80]
    return f"{plain}-{blake2s(name.encode(), digest_size=4).hexdigest()}"


def _read(path: Path) -> Held:
    try:
        kept: Fields = json.loads(path.read_bytes())
        former = kept["former"]
        generation = kept["generation"]
        assert isinstance(former, list)
        assert isinstance(generation, int)
        order = read_route_order(kept)
    except (ValueError, KeyError, TypeError, AssertionError, Refused) as error:
        raise Refused("damaged", f"{path} can not be read: {error}") from error
    return Held(order, generation, tuple(str(name) for name in former))
