"""What the builtin agent is told, and what it answers."""

from typing import Literal

from domain.agent import Edit
from domain.operation import Operation
from domain.record import Record


class Order(Record):
    """Operations for the workspace that is the working folder."""

    operations: tuple[Operation, ...]
    touches: tuple[str, ...] = ("**",)
    forbid: tuple[str, ...] = ()
    dry_run: bool = False
    ruff: str = ""  # the binary; empty: the one beside the interpreter


class Note(Record):
    """Something an operation left alone, and why."""

    op: str
    path: str
    text: str


class Result(Record):
    """How it ended; nothing was written unless `status` is `changed` (and it is no dry run)."""

    status: Literal["changed", "no_change", "failed"]
    edits: tuple[Edit, ...] = ()
    notes: tuple[Note, ...] = ()  # at most 100
    summary: str = ""
    error: str = ""
    code: str = ""  # of the error
    hint: str = ""
