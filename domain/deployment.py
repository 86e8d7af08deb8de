"""What slipway asks of whatever runs a service, and what it is told: the driver protocol.

A driver builds a commit, starts instances of it, moves traffic between them, and counts. Every
weight write carries the generation it expects; a stale one is `Rejected` with code `stale`.
"""

from typing import Literal

from domain.record import Record
from domain.repository import Repository
from domain.service import Environment, Service

FULL = 10_000  # basis points: all traffic


class Place(Record):
    """A target: one service of one repository in one environment."""

    repository: Repository
    service: str
    environment: str

    @property
    def target(self) -> str:
        """`<repository id>.<service>/<environment>`."""
        return f"{self.repository.id}.{self.service}/{self.environment}"


class Capabilities(Record):
    """What a driver can do; what it cannot count is no class of the judge."""

    name: str
    weights: bool = True
    histogram: bool = True
    sticky: bool = False
    classes: tuple[str, ...] = ("4xx", "5xx", "connect", "timeout", "reset")


class BuildOrder(Record):
    place: Place
    sha: str
    service: Service


class Artefact(Record):
    """What was built; `digest` names its content, `location` is the driver's own word for it."""

    sha: str
    digest: str
    location: str
    log: str = ""


class StartOrder(Record):
    """Ensure one replica of a rollout; `instance` is its key."""

    place: Place
    rollout: str
    replica: int
    artefact: Artefact
    service: Service
    environment: Environment
    version: str = ""  # what people call it: the tag

    @property
    def instance(self) -> str:
        return f"{self.rollout}.{self.replica}"


State = Literal["starting", "ready", "down", "crash_loop", "stopping", "gone"]


class Instance(Record):
    """One running copy of a release, as its driver sees it."""

    instance: str
    target: str
    digest: str
    sha: str = ""
    version: str = ""
    address: str = ""  # host:port
    state: State = "starting"
    pid: int = 0
    restarts: int = 0
    failures: int = 0  # probes in a row that failed
    since_ms: int = 0
    reason: str = ""


class Route(Record):
    """A share of a target's traffic, in basis points."""

    instance: str
    address: str
    version: str
    digest: str
    weight: int


class Inspection(Record):
    """What a target really serves now."""

    target: str
    generation: int
    routes: tuple[Route, ...] = ()
    instances: tuple[Instance, ...] = ()

    def weight_of(self, instance: str) -> int:
        """Return the basis points of an instance; 0 when it gets none."""
        return next((route.weight for route in self.routes if route.instance == instance), 0)


class WeightOrder(Record):
    """Give each instance its share; what is not named gets nothing. Weights sum to `FULL`."""

    place: Place
    service: Service
    environment: Environment
    weights: dict[str, int]
    expected_generation: int
    op: str  # a repeated order with the same op changes nothing and answers the same


class Counts(Record):
    """Cumulative counts of one instance since its first request; they never fall in one epoch."""

    instance: str
    epoch: str = ""  # changes when the counter began anew
    started: int = 0
    done: dict[str, int] = {}  # by class: 1xx 2xx 3xx 4xx 5xx connect timeout reset aborted
    bad_clients: int = 0  # bad answers, each client once per observation and target; 0: not told
    histogram: tuple[int, ...] = ()  # cumulative counts by `BUCKETS_MS`, the last without limit
    overdue: int = 0  # in flight for longer than the slow objective
    passed_on: int = 0  # of `connect`: another instance took the request


class Observation(Record):
    target: str
    at_ms: int
    generation: int
    counts: tuple[Counts, ...] = ()
    refused: dict[str, int] = {}  # answers of the edge that no instance was asked for, by class
    instances: tuple[Instance, ...] = ()


class ObserveOrder(Record):
    place: Place
    service: Service
    environment: Environment
    slow_ms: float = 0


# Upper bounds of the latency histogram in milliseconds: 40 buckets from 0.1 ms, factor 10^(1/7).
BUCKETS_MS: tuple[float, ...] = tuple(round(0.1 * 10 ** (k / 7), 4) for k in range(39))
