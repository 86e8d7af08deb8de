"""The rules of two canary tools, written anew from their published descriptions.

Kayenta: a metric is High when the Mann-Whitney interval of the shift (98 %, normal approximation
with ties and continuity, ends by Brent's method to 1e-4) lies above a quarter of the
Hodges-Lehmann estimate; one High metric fails the canary at its end. Flagger: a share of good
answers below 99 % in a minute is a failed check; five failed checks end the canary.
"""

import math
from collections.abc import Callable
from statistics import NormalDist, fmean

import numpy as np
from numpy.typing import NDArray

MINUTE = 60
_Z = NormalDist().inv_cdf(0.99)  # two-sided 98 %
_TOLERANCE = 0.25
_PRECISION = 1e-4
_STEPS = 1_000
Numbers = NDArray[np.float64]


def kayenta_fails(control: Numbers, canary: Numbers) -> bool:
    """Judge the bad shares per minute of both sides, once, at the end."""
    if sorted(control) == sorted(canary) or len({*control, *canary}) == 1:
        return False
    low, estimate = _shift(canary, control)
    ratio = fmean(canary) / fmean(control) if control.any() else math.nan
    return low > _TOLERANCE * abs(estimate) and not ratio < 1


def flagger_fails_at(good: Numbers, checks: int = 5) -> float:
    """Return the second of the last failed check, given good shares per minute; infinity: none."""
    failed = np.flatnonzero(good < 0.99)
    return math.inf if len(failed) < checks else float((failed[checks - 1] + 1) * MINUTE)


def per_minute(bad: NDArray[np.int64], all_: NDArray[np.int64]) -> Numbers:
    """Return the bad share of each minute that had traffic."""
    starts = range(0, len(all_), MINUTE)
    every = np.add.reduceat(all_, starts)
    some = every > 0
    return np.asarray(np.add.reduceat(bad, starts)[some] / every[some], dtype=float)


def _shift(x: Numbers, y: Numbers) -> tuple[float, float]:
    """Return the lower end of the interval, and the estimate, of the shift from y to x."""
    least, most = float(x.min() - y.max()), float(x.max() - y.min())

    def end(quantile: float) -> float:
        def off(shift: float) -> float:
            return _statistic(x - shift, y) - quantile

        at_least, at_most = off(least), off(most)
        if at_least <= 0:
            return least
        return most if at_most >= 0 else _brent(off, least, most, at_least, at_most)

    return end(_Z), end(0.0)


def _statistic(x: Numbers, y: Numbers) -> float:
    """Return the standardised rank sum of x, corrected for ties and continuity."""
    m, n = len(x), len(y)
    both = np.concatenate([x, y])
    _, where, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    off = float(ranks[:m].sum()) - m * (m + 1) / 2 - m * n / 2
    ties = float((counts**3 - counts).sum()) / ((m + n) * (m + n - 1))
    sigma = math.sqrt(m * n / 12 * (m + n + 1 - ties))
    return (off - math.copysign(0.5, off) * (off != 0)) / sigma if sigma else 0.0


def _brent(f: Callable[[float], float], a: float, b: float, fa: float, fb: float) -> float:
    """Return a zero of f between a and b (Brent 1973, chapter 4)."""
    c, fc = a, fa
    step = last = b - a
    for _ in range(_STEPS):
        if abs(fc) < abs(fb):
            a, b, c, fa, fb, fc = b, c, b, fb, fc, fb
        precise = 2 * np.finfo(float).eps * abs(b) + _PRECISION / 2
        half = (c - b) / 2
        if abs(half) <= precise or fb == 0:
            return b
        step, last = _next_step(a, b, c, fa, fb, fc, half, precise, step, last)
        a, fa = b, fb
        b += step if abs(step) > precise else math.copysign(precise, half)
        fb = f(b)
        if (fb > 0) == (fc > 0):
            c, fc = a, fa
            step = last = b - a
    return b


def _next_step(
    a: float, b: float, c: float, fa: float, fb: float, fc: float,
    half: float, precise: float, step: float, last: float,
) -> tuple[float, float]:  # fmt: skip
    """Return the next step and the one before: by interpolation if that converges, else half."""
    if abs(last) < precise or abs(fa) <= abs(fb):
        return half, half
    s = fb / fa
    if a == c:
        p, q = 2 * half * s, 1 - s
    else:
        q, r = fa / fc, fb / fc
        p = s * (2 * half * q * (q - r) - (b - a) * (r - 1))
        q = (q - 1) * (r - 1) * (s - 1)
    if p > 0:
        q = -q
    p = abs(p)
    if 2 * p < min(3 * half * q - abs(precise * q), abs(last * q)):
        return p / q, step
    return half, half
