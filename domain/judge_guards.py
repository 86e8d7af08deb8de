"""Guards: what ends a rollout at once, without waiting for evidence to grow."""

import math
from collections import deque
from typing import Literal

from domain.deployment import FULL
from domain.judge_evidence import SLACK
from domain.statistics import binomial_cdf, hypergeometric_tail
from domain.tick import Tick
from domain.verdict import JudgeSetup

Guard = Literal["", "errors", "probe", "crash_loop", "routing", "metric"]

LEAST_REQUESTS = 10
BAD_SHARE = 0.5
CHANCE = 1e-6  # that a guard rings for nothing, per look
LEAST_MS = 10_000  # of the stretch that the error guard looks at: a burst is no outage


class Guards:
    """Looks at each tick; `rung` names the first guard that rang, `reason` says why."""

    def __init__(self, setup: JudgeSetup, past: tuple[int, int] = (0, 0)) -> None:
        self._setup = setup
        self._errors = ErrorGuard(setup.analysis.tick * 1_000, past)
        self._routing = RoutingGuard()
        self.rung: Guard = ""
        self.reason = ""

    def look(self, tick: Tick) -> bool:
        """Return whether a guard rings."""
        if tick.crash_loop:
            return self._ring("crash_loop", "the new release crashes again and again")
        if tick.down >= self._setup.probe_failures:
            return self._ring("probe", f"the new release failed {tick.down} probes in a row")
        if self._errors.rings(tick):
            return self._ring("errors", self._errors.reason)
        if not self._setup.sticky and self._routing.rings(tick):
            return self._ring("routing", self._routing.reason)
        return False

    def _ring(self, guard: Guard, reason: str) -> bool:
        self.rung, self.reason = guard, reason
        return True


class ErrorGuard:
    """Most answers of the new release are bad, and less than half as many of the stable one's.

    It looks at the last ten seconds, or the last tick where that is longer. The stable release is
    read in the same stretch, before or in `past` where it answered nothing in it; the difference
    must be more than chance, for of ten requests six are often bad at a base of 30 %.
    """

    def __init__(self, window_ms: float, past: tuple[int, int] = (0, 0)) -> None:
        self._window_ms = max(window_ms, LEAST_MS) * SLACK
        self._ticks: deque[Tick] = deque()
        self._ms = 0
        self._past = past
        self._sums = (0, 0, 0, 0)  # bad and all of control, bad and all of canary
        self.reason = ""

    def rings(self, tick: Tick) -> bool:
        """Take a tick; return whether the guard rings."""
        self._take(tick)
        bad_b, all_b, bad_c, all_c = self._sums
        if not all_b:
            bad_b, all_b = self._past
        if all_c < LEAST_REQUESTS or bad_c <= BAD_SHARE * all_c:
            return False
        share = bad_c / all_c
        if all_b and (
            bad_b / all_b >= share / 2
            or hypergeometric_tail(bad_c, all_c, bad_b + bad_c, all_b + all_c) > CHANCE
        ):
            return False
        self.reason = f"{bad_c} of the last {all_c} answers of the new release were bad"
        if all_b:
            self.reason += f", {bad_b} of {all_b} of the stable one"
        return True

    def _take(self, tick: Tick) -> None:
        control = tick.control
        self._ticks.append(tick)
        self._shift(tick, 1)
        while self._ms > self._window_ms and len(self._ticks) > 1:
            self._shift(self._ticks.popleft(), -1)
        if control.done:
            self._past = (self._past[0] + control.errors, self._past[1] + control.done)

    def _shift(self, tick: Tick, sign: int) -> None:
        self._ms += sign * tick.ms
        bad_b, all_b, bad_c, all_c = self._sums
        self._sums = (
            bad_b + sign * tick.control.errors,
            all_b + sign * tick.control.done,
            bad_c + sign * tick.canary.errors,
            all_c + sign * tick.canary.done,
        )


class RoutingGuard:
    """The new release gets so few requests at its weight that the routing must be wrong."""

    def __init__(self) -> None:
        self._weight = (0, 0)  # of which generation
        self._started = 0
        self._all = 0
        self.reason = ""

    def rings(self, tick: Tick) -> bool:
        """Take a tick; return whether the guard rings."""
        if not 0 < tick.weight < FULL:
            return False
        if self._weight != (tick.generation, tick.weight):
            self._weight, self._started, self._all = (tick.generation, tick.weight), 0, 0
        self._started += tick.canary.started
        self._all += tick.canary.started + tick.control.started
        due = self._all * tick.weight / FULL
        # Within three standard deviations it is never that unlikely.
        if not tick.control.started or self._started > due - 3 * math.sqrt(due):
            return False
        if binomial_cdf(self._started, self._all, tick.weight / FULL) >= CHANCE:
            return False
        self.reason = (
            f"{self._started} of {self._all} requests reached the new release, "
            f"{due:.0f} were due: the routing is wrong"
        )
        return True
