"""What a comparison can see at all: the smallest ratio that it would find in 80 of 100 cases."""

import math
from collections.abc import Callable
from itertools import accumulate

from domain.judge_evidence import RATIOS, Gains, rate_gains, share_gains
from domain.statistics import log_sum_exp, poisson_pmf, poisson_tail, share_at_most

POWER = 0.8
_NODES = 40  # at how many counts of the control the power is computed
_HALVINGS = 16
_START = math.log(0.5 / len(RATIOS))  # half of the evidence starts with the first tick
_REST = math.log(0.5)


class Limits:
    """What the evidence must reach: its logarithm, and the canary's bad answers.

    `ticks` is their number, of which the worst one is left out; 0: none is.
    """

    def __init__(self, threshold: float, min_bad: int, tolerance: float, ticks: int) -> None:
        self.threshold = threshold
        self.min_bad = min_bad
        self.tolerance = tolerance
        self.ticks = ticks


def share_mde(limits: Limits, control: float, canary: float, base_rate: float) -> float:
    """Return the smallest ratio of shares that would be seen; infinity: none.

    `control` and `canary` are requests. Bad answers are two Poisson counts; the sum runs over the
    control's. The evidence has to do without its worst tick, whose size is taken as the median of
    the largest count of a tick.
    """
    if base_rate <= 0 or control < 1 or canary < 1:
        return math.inf
    nodes = _nodes(control * base_rate)
    all_ = (max(1, round(control)), max(1, round(canary)))
    least = _least_by_node(limits, nodes, all_)

    def power(ratio: float) -> float:
        mean = canary * base_rate * ratio
        worst = _largest(mean, limits.ticks)
        tails = _tails(least[0] + worst, least[-1] + worst, mean)
        return sum(
            weight * tails[bad - least[0]] for (_, weight), bad in zip(nodes, least, strict=True)
        )

    return _smallest(power, limits.tolerance, base_rate)


def past_mde(limits: Limits, null: float, canary: float, base_rate: float) -> float:
    """Return the same for a comparison with `null`, the largest share that the past allows."""
    if base_rate <= 0 or canary < 1 or null >= 1:
        return math.inf
    all_ = max(1, round(canary))
    least = _least(limits, lambda bad: rate_gains(null, limits.tolerance, (bad, all_)), 0, all_)

    def power(ratio: float) -> float:
        mean = canary * base_rate * ratio
        return poisson_tail(least + _largest(mean, limits.ticks), mean)

    return _smallest(power, limits.tolerance, base_rate)


def past_share(bad: int, all_: int, tolerance: float, tail: float) -> float:
    """Return the largest share that a release may have, given the counts of one that was before.

    The true share of the past lies above its bound with chance `tail` at most.
    """
    return min(1.0, share_at_most(bad, all_, tail) * (1 + tolerance)) if all_ else 1.0


def _nodes(mean: float) -> tuple[tuple[int, float], ...]:
    """Return counts of the control with their probabilities, which sum to 1."""
    reach = 5 * math.sqrt(mean) + 3
    low, high = max(0, int(mean - reach)), int(mean + reach)
    counts = range(low, high + 1, max(1, (high - low) // _NODES))
    chances = [poisson_pmf(count, mean) for count in counts]
    whole = sum(chances)
    return tuple((count, chance / whole) for count, chance in zip(counts, chances, strict=True))


def _least_by_node(
    limits: Limits, nodes: tuple[tuple[int, float], ...], all_: tuple[int, int]
) -> list[int]:
    """Return, for each count of the control, how many of the canary's are evidence enough."""
    found: list[int] = []
    for count, _ in nodes:

        def gains(bad: int, count: int = count) -> Gains:
            return share_gains(limits.tolerance, (count, all_[0]), (bad, all_[1]))

        found.append(_least(limits, gains, found[-1] if found else 0, 10 * sum(all_)))
    return found


def _least(limits: Limits, gains: Callable[[int], Gains], low: int, most: int) -> int:
    """Return the smallest count from `low` on whose evidence reaches the threshold."""

    def enough(bad: int) -> bool:
        log_e = log_sum_exp((_REST, *(_START + gain for gain in gains(bad))))
        return log_e >= limits.threshold

    low, step = max(low, limits.min_bad), 1
    if enough(low):
        return low
    while not enough(low + step) and step < most:
        step *= 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _largest(mean: float, ticks: int) -> int:
    """Return the median of the largest of so many Poisson counts, which sum to `mean`."""
    if not ticks:
        return 0
    each = mean / ticks
    below, count = poisson_pmf(0, each), 0
    while below < 0.5 ** (1 / ticks) and count < each + 12 * math.sqrt(each) + 40:
        count += 1
        below += poisson_pmf(count, each)
    return count


def _tails(low: int, high: int, mean: float) -> list[float]:
    """Return P(X >= k) for each k from `low` to `high`."""
    falling = (poisson_pmf(count, mean) for count in range(high - 1, low - 1, -1))
    return list(accumulate(falling, initial=poisson_tail(high, mean)))[::-1]


def _smallest(power: Callable[[float], float], tolerance: float, base_rate: float) -> float:
    """Return the smallest ratio with enough power, by halving its logarithm."""
    low, high = math.log1p(tolerance), -math.log(base_rate)
    if low >= high or power(math.exp(high)) < POWER:
        return math.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(math.exp(middle)) >= POWER else (middle, high)
    return math.exp(high)
