"""Agents as data: how one is declared, what it is told, what it answers, where it may write."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from domain.command import CommandLimits, CommandOutcome
from domain.delivery import FailureClass
from domain.globs import matches
from domain.operation import Operation
from domain.plan import TaskLimits
from domain.record import Record
from domain.review import Finding

TRANSCRIPT = 2 * 1024 * 1024  # bytes kept of what an agent writes, and as many of its events
TESTS = "@tests"  # in `touches`: also the tests of the files that the other entries cover
_TEST_NAME = re.compile(r"^(?:test_(?P<a>.+)|(?P<b>.+?)(?:_test|_spec|\.test|\.spec))$")


class BackendLimits(Record):
    """Upper bounds for every task of one backend; 0: what the task says."""

    wall_seconds: int = Field(default=0, ge=0)
    idle_seconds: int = Field(default=0, ge=0)
    memory_mib: int = Field(default=0, ge=0)
    processes: int = Field(default=0, ge=0)


class Backend(Record):
    """Schema `slipway.agent/1`: an agent that the operator, never a specification, declares.

    `env` names variables of the worker that are passed on, `readable` further paths that the
    program needs inside the sandbox (a toolchain outside /usr).
    """

    schema_: Literal["slipway.agent/1"] = Field(default="slipway.agent/1", alias="schema")
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    kind: Literal["builtin", "command"]
    description: str = Field(default="", max_length=500)
    argv: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    network: bool = False
    limits: BackendLimits = BackendLimits()

    model_config = {"populate_by_name": True}

    @model_validator(mode="after")
    def _has_a_command(self) -> Self:
        if (self.kind == "command") != bool(self.argv):
            raise ValueError("a backend of kind command has argv, any other has none")
        return self


class AgentOrder(Record):
    """What an adapter turns into a command: the task, and where the attempt's folders are."""

    key: str
    round: int
    task: str
    attempt: int
    title: str
    prompt: str = ""
    operations: tuple[Operation, ...] = ()
    touches: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    answers: tuple[str, ...] = ()
    limits: TaskLimits = TaskLimits()
    workspace: str
    home: str


class AgentCommand(Record):
    """One command in the attempt's workspace; `files` (name: text) are written into its home."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    result: str = ""  # name in the home of the file that the agent may leave
    readable: tuple[str, ...] = ()
    network: bool = False


class AgentEvent(Record):
    """One sign of life."""

    kind: Literal["started", "message", "tool", "file", "usage", "warning", "error", "result"] = (
        "message"
    )
    text: str = ""


class Usage(Record):
    """What an attempt cost, as far as it is known."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    micro_usd: int = Field(default=0, ge=0)


class Edit(Record):
    """What one operation did (or would do) to one file; `count` is the number of places."""

    op: str
    path: str
    insertions: int = 0
    deletions: int = 0
    count: int = 1


class AgentVerdict(Record):
    """What an agent says about its run; `ran` is only a claim until the tree has been compared."""

    status: Literal["ran", "no_change", "needs_input", "quota", "failed"]
    failure: FailureClass = FailureClass.NONE
    reason: str = ""
    summary: str = ""
    questions: tuple[str, ...] = ()
    usage: Usage = Usage()
    generated: tuple[str, ...] = ()  # paths edited by builtin operations alone


def lower(limits: TaskLimits, cap: BackendLimits) -> TaskLimits:
    """Return the task's limits, none above the backend's."""
    names = ("wall_seconds", "idle_seconds", "memory_mib", "processes")
    capped = {
        name: min(getattr(limits, name), getattr(cap, name))
        for name in names
        if getattr(cap, name) > 0
    }
    return limits.but(**capped)


def command_limits(limits: TaskLimits) -> CommandLimits:
    """Return the limits of the command that does a task."""
    return CommandLimits(
        wall_seconds=limits.wall_seconds,
        idle_seconds=limits.idle_seconds,
        memory_mib=limits.memory_mib,
        processes=limits.processes,
        output_bytes=TRANSCRIPT,
    )


def stopped(outcome: CommandOutcome, limits: TaskLimits) -> AgentVerdict | None:
    """Return what a limit that ended an agent means; None when it ended by itself."""
    match outcome.ended:
        case "timeout_wall":
            failure, reason = FailureClass.TIMEOUT_WALL, f"took longer than {limits.wall_seconds} s"
        case "timeout_idle":
            failure = FailureClass.TIMEOUT_IDLE
            reason = f"wrote and changed nothing for {limits.idle_seconds} s"
        case "memory":
            failure = FailureClass.DETERMINISTIC_ERROR
            reason = f"took more than {limits.memory_mib} MiB of memory"
        case "processes":
            failure = FailureClass.DETERMINISTIC_ERROR
            reason = f"had more than {limits.processes} processes at once"
        case _:
            return None
    return AgentVerdict(status="failed", failure=failure, reason=f"the agent {reason}: ended")


def out_of_scope(
    paths: tuple[str, ...],
    touches: tuple[str, ...],
    forbid: tuple[str, ...],
    scope_out: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the changed paths that a task may not change; no `touches` means everywhere.

    What is forbidden stays so, whoever allows it.
    """
    allowed = tuple(pattern for pattern in touches if pattern != TESTS)
    covered = tuple(path for path in paths if not touches or matches(path, allowed))
    known = {name.rpartition("/")[2] for name in (*allowed, *covered)} if TESTS in touches else ()
    return tuple(
        path
        for path in paths
        if matches(path, forbid + scope_out) or not (path in covered or subject(path) in known)
    )


def subject(path: str) -> str:
    """Return the name of the file that `path` is the test of, as far as names can tell."""
    stem, dot, extension = path.rpartition("/")[2].rpartition(".")
    match = _TEST_NAME.match(stem)
    return f"{match['a'] or match['b']}.{extension}" if dot and match else ""
