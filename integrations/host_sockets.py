"""The host's two sockets: orders to the supervisor and to the edge, answers as records."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from domain.deployment import Counts, Instance, Route
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.hosting import (
    Declare,
    Drain,
    Forget,
    HostState,
    HostStatus,
    InspectRoutes,
    ListProcesses,
    Observe,
    Ping,
    RestartProcess,
    RouteTraffic,
    Shutdown,
    StartProcess,
    StopProcess,
)
from domain.record import Record

R = TypeVar("R", bound=Record)

PATIENCE = 10.0  # seconds for an answer that nothing has to be waited for
_STOPPED = 3_700.0  # seconds; the longest drain time is an hour
_LONGEST = 100  # bytes; sun_path of unix(7) holds 107
_LINE = 16 * 1024 * 1024
_KINDS = {"Rejected": Rejected, "Unavailable": Unavailable, "Misconfigured": Misconfigured}
_AGAIN = ("busy", "disk", "edge_away", "fault", "unavailable")  # codes of what may pass by itself


class Sockets:
    """Speaks with supervisor and edge; a connection per order, so a restart of either is no matter.

    Raises `Unavailable` when nobody answers, else what the other side says.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` holds `host.sock` and `edge.sock`."""
        self._supervisor = folder / "host.sock"
        self._edge = folder / "edge.sock"

    async def ping(self) -> None:
        """Return when both answer."""
        await _ask(self._supervisor, Ping())
        await _ask(self._edge, Ping())

    async def status(self) -> HostState:
        return _read(HostState, await _ask(self._supervisor, HostStatus()))

    async def declare(self, target: str, host: str, port: int) -> None:
        """Raises `Rejected` (`port_taken`) when the port belongs to somebody else."""
        await _ask(self._supervisor, Declare(target=target, host=host, port=port), patience=20)

    async def forget(self, target: str) -> None:
        await _ask(self._supervisor, Forget(target=target))

    async def start(self, order: StartProcess) -> Instance:
        return _read(Instance, await _ask(self._supervisor, order))

    async def stop(self, instance: str) -> Instance:
        """Return when nothing of it is left; that may take its drain time and a little more."""
        order = StopProcess(instance=instance)
        return _read(Instance, await _ask(self._supervisor, order, patience=_STOPPED))

    async def restart(self, instance: str) -> Instance:
        return _read(Instance, await _ask(self._supervisor, RestartProcess(instance=instance)))

    async def instances(self, target: str = "") -> tuple[Instance, ...]:
        answer = await _ask(self._supervisor, ListProcesses(target=target))
        return tuple(_read(Instance, each) for each in answer.get("instances", ()))

    async def shutdown(self, *, services: bool) -> None:
        """Ask the supervisor to end; it answers before it does."""
        await _ask(self._supervisor, Shutdown(services=services))

    async def route(self, order: RouteTraffic) -> int:
        """Return the new generation; raises `Rejected` (`stale`) when another is in force."""
        return int((await _ask(self._edge, order))["generation"])

    async def routes(self, target: str) -> tuple[int, tuple[Route, ...]]:
        """Return generation and routes of a target; 0 and none when it never had any."""
        try:
            answer = await _ask(self._edge, InspectRoutes(target=target))
        except Rejected as error:
            if error.problem.code == "unknown_target":
                return 0, ()
            raise
        routes = tuple(_read(Route, each) for each in answer.get("routes", ()))
        return int(answer["generation"]), routes

    async def observe(self, target: str, slow_ms: float) -> tuple[int, tuple[Counts, ...]]:
        """Return the generation, and the counts since each instance began."""
        answer = await _ask(self._edge, Observe(target=target, slow_ms=slow_ms))
        counts = tuple(_read(Counts, each) for each in answer.get("counts", ()))
        return int(answer["generation"]), counts

    async def drain(self, target: str, instance: str, deadline_s: float) -> bool:
        """Return whether the last request of an instance was answered before the deadline."""
        order = Drain(target=target, instance=instance, deadline_s=deadline_s)
        answer = await _ask(self._edge, order, patience=deadline_s + PATIENCE)
        return bool(answer.get("drained", True))


async def _ask(door: Path, order: Record, *, patience: float = PATIENCE) -> dict[str, Any]:
    try:
        async with asyncio.timeout(patience):
            line = await _exchange(door, order.model_dump_json().encode() + b"\n")
        answer = json.loads(line)
    except TimeoutError as error:
        raise _away(door, f"no answer to `{_op(order)}` within {patience:g} s") from error
    except (OSError, ValueError) as error:
        raise _away(door, f"`{_op(order)}` was not answered: {error}") from error
    if isinstance(answer, dict) and "error" not in answer:
        return answer
    raise _refusal(order, answer)


async def _exchange(door: Path, line: bytes) -> bytes:
    with _address(door) as address:
        reader, writer = await asyncio.open_unix_connection(address, limit=_LINE)
    try:
        writer.write(line)
        await writer.drain()
        if not (answer := await reader.readline()):
            raise ConnectionResetError("the connection was closed")
        return answer
    finally:
        writer.close()


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield an address that leads to `path`, also where that is too long for one."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _op(order: Record) -> str:
    return str(getattr(order, "op", ""))


def _away(door: Path, what: str) -> Unavailable:
    who = "edge" if door.name == "edge.sock" else "host's supervisor"
    return Unavailable(
        f"the {who} does not answer at {door}: {what}",
        code="host_away",
        path=str(door),
        hint="`slipway up` starts it; `slipway doctor` says what is wrong",
    )


def _refusal(order: Record, answer: Any) -> Exception:
    told = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(told, dict):
        return Unavailable(f"`{_op(order)}` got an answer that is none", code="bad_answer")
    code, hint = str(told.get("code", "")), str(told.get("hint", ""))
    kind = _KINDS.get(str(told.get("kind", "")), Unavailable if code in _AGAIN else Rejected)
    return kind(str(told.get("message", "")) or f"`{_op(order)}` was refused", code=code, hint=hint)


def _read(kind: type[R], told: object) -> R:
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        raise Unavailable(
            f"the host's answer is no {kind.__name__}: {error.errors()[0]['msg']}",
            code="bad_answer",
            hint="supervisor and slipway are of different versions: `slipway down`, then `up`",
        ) from error
