"""Twins of what releases need: a driver whose traffic is made up, records and a history."""

import time
from collections.abc import Callable
from typing import Any

from activities.deployments import Deployments
from activities.undoing import Undoing
from activities.watching import Watching
from domain.deployment import (
    FULL,
    Artefact,
    BuildOrder,
    Capabilities,
    Counts,
    Inspection,
    Instance,
    Observation,
    ObserveOrder,
    Place,
    Route,
    StartOrder,
    WeightOrder,
)
from domain.errors import Rejected
from domain.repo_config import RepoConfig
from domain.repository import Repository
from domain.rollout import Quarantined, RolloutPlan, Served
from domain.rollout_view import RolloutLine, WeightChange
from domain.service import Environment, Service
from domain.tick import Tick
from workers.queues import _methods

RPS = 2_000.0


def now_ms() -> int:
    return int(time.time() * 1_000)


class Outcome:
    def __init__(self, ok: bool, reason: str) -> None:
        self.ok = ok
        self.reason = reason


class Fleet:
    """A driver: instances are names, and requests come by the clock, some of them bad."""

    def __init__(self) -> None:
        self.generation = 1
        self.routes: dict[str, Route] = {}
        self.instances: dict[str, Instance] = {}
        self.bad: dict[str, float] = {}  # sha -> share of bad answers
        self.never_ready: set[str] = set()
        self.rps = RPS
        self.clock = now_ms
        self.ops: dict[str, int] = {}
        self.built: list[str] = []
        self.stopped: list[str] = []
        self.orders: list[WeightOrder] = []
        self._totals: dict[str, float] = {}
        self._since = time.monotonic()

    def capabilities(self) -> Capabilities:
        return Capabilities(name="twin", histogram=False)

    async def build(self, order: BuildOrder) -> Artefact:
        self.built.append(order.sha)
        return Artefact(sha=order.sha, digest=f"d-{order.sha[:8]}", location="/nowhere")

    async def start(self, order: StartOrder) -> Instance:
        state = "crash_loop" if order.artefact.sha in self.never_ready else "ready"
        instance = Instance(
            instance=order.instance,
            target=order.place.target,
            digest=order.artefact.digest,
            sha=order.artefact.sha,
            version=order.version,
            address=f"127.0.0.1:{20_000 + len(self.instances)}",
            state=state,
            reason="it ends at once" if state == "crash_loop" else "",
        )
        return self.instances.setdefault(order.instance, instance)

    async def probe(self, place: Place, environment: Environment, instance: str) -> Instance:
        return self.instances[instance]

    async def inspect(self, place: Place, environment: Environment) -> Inspection:
        return Inspection(
            target=place.target,
            generation=self.generation,
            routes=tuple(self.routes.values()),
            instances=tuple(self.instances.values()),
        )

    async def set_weights(self, order: WeightOrder) -> int:
        if order.op in self.ops:
            return self.ops[order.op]
        if order.expected_generation != self.generation:
            raise Rejected("another generation is in force", code="stale")
        self._flow()
        self.orders.append(order)
        self.routes = {
            name: Route(
                instance=name,
                address=self.instances[name].address,
                version=self.instances[name].version,
                digest=self.instances[name].digest,
                weight=weight,
            )
            for name, weight in order.weights.items()
        }
        self.generation += 1
        self.ops[order.op] = self.generation
        return self.generation

    async def drain(
        self, place: Place, environment: Environment, instance: str, deadline_s: float
    ) -> bool:
        return True

    async def stop(self, place: Place, environment: Environment, instance: str) -> None:
        self.stopped.append(instance)
        self.instances.pop(instance, None)

    async def observe(self, order: ObserveOrder) -> Observation:
        self._flow()
        return Observation(
            target=order.place.target,
            at_ms=self.clock(),
            generation=self.generation,
            counts=tuple(self._counts(name) for name in self._totals),
            instances=tuple(self.instances.values()),
        )

    async def prune(
        self, place: Place, environment: Environment, keep: tuple[str, ...]
    ) -> tuple[str, ...]:
        return ()

    def weight_of(self, sha: str) -> int:
        return sum(
            route.weight
            for name, route in self.routes.items()
            if name in self.instances and self.instances[name].sha == sha
        )

    def _flow(self) -> None:
        """Let the requests of the time that has passed be answered."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        for name, route in self.routes.items():
            share = route.weight / FULL
            self._totals[name] = self._totals.get(name, 0) + seconds * self.rps * share

    def _counts(self, name: str) -> Counts:
        total = int(self._totals[name])
        sha = self.instances[name].sha if name in self.instances else ""
        bad = int(total * self.bad.get(sha, 0))
        return Counts(
            instance=name,
            epoch="1",
            started=total,
            done={"2xx": total - bad, "5xx": bad},
            bad_clients=bad,
        )


class Memory:
    """The records of rollouts, in memory."""

    def __init__(self) -> None:
        self.ticked: dict[tuple[str, int, int], Tick] = {}
        self.changes: dict[str, WeightChange] = {}
        self.current: dict[str, Served] = {}
        self.passed: dict[str, Served] = {}
        self.barred: dict[str, Quarantined] = {}
        self.lines: list[RolloutLine] = []
        self.plans: dict[str, RolloutPlan] = {}

    async def plan(self, rollout: str) -> RolloutPlan | None:
        return self.plans.get(rollout)

    async def put_tick(self, tick: Tick) -> Tick:
        return self.ticked.setdefault((tick.rollout, tick.step, tick.seq), tick)

    async def ticks(self, rollout: str) -> tuple[Tick, ...]:
        keys = sorted(key for key in self.ticked if key[0] == rollout)
        return tuple(self.ticked[key] for key in keys)

    async def begin_weights(
        self, rollout: str, op: str, weights: dict[str, int], expected_generation: int, at_ms: int
    ) -> dict[str, int]:
        change = WeightChange(
            rollout=rollout,
            op=op,
            weights=weights,
            expected_generation=expected_generation,
            begun_at_ms=at_ms,
        )
        return self.changes.setdefault(op, change).weights

    async def end_weights(self, op: str, generation: int, at_ms: int) -> None:
        self.changes[op] = self.changes[op].but(generation=generation, done_at_ms=at_ms)

    async def weight_changes(self, rollout: str) -> tuple[WeightChange, ...]:
        return tuple(each for each in self.changes.values() if each.rollout == rollout)

    async def served(self, target: str) -> tuple[Served | None, Served | None]:
        return self.current.get(target), self.passed.get(target)

    async def set_current(self, served: Served, instead_of: str = "") -> None:
        self.current[served.target] = served

    async def set_passed(self, served: Served, instead_of: str = "") -> None:
        self.passed[served.target] = served

    async def quarantine(self, items: tuple[Quarantined, ...]) -> None:
        self.barred |= {item.sha: item for item in items}

    async def quarantined(self, repository: str) -> tuple[Quarantined, ...]:
        return tuple(self.barred.values())

    async def cure(self, repository: str, sha: str, cure: str, kind: Any) -> None:
        self.barred[sha] = self.barred[sha].but(cure=cure, cure_kind=kind)

    async def open_rollouts(self, target: str) -> tuple[RolloutLine, ...]:
        return ()

    async def rollouts_since(self, target: str, at_ms: int) -> tuple[RolloutLine, ...]:
        return tuple(line for line in self.lines if line.target == target)

    async def recent_traffic(self, target: str) -> tuple[float, float]:
        return RPS, 0.002


class Line:
    """A history that is one line of commits, in the order in which they are named."""

    def __init__(self, service: Service) -> None:
        self.commits: list[str] = []
        self.services = {"api": service}
        self.paths: tuple[str, ...] = ("api/app.py",)

    async def contains(self, repository: Repository, sha: str, ancestor: str) -> bool:
        known = sha in self.commits and ancestor in self.commits
        return known and self.commits.index(ancestor) <= self.commits.index(sha)

    async def merges(self, repository: Repository, after: str, sha: str) -> tuple[str, ...]:
        return tuple(self.commits[self.commits.index(after) + 1 : self.commits.index(sha) + 1])

    async def changed_paths(self, repository: Repository, after: str, sha: str) -> tuple[str, ...]:
        return self.paths

    async def config(self, repository: Repository, sha: str) -> RepoConfig | None:
        return RepoConfig(services=self.services)


class Fleets:
    """A driver for several targets: one fleet each."""

    def __init__(self) -> None:
        self.of: dict[str, Fleet] = {}

    def __getitem__(self, service: str) -> Fleet:
        return self.of.setdefault(service, Fleet())

    def capabilities(self) -> Capabilities:
        return Capabilities(name="twin", histogram=False)

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            place = args[0] if isinstance(args[0], Place) else args[0].place
            return await getattr(self[place.service], name)(*args)

        return call


class Town:
    """All of it together, with the shell and the visitor that a rollout uses."""

    def __init__(self, service: Service) -> None:
        self.fleets = Fleets()
        self.fleet = self.fleets["api"]
        self.memory = Memory()
        self.line = Line(service)
        self.hooks: list[str] = []
        self.failing_hooks: set[str] = set()

    def activities(self) -> list[Callable[..., Any]]:
        drivers = lambda name: self.fleets  # noqa: E731
        classes = (
            Deployments(drivers, self.memory, self.line, self, self, now_ms),
            Watching(drivers, self.memory, self, self, now_ms),
            Undoing(drivers, self.memory, self, now_ms),
        )
        return [method for each in classes for method in _methods(each)]

    async def run_hook(
        self, line: str, folder: str, env: dict[str, str], seconds: float
    ) -> Outcome:
        self.hooks.append(line)
        return Outcome(line not in self.failing_hooks, "said no")

    async def visit(self, url: str, count: int, rate: float) -> int:
        return count

    async def keep_visiting(self, url: str, rate: float) -> None:
        return None

    async def read(
        self, plan: RolloutPlan, observation: Observation
    ) -> dict[str, tuple[float, float]]:
        return {}
