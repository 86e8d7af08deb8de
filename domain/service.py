"""A service as its repository declares it: how it is built, run, probed, released and judged."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.record import Record

ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Line = Annotated[str, Field(min_length=1, max_length=4_000)]
MaybeLine = Annotated[str, Field(max_length=4_000)]  # empty: none
Path = Annotated[str, Field(pattern=r"^/\S*$", max_length=400)]


class Probe(Record):
    """An HTTP request to an instance; any answer with a status below 400 is good."""

    path: Path = "/"
    interval: float = Field(default=1, gt=0, le=300)  # seconds between two probes
    timeout: float = Field(default=2, gt=0, le=60)  # seconds
    failures: int = Field(default=3, ge=1, le=100)  # in a row, until it counts as down


class Ready(Probe):
    """Asked from the start of an instance until its first good answer."""

    deadline: float = Field(default=30, gt=0, le=3_600)  # seconds from the start of the process


class Limits(Record):
    """What one instance may use."""

    memory_mb: int = Field(default=0, ge=0)  # address space is not limited at 0
    files: int = Field(default=1_024, ge=16)
    restarts: int = Field(default=5, ge=0)  # within ten minutes, then it is in a crash loop


class Slow(Record):
    """When an answer is too late; without an objective there is no class `slow`."""

    objective_ms: float = Field(default=0, ge=0)


class Synthetic(Record):
    """Requests that slipway itself sends where there is no traffic."""

    path: Path = "/"
    rate: float = Field(default=0, ge=0, le=1_000)  # per second; 0: none


class Step(Record):
    weight: float = Field(gt=0, le=100)  # per cent of all requests
    hold: float = Field(ge=0, le=86_400)  # seconds under judgement before the next step


class Strategy(Record):
    """How traffic moves to a new release."""

    kind: Literal["direct", "canary", "blue_green"] = "canary"
    steps: tuple[Step, ...] = ()  # empty: 5, 10, 25, 50, 100 per cent
    hold: float = Field(default=120, ge=0, le=86_400)  # of steps that do not say theirs
    hold_cap: float = Field(default=1_800, ge=0)  # seconds; a step without evidence ends then
    bake: float = Field(default=1_800, ge=0, le=7 * 86_400)  # seconds at 100 per cent
    keep_old: float = Field(default=900, ge=0, le=7 * 86_400)  # seconds the old one stays warm
    smoke: MaybeLine = ""  # a shell line; SLIPWAY_INSTANCE_URL names the new instance
    confirm: tuple[Literal["start", "step", "promote"], ...] = ()  # where a person says yes
    pre: MaybeLine = ""
    post: MaybeLine = ""
    on_failure: Literal["rollback", "freeze", "ask"] = "rollback"
    on_inconclusive: Literal["hold_ask", "promote", "rollback"] = "hold_ask"
    promote_mde: float = Field(default=0, ge=0)  # with `promote`: largest blind risk ratio
    sticky: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,64}$")  # cookie name; empty: none


class MetricSource(Record):
    """A number per side that the driver does not count; it holds, and undoes if `critical`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    source: Literal["prometheus", "http", "command"]
    query: str = Field(min_length=1, max_length=4_000)  # {instance} stands for an instance
    url: str = ""
    unit: str = ""
    worse: Literal["higher", "lower"] = "higher"
    critical: bool = False
    report_only: bool = False


class Analysis(Record):
    """How the judge looks at a release."""

    tick: float = Field(default=2, gt=0, le=300)  # seconds
    alpha: float = Field(default=0.01, gt=0, lt=0.5)  # false alarms per rollout, all classes
    tolerance: float = Field(default=0.25, ge=0, le=10)  # of the error share; slow has 0
    min_bad: int = Field(default=3, ge=1)
    min_requests: int = Field(default=50, ge=1)
    metrics: tuple[MetricSource, ...] = ()


class Environment(Record):
    """Where a service runs."""

    driver: Literal["local", "haproxy", "command"] = "local"
    port: int = Field(default=0, ge=0, le=65_535)  # the public port; 0 is not allowed for local
    host: str = "127.0.0.1"
    command: tuple[str, ...] = ()  # of the driver `command`
    env: dict[str, str] = {}
    strategy: Strategy | None = None  # instead of the service's own


ErrorClass = Literal["4xx", "5xx", "connect", "timeout", "reset"]


class Service(Record):
    """One service of a repository (`services` in .slipway.yaml).

    Build, run, env and health are read from the released commit; strategy, analysis, errors and
    environments from the last one that passed, so a change cannot soften its own judgement.
    """

    paths: tuple[str, ...] = ("**",)  # a change that touches none of them deploys nothing
    needs: tuple[ServiceName, ...] = ()
    build: tuple[Line, ...] = Field(default=(), max_length=20)  # shell lines in the release folder
    run: tuple[str, ...] = Field(min_length=1)  # {port} and {release} are filled in
    pre_deploy: MaybeLine = ""  # e.g. a migration, run once per rollout before the first instance
    health: Probe = Probe(interval=10)
    ready: Ready = Ready()
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()  # names only
    replicas: int = Field(default=1, ge=1, le=32)
    limits: Limits = Limits()
    drain: float = Field(default=30, ge=0, le=3_600)  # seconds from TERM to KILL
    warmup: Synthetic = Synthetic()
    warmup_requests: int = Field(default=0, ge=0, le=100_000)
    errors: tuple[ErrorClass, ...] = ("5xx", "connect", "timeout", "reset")
    slow: Slow = Slow()
    timeout: float = Field(default=30, gt=0, le=3_600)  # seconds the edge waits for an answer
    synthetic: Synthetic = Synthetic()
    schema_change: Literal["none", "expand", "contract"] = "none"
    strategy: Strategy = Strategy()
    analysis: Analysis = Analysis()
    environments: dict[ServiceName, Environment] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_port(self) -> Self:
        for name, environment in self.environments.items():
            if environment.driver == "local" and not environment.port:
                raise ValueError(f"environments.{name}.port is missing: the public port")
            if environment.driver == "command" and not environment.command:
                raise ValueError(f"environments.{name}.command is missing: the driver's program")
        return self
