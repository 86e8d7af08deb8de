"""Rollouts as Prometheus metrics, served at `/metrics` of a port of this host."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from domain.deployment import FULL
from domain.errors import Misconfigured
from domain.fact import Fact
from domain.rollout import RolloutPlan, RolloutResult
from domain.rollout_fact import RolloutEnded, RolloutMoved, RolloutPlanned
from domain.ulid import ulid_ms
from domain.verdict import Verdict

_SECONDS = (30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
_PATIENCE_S = 60.0  # until a rollout at which nobody looks any more is not shown
_REMEMBERED = 10_000  # rollouts


class RolloutMetrics:
    """Counts in the memory of one process, as Prometheus expects: a restart begins anew."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._registry = CollectorRegistry()
        self._registry.register(_BeforeEachScrape(self._sweep))
        self._weight = Gauge(
            "slipway_rollout_weight",
            "Share of the traffic that a running rollout has, 0 to 1.",
            ["target"],
            registry=self._registry,
        )
        self._evidence = Gauge(
            "slipway_rollout_log_evidence",
            "Natural logarithm of the evidence that the new release is worse, by class.",
            ["target", "class"],
            registry=self._registry,
        )
        self._threshold = Gauge(
            "slipway_rollout_log_threshold",
            "Natural logarithm of the evidence at which a release has failed, by class.",
            ["target", "class"],
            registry=self._registry,
        )
        self._ended = Counter(
            "slipway_rollouts",
            "Rollouts that have ended, by state.",
            ["target", "state"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "slipway_rollout_seconds",
            "Seconds from the order to the end of a rollout, by state.",
            ["state"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._targets: OrderedDict[str, str] = OrderedDict()  # rollout: target
        self._counted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._classes: dict[str, set[str]] = {}  # target: classes that are shown
        self._stale_ms: dict[str, float] = {}  # target: when its last look is old
        self._hears_of_ends = False
        self._lock = threading.Lock()  # scrapes come in threads of their own
        self._close: Callable[[], None] | None = None

    def serve(self, port: int, host: str = "127.0.0.1") -> None:
        """Serve from now on; port 0: nobody does. Raises `Misconfigured` where it cannot be."""
        if not port:
            return
        try:
            server, thread = start_http_server(port, host, self._registry)
        except (OSError, OverflowError) as error:
            raise Misconfigured(
                f"the metrics of rollouts cannot be served at {host}:{port}: {error}",
                code="metrics_port",
                hint="set SLIPWAY_METRICS_PORT to a free port, or to 0",
            ) from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._close = close

    def close(self) -> None:
        """End serving; a repeat is fine."""
        if self._close:
            self._close()
            self._close = None

    def judged(self, plan: RolloutPlan, weight: int, verdict: Verdict) -> None:
        patience = max(_PATIENCE_S, 5 * plan.setup.analysis.tick)
        with self._lock:
            self._know(plan.rollout, plan.place.target)
            self._stale_ms[plan.place.target] = self._now_ms() + patience * 1_000
            self._show(plan.place.target, weight, verdict)

    def told(self, facts: tuple[Fact, ...]) -> None:
        with self._lock:
            self._hears_of_ends = True
            for fact in facts:
                match fact:
                    case RolloutPlanned(plan=plan):
                        self._know(plan.rollout, plan.place.target)
                    case RolloutMoved():
                        self._move(fact)
                    case RolloutEnded(result=result):
                        self._end(result)

    def _show(self, target: str, weight: int, verdict: Verdict) -> None:
        self._weight.labels(target).set(weight / FULL)
        for each in verdict.classes:
            self._evidence.labels(target, each.name).set(each.log_e)
            self._threshold.labels(target, each.name).set(each.threshold)
            self._classes.setdefault(target, set()).add(each.name)

    def _know(self, rollout: str, target: str) -> None:
        self._targets[rollout] = target
        _forget_oldest(self._targets)

    def _move(self, fact: RolloutMoved) -> None:
        target = fact.target or self._targets.get(fact.rollout)
        if target:
            self._weight.labels(target).set(fact.weight / FULL)

    def _end(self, result: RolloutResult) -> None:
        """Count an end once, and show the rollout as running no more."""
        target, state = result.target, str(result.status)
        if (result.rollout, state) in self._counted:
            return
        self._counted[result.rollout, state] = None
        _forget_oldest(self._counted)
        self._ended.labels(target, state).inc()
        with suppress(ValueError):
            seconds = (self._now_ms() - ulid_ms(result.rollout)) / 1_000
            self._seconds.labels(state).observe(max(0.0, seconds))
        self._hide(target)

    def _sweep(self) -> None:
        """Hide what nobody looks at any more, where ends are told to another process."""
        with self._lock:
            if self._hears_of_ends:
                return
            now = self._now_ms()
            for target in [name for name, at in self._stale_ms.items() if at < now]:
                self._hide(target)

    def _hide(self, target: str) -> None:
        self._stale_ms.pop(target, None)
        with suppress(KeyError):
            self._weight.remove(target)
        for name in self._classes.pop(target, ()):
            self._evidence.remove(target, name)
            self._threshold.remove(target, name)


class _BeforeEachScrape(Collector):
    """Gives no metrics: it is asked first, and puts the others in order."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        self._work()
        return ()


def _forget_oldest(known: OrderedDict[str, str] | OrderedDict[tuple[str, str], None]) -> None:
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
