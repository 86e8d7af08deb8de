"""Row: one line of the results, and the statistics behind it."""

from collections.abc import Sequence
from statistics import median

from domain.record import Record


class Row(Record):
    """What was measured; a goal is a limit of `ratio` where there is a rival, else of `value`."""

    name: str
    value: float
    unit: str
    rival: str = ""
    rival_value: float | None = None
    ratio: float | None = None
    goal: str
    met: bool
    low: float | None = None  # 95 % interval of the ratio's median, or of the value's
    high: float | None = None
    runs: int = 1
    note: str = ""


Pairs = Sequence[tuple[float, float]]


def against(name: str, pairs: Pairs, *, unit: str, rival: str, at_most: float) -> Row:
    """Return the row of interleaved pairs (ours, the rival's) whose ratio must stay small."""
    row = _compared(name, pairs, unit, rival)
    ratio = row.ratio or 0
    return row.but(goal=f"ratio <= {at_most:g}", met=ratio <= at_most)


def outdoing(name: str, pairs: Pairs, *, unit: str, rival: str, at_least: float) -> Row:
    """Return the row of interleaved pairs of rates, where more is better."""
    row = _compared(name, pairs, unit, rival)
    ratio = row.ratio or 0
    return row.but(goal=f"ratio >= {at_least:g}", met=ratio >= at_least)


def below(name: str, values: Sequence[float], *, unit: str, limit: float) -> Row:
    """Return the row of a value whose median must stay below a limit."""
    low, high = interval(values)
    value = median(values)
    return Row(
        name=name,
        value=_short(value),
        unit=unit,
        goal=f"< {limit:g} {unit}",
        met=value < limit,
        low=_short(low),
        high=_short(high),
        runs=len(values),
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of the median, from order statistics.

    The ranks are those of the normal approximation of the binomial (Conover 1999, 3.2).
    """
    ordered = sorted(values)
    count = len(ordered)
    reach = 1.96 * count**0.5 / 2
    first = max(0, int(count / 2 - reach))
    last = min(count - 1, int(count / 2 + reach))
    return ordered[first], ordered[last]


def percentile_95(values: Sequence[float]) -> float:
    """Return the smallest value that 95 % do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * 95 // 100) - 1]


def _compared(name: str, pairs: Pairs, unit: str, rival: str) -> Row:
    ratios = [ours / theirs for ours, theirs in pairs]
    low, high = interval(ratios)
    return Row(
        name=name,
        value=_short(median(ours for ours, _ in pairs)),
        unit=unit,
        rival=rival,
        rival_value=_short(median(theirs for _, theirs in pairs)),
        ratio=_short(median(ratios)),
        goal="",
        met=False,
        low=_short(low),
        high=_short(high),
        runs=len(pairs),
    )


def _short(value: float) -> float:
    """Keep four digits; a measurement has no more."""
    return float(f"{value:.4g}")
