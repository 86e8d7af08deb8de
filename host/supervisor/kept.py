"""What the supervisor writes down about an instance, before and after it starts a process."""

import time
from pathlib import Path

from pydantic import ValidationError

from domain.deployment import Instance, State
from domain.hosting import StartProcess
from domain.record import Record
from host.supervisor.census import Identity
from host.supervisor.folder import SPARE_NAME, Folder, write_whole


class Kept(Record):
    """One instance; with `pid` 0 its process may have been started and not yet written down.

    Then its mark finds it: that was written down before.
    """

    order: StartProcess
    port: int
    mark: str
    state: State = "starting"
    reason: str = ""
    since_ms: int = 0  # of the state
    boot: str = ""
    pid: int = 0
    start: int = 0
    restarts: int = 0
    recent: tuple[float, ...] = ()  # when it was restarted, by the monotonic clock of this boot
    was_ready: bool = False  # then its port stays, since traffic may be routed to it
    ended: bool = False  # asked to stop

    @property
    def process(self) -> Identity | None:
        """The process that was started last, if there is one."""
        return Identity(self.boot, self.pid, self.start) if self.pid else None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def turned(self, state: State, reason: str = "") -> "Kept":
        """Return it in another state, from now on."""
        since = self.since_ms if state == self.state and self.since_ms else now_ms()
        return self.but(state=state, reason=reason, since_ms=since)

    def seen(self, failures: int) -> Instance:
        """Return it as those see it who asked for it."""
        order = self.order
        return Instance(
            instance=order.instance,
            target=order.target,
            digest=order.digest,
            sha=order.sha,
            version=order.version,
            address=self.address,
            state=self.state,
            pid=self.pid,
            restarts=self.restarts,
            failures=failures,
            since_ms=self.since_ms,
            reason=self.reason,
        )


def now_ms() -> int:
    """Return the wall clock, for people; nothing is decided by it."""
    return time.time_ns() // 1_000_000


def save(folder: Folder, kept: Kept) -> None:
    """Write an instance down; raises OSError."""
    write_whole(folder.instance(kept.order.instance), kept.model_dump_json())


def load(folder: Folder) -> tuple[list[Kept], list[Path]]:
    """Return all instances on disk, and the files that cannot be read, which are set aside."""
    found, bad = [], []
    for path in sorted(folder.instances.glob("*.json")):
        try:
            found.append(Kept.model_validate_json(path.read_text()))
        except (OSError, ValidationError):
            path.replace(path.with_name(path.name + SPARE_NAME))
            bad.append(path)
    return found, bad
