"""The state file of `slipway up`: what runs, where, and since when."""

from pathlib import Path

from pydantic import ValidationError

from domain.record import Record
from starter.files import write_whole
from starter.processes import lives


class RunningServer(Record):
    """A Temporal server in use; `pid` 0: not ours."""

    address: str
    namespace: str = "default"
    ui: str = ""
    version: str = ""
    pid: int = 0
    born: str = ""


class RunningWorker(Record):
    queues: tuple[str, ...]
    identity: str
    pid: int
    born: str
    restarts: int = 0


class UpState(Record):
    """What `slipway up` writes when it is ready, and at each change after."""

    pid: int
    born: str
    nonce: str = ""
    since_ms: int
    server: RunningServer
    workers: tuple[RunningWorker, ...] = ()
    host: int = 0  # the supervisor of services, which outlives us; 0: none runs
    logs: str

    @property
    def alive(self) -> bool:
        """Whether the process that wrote this still runs."""
        return lives(self.pid, self.born)


def state_file(home: Path) -> Path:
    return home / "up.json"


def read_state(home: Path) -> UpState | None:
    """Return what the last `slipway up` of this home wrote; None when there is nothing."""
    try:
        return UpState.model_validate_json(state_file(home).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def write_state(home: Path, state: UpState) -> None:
    write_whole(state_file(home), state.model_dump_json(indent=1) + "\n")


def running(home: Path) -> UpState | None:
    """Return the state of the up process of this home, if one runs now."""
    state = read_state(home)
    return state if state and state.alive else None
