"""A command that slipway runs for others: its order, its limits, and how it ended."""

from typing import Literal

from domain.record import Record
from domain.review import Tier


class CommandLimits(Record):
    """Hard limits of one command; seconds, MiB, counts, bytes."""

    wall_seconds: float = 900
    idle_seconds: float = 0  # without output or a changed file; 0: no limit
    memory_mib: int = 4_096  # of the whole process tree
    processes: int = 256
    output_bytes: int = 8 * 1024 * 1024  # kept; more is drained and dropped
    file_bytes: int = 1024 * 1024 * 1024  # largest single file


class CommandOrder(Record):
    """One command in one folder of this host; never part of a workflow's history."""

    argv: tuple[str, ...]
    folder: str  # working folder, writable
    home: str  # HOME of the command, writable, thrown away by the caller
    env: dict[str, str] = {}  # the complete environment, on top of HOME, PATH, TMPDIR, LANG
    readable: tuple[
        str, ...
    ] = ()  # further paths that it may read (target environment, interpreter)
    writable: tuple[str, ...] = ()  # further folders that it may write
    network: bool = False
    limits: CommandLimits = CommandLimits()
    output: str = ""  # file that receives stdout and stderr; empty: a temporary one
    events: str = ""  # file that receives the JSON lines of fd 3; empty: none
    lock: str = ""  # file that says who runs; a second run with it ends the first before it starts


class CommandOutcome(Record):
    """How a command ended; `ended` is what the keeper saw, `exit_code` what the command said."""

    ended: Literal[
        "exited", "timeout_wall", "timeout_idle", "memory", "processes", "cancelled", "lost"
    ]
    exit_code: int | None = None  # negative: the signal that ended it
    seconds: float = 0
    output: str = ""  # path of the file with stdout and stderr
    truncated: bool = False
    peak_memory_mib: int = 0
    leftovers: int = 0  # processes that had outlived the command and were ended
    events: int = 0  # JSON lines seen on fd 3
    tier: Tier = Tier()
