"""What is said over the host's two sockets: to the supervisor of processes, and to the edge.

One JSON object per line in each direction: `{"op": ..., ...}` is answered by the result, or by
`{"error": {"code", "message", "hint"}}`. The supervisor listens on `host.sock`, the edge on
`edge.sock`, both in the host's folder and readable by its owner only.
"""

from typing import Literal

from domain.deployment import Route
from domain.record import Record
from domain.service import Limits, Probe, Ready


class Declare(Record):
    """Supervisor: bind the public port of a target and hand it to the edge; a repeat is fine."""

    op: Literal["declare"] = "declare"
    target: str
    host: str = "127.0.0.1"
    port: int


class Forget(Record):
    """Supervisor: close the public port of a target whose instances are gone; then the edge.

    The edge forgets its routes and counts too; a repeat is fine.
    """

    op: Literal["forget"] = "forget"
    target: str


class StartProcess(Record):
    """Supervisor: ensure this instance runs and is kept running; answers with an `Instance`.

    `{port}` in `argv` and `env` becomes a port of 20000 to 29999 that the supervisor chose and
    wrote down before. The process has its own session and outlives the supervisor.
    """

    op: Literal["start"] = "start"
    instance: str
    target: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = {}
    sha: str = ""
    digest: str = ""
    version: str = ""
    ready: Ready = Ready()
    health: Probe = Probe(interval=10)
    limits: Limits = Limits()
    drain_s: float = 30


class StopProcess(Record):
    """Supervisor: TERM, wait, KILL to the whole group; answers when nothing of it is left."""

    op: Literal["stop"] = "stop"
    instance: str


class RestartProcess(Record):
    op: Literal["restart"] = "restart"
    instance: str


class ListProcesses(Record):
    """Supervisor: answers `{"instances": [Instance...]}`, of one target or of all."""

    op: Literal["list"] = "list"
    target: str = ""


class HostStatus(Record):
    """Supervisor: answers `HostState`."""

    op: Literal["status"] = "status"


class HostState(Record):
    pid: int
    edge_pid: int
    since_ms: int
    targets: dict[str, str] = {}  # target: host:port
    instances: int = 0
    version: str = ""  # of slipway, when the supervisor was started


class Shutdown(Record):
    """Supervisor: end; with `services` every instance and the edge too, else they go on.

    Where there is no target and no instance nothing goes on: the edge ends too.
    """

    op: Literal["shutdown"] = "shutdown"
    services: bool = False


class Listen(Record):
    """Edge: serve a target on the listening socket that comes along (SCM_RIGHTS)."""

    op: Literal["listen"] = "listen"
    target: str


class GiveBack(Record):
    """Edge: answers `{}` with the listening socket of a target (SCM_RIGHTS), and serves on.

    So a supervisor that was started again holds the socket too, and an edge that is killed later
    only queues connections. An unknown target is refused with code `unknown_target`.
    """

    op: Literal["give_back"] = "give_back"
    target: str


class RouteTraffic(Record):
    """Edge: compare and swap the routes of a target; answers `{"generation": n}`.

    On disk before it is answered. A stale `expected_generation` is refused with code `stale`,
    unless `op_id` is that of the last order, which is answered again.
    """

    op: Literal["route"] = "route"
    target: str
    routes: tuple[Route, ...]
    expected_generation: int
    op_id: str
    sticky: str = ""  # cookie name
    timeout_s: float = 30  # until the first byte of an answer
    slow_ms: float = 0


class InspectRoutes(Record):
    """Edge: answers `{"generation": n, "routes": [Route...]}`."""

    op: Literal["inspect"] = "inspect"
    target: str


class Observe(Record):
    """Edge: answers `{"generation": n, "counts": [Counts...]}`; ends a stretch of bad clients."""

    op: Literal["observe"] = "observe"
    target: str
    slow_ms: float = 0


class Drain(Record):
    """Edge: wait until an instance without weight has no request left, or the deadline.

    Answers `{"drained": bool}`; with weight it is refused with code `has_weight`.
    """

    op: Literal["drain"] = "drain"
    target: str
    instance: str
    deadline_s: float


class Ping(Record):
    op: Literal["ping"] = "ping"
