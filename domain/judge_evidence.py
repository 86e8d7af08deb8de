"""Evidence against a release: an e-process that may be looked at after every tick.

Under the null hypothesis its mean is at most 1, so that it ever reaches 1/alpha with a chance of at
most alpha (Ville 1939); see Lindon, Sanden and Shirikian 2022, arXiv 2205.14762, for canaries.
"""

import math
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate

from domain.statistics import log_add, log_sum_exp

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)  # of the shares, each as likely as the others
LEAST_GAIN = 1.2  # an alternative is at least this much above what is tolerated
NOTHING = (0.0,) * len(RATIOS)
_NONE = (-math.inf,) * len(RATIOS)
SLACK = 1.1  # ticks are never exactly as long as they should be
_MINUTE_MS = 60_000
_FIRST = 0.5  # weight of the start at the first tick; the minutes share the rest

Gains = tuple[float, ...]  # growth of the logarithm of evidence, by alternative


@lru_cache(maxsize=64)
def alternatives(tolerance: float) -> tuple[float, ...]:
    """Return the ratios that speak against a release that may be worse by `tolerance`."""
    return tuple(max(ratio, LEAST_GAIN * (1 + tolerance)) for ratio in RATIOS)


def share_gains(tolerance: float, control: tuple[int, int], canary: tuple[int, int]) -> Gains:
    """Return what a tick says, given (bad, all) of both sides at the same time.

    Given how many were bad in all, the canary's part depends on the ratio of the rates alone: what
    hits both sides cancels. A tick with nothing on one side says nothing.
    """
    (bad_b, all_b), (bad_c, all_c) = control, canary
    if not (all_b and all_c and (bad_b or bad_c)):
        return NOTHING
    odds, null = all_c / all_b, 1 + tolerance
    at_null = math.log1p(odds * null)
    return tuple(
        bad_c * math.log(ratio / null) + (bad_b + bad_c) * (at_null - math.log1p(odds * ratio))
        for ratio in alternatives(tolerance)
    )


def rate_gains(null: float, tolerance: float, canary: tuple[int, int]) -> Gains:
    """Return what a tick says against a share of bad answers of at most `null`."""
    bad, all_ = canary
    if not all_ or not 0 < null < 1:
        return NOTHING
    gains = []
    for ratio in alternatives(tolerance):
        share = min(null * ratio / (1 + tolerance), (1 + null) / 2)
        gains.append(
            bad * math.log(share / null) + (all_ - bad) * (math.log1p(-share) - math.log1p(-null))
        )
    return tuple(gains)


class Evidence:
    """The e-process of one class of bad answers: a mixture over ratios and over start times.

    Half of it starts with the first tick, the rest at the minutes k with weight 1/(k(k+1)), so
    that errors which begin late are not outweighed by the good time before. Its state follows from
    the ticks alone, to the last digit.
    """

    def __init__(self, window_ms: float) -> None:
        self._window_ms = window_ms * SLACK
        self._elapsed_ms = 0.0
        self._minute = 0  # of the last start
        self._starts: list[int] = []  # number of rows before each start
        self._weights: list[float] = []  # its logarithm, divided among the ratios
        # Only ticks with gains are kept: the sums of their gains, and where the worst may end.
        self._sums: list[Gains] = [NOTHING]
        self._begins_ms: list[float] = []
        self._bad: list[int] = []  # rows with bad answers of the canary
        self._windows: list[tuple[int, int]] = []
        self._mixture = list(_NONE)
        self._log_e: float | None = None  # as long as nothing has changed
        self._worst = (0, 0)  # the stretch without which there was too little evidence
        self._earlier: list[Gains] = []
        self._later: list[Gains] = []
        self._start(_FIRST)

    def add(self, gains: Gains, bad: int, ms: int) -> None:
        """Take the next tick: its gains, the canary's bad answers in it, its length."""
        self._start_minutes()
        begin, self._elapsed_ms = self._elapsed_ms, self._elapsed_ms + ms
        if gains is NOTHING:
            return
        self._sums.append(tuple(map(float.__add__, self._sums[-1], gains)))
        self._mixture = list(map(float.__add__, self._mixture, gains))
        self._log_e = None
        self._begins_ms.append(begin)
        if bad:
            self._add_window()

    @property
    def log_e(self) -> float:
        """The natural logarithm of the e-value."""
        if self._log_e is None:
            self._log_e = log_sum_exp((*self._mixture, self._waiting()))
        return self._log_e

    def log_e_robust(self) -> float:
        """Return the same without the worst tick: a single burst must not decide."""
        return min(self.log_e, *(self._without(*window) for window in self._windows), math.inf)

    def exceeds(self, threshold: float) -> bool:
        """Return whether the evidence reaches the threshold, and would without its worst tick."""
        if self.log_e < threshold or self._without(*self._worst) < threshold:
            return False
        for window in reversed(self._windows):
            if self._without(*window) < threshold:
                self._worst = window
                return False
        return True

    def _start(self, weight: float) -> None:
        share = math.log(weight / len(RATIOS))
        self._starts.append(len(self._sums) - 1)
        self._weights.append(share)
        self._mixture = [log_add(mixed, share) for mixed in self._mixture]
        self._log_e = None

    def _start_minutes(self) -> None:
        """Start what is due: 1/(k(k+1)) summed over the minutes that have passed."""
        minute = int(self._elapsed_ms // _MINUTE_MS)
        if minute > self._minute:
            weight = (1 - _FIRST) * (1 / (self._minute + 1) - 1 / (minute + 1))
            self._minute = minute
            self._start(weight)

    def _waiting(self) -> float:
        """Return the logarithm of the weight that has not started yet, which stays as it is."""
        return math.log((1 - _FIRST) / (self._minute + 1))

    def _add_window(self) -> None:
        """Remember the longest stretch of a tick's length that ends here and begins with bad."""
        last = len(self._begins_ms) - 1
        self._bad.append(last)
        first = last
        for row in reversed(self._bad):
            if self._elapsed_ms - self._begins_ms[row] > self._window_ms and row != last:
                break
            first = row
        self._windows.append((first, last + 1))

    def _without(self, first: int, last: int) -> float:
        """Return the logarithm of the e-value without the rows from `first` to before `last`."""
        if first == last:
            return self.log_e
        before, after = bisect_right(self._starts, first), bisect_left(self._starts, last)
        within = log_sum_exp(self._weights[before:after])
        earlier, later = self._start_sums()
        now, left, right = self._sums[-1], self._sums[first], self._sums[last]
        terms = [self._waiting()]
        for at in range(len(RATIOS)):
            terms.append(now[at] - right[at] + left[at] + earlier[before][at])
            terms.append(now[at] - right[at] + within)
            terms.append(now[at] + later[after][at])
        return log_sum_exp(terms)

    def _start_sums(self) -> tuple[list[Gains], list[Gains]]:
        """Return, for each number of starts, the sum of those before and of those after.

        What a start contributes is its weight over the evidence that came before it.
        """
        if len(self._earlier) <= len(self._starts):
            each = [
                tuple(weight - gain for gain in self._sums[start])
                for start, weight in zip(self._starts, self._weights, strict=True)
            ]
            self._earlier = list(accumulate(each, _add_all, initial=_NONE))
            self._later = list(accumulate(reversed(each), _add_all, initial=_NONE))[::-1]
        return self._earlier, self._later


def _add_all(a: Gains, b: Gains) -> Gains:
    return tuple(map(log_add, a, b))
