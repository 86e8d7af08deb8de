"""Gauges: numbers per side and tick that are no counts, as CPU, memory or the depth of a queue."""

import math
from itertools import pairwise
from statistics import fmean, median, stdev

from domain.service import Analysis, MetricSource
from domain.statistics import hypergeometric_tail, student_quantile
from domain.tick import Tick
from domain.verdict import GaugeEvidence

LEAST_EFFECTIVE = 5
LEAST_CHANGE = 0.1
_LEVEL = 0.99
_MOST_MEMORY = 0.97  # of a series: more than that cannot be told from a trend
_PEAK = 0.95
_MANY_PEAKS = 3  # times as many as the control has

Pair = tuple[float, float]  # control, canary


def read_gauges(analysis: Analysis, ticks: tuple[Tick, ...]) -> tuple[GaugeEvidence, ...]:
    """Return what each metric source says of the new release."""
    return tuple(
        read_gauge(
            source,
            tuple(tick.metrics[source.name] for tick in ticks if source.name in tick.metrics),
        )
        for source in analysis.metrics
    )


def read_gauge(source: MetricSource, pairs: tuple[Pair, ...]) -> GaugeEvidence:
    """Compare a metric by pairs of the same tick.

    The new release is worse if the mean of the log ratios is above 0 by Student's t with as many
    points as the series is worth (Bayley and Hammersley 1946), and its median shows a change of a
    tenth or more; or if it has several times the control's peaks, by Fisher's exact test.
    """
    sound = tuple(pair for pair in pairs if all(math.isfinite(x) and x >= 0 for x in pair))
    told = GaugeEvidence(
        name=source.name,
        state="unclear",
        points=len(sound),
        critical=source.critical,
        report_only=source.report_only,
    )
    if len(sound) < LEAST_EFFECTIVE:
        reason = f"{source.name} has only {len(sound)} values of both sides"
        return told.but(reason=reason)
    logs = _log_ratios(sound, 1 if source.worse == "higher" else -1)
    effective = len(logs) * _worth(_memory(logs))
    change = math.exp(median(logs)) - 1
    told = told.but(effective=effective, change=change)
    if effective < LEAST_EFFECTIVE:
        reason = (
            f"{source.name} moves too slowly: {len(logs)} values say as much as {effective:.1f}"
        )
        return told.but(reason=reason)
    shifted = change >= LEAST_CHANGE and _exceeds(logs, effective)
    if shifted or _peaks(sound, source.worse, effective / len(logs)):
        what = (
            f"is worse by {change:.0%}"
            if shifted
            else "has many more peaks than the stable release"
        )
        return told.but(state="worse", reason=f"{source.name} {what}")
    return told.but(state="ok")


def _log_ratios(pairs: tuple[Pair, ...], sign: int) -> list[float]:
    """Return log(canary/control); a 0 beside another number counts as half the smallest one."""
    smallest = min((x for pair in pairs for x in pair if x > 0), default=1.0) / 2
    return [
        sign * (math.log(max(canary, smallest)) - math.log(max(control, smallest)))
        for control, canary in pairs
    ]


def _memory(series: list[float]) -> float:
    """Return the correlation of neighbours, corrected for short series (Kendall 1954)."""
    mean, count = fmean(series), len(series)
    spread = math.fsum((x - mean) ** 2 for x in series)
    if spread <= 1e-12 * count * (1 + mean * mean):  # a constant: nothing but rounding
        return 0.0
    products = math.fsum((a - mean) * (b - mean) for a, b in pairwise(series))
    rho = products / spread
    return min(_MOST_MEMORY, max(0.0, rho + (1 + 4 * rho) / count))


def _worth(memory: float) -> float:
    return (1 - memory) / (1 + memory)


def _exceeds(logs: list[float], effective: float) -> bool:
    error = stdev(logs) / math.sqrt(effective)
    return fmean(logs) > student_quantile(_LEVEL, effective - 1) * error


def _peaks(pairs: tuple[Pair, ...], worse: str, worth: float) -> bool:
    """Return whether more of the canary's values lie beyond the control's 95th percentile."""
    sign = 1 if worse == "higher" else -1
    control = sorted(sign * pair[0] for pair in pairs)
    limit = control[min(len(control) - 1, math.ceil(_PEAK * len(control)) - 1)]
    high_b = sum(x > limit for x in control) * worth
    high_c = sum(sign * pair[1] > limit for pair in pairs) * worth
    count, bad_b, bad_c = int(len(pairs) * worth), math.ceil(high_b), int(high_c)
    return bad_c > _MANY_PEAKS * bad_b and (
        hypergeometric_tail(bad_c, count, bad_b + bad_c, 2 * count) <= 1 - _LEVEL
    )
