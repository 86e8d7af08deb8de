"""The host's folder: where sockets, states and logs are, and how a state is written."""

import fcntl
import os
from pathlib import Path

SPARE_NAME = ".bad"


class Folder:
    """`<home>/host`; readable by its owner only, since environments of services are in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.door = path / "host.sock"
        self.edge_door = path / "edge.sock"
        self.lock = path / "host.lock"
        self.targets = path / "targets.json"
        self.edge_identity = path / "edge.json"
        self.edge_state = path / "edge"
        self.instances = path / "instances"
        self.logs = path / "logs"

    def make(self) -> None:
        """Make what is missing; raises OSError where that is not allowed."""
        for folder in (self.path, self.edge_state, self.instances, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def instance(self, name: str) -> Path:
        return self.instances / f"{name}.json"

    def log(self, name: str) -> Path:
        """Return the file that gets the output of an instance, or of `edge` and `host`."""
        return self.logs / f"{name}.log"


def write_whole(path: Path, text: str) -> None:
    """Replace a file: after a crash it holds the old text or the new one; raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)


def hold(path: Path) -> int | None:
    """Take a lock that ends with this process (flock(2)); None when another one holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
