"""Distributions and sums that the judge needs, on the standard library alone."""

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

_TINY = 1e-300
_PRECISE = 1e-14
_HALVINGS = 60  # of the unit interval: beyond the last digit of a float near 1


def log_sum_exp(logs: Iterable[float]) -> float:
    """Return log(sum(exp(x))) without overflow; minus infinity for nothing."""
    terms = tuple(logs)
    most = max(terms, default=-math.inf)
    if most == -math.inf:
        return most
    return most + math.log(math.fsum(math.exp(term - most) for term in terms))


def log_add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b)) without overflow."""
    more, less = (a, b) if a >= b else (b, a)
    return more if less == -math.inf else more + math.log1p(math.exp(less - more))


def beta_cdf(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) (DLMF 8.17)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side (DLMF 8.17.4)
        return 1 - _beta_left(b, a, 1 - x)
    return _beta_left(a, b, x)


def _beta_left(a: float, b: float, x: float) -> float:
    front = math.exp(
        a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    )
    return front / (a * _beta_fraction(a, b, x))


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of DLMF 8.17.22 by the modified method of Lentz."""
    value, c, d, m = 1.0, 1.0, 0.0, 0
    while True:
        half, odd = divmod(m + 1, 2)
        if odd:
            top = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            top = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1 / (1 + top * d or _TINY)
        c = 1 + top / c or _TINY
        value *= c * d
        if abs(c * d - 1) < _PRECISE:
            return value
        m += 1


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return P(X <= k) of n trials with chance p each."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else beta_cdf(n - k, k + 1, 1 - p)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share, k of n (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else _root(lambda x: beta_cdf(k, n - k + 1, x) - tail)
    return low, share_at_most(k, n, tail)


def share_at_most(k: int, n: int, tail: float) -> float:
    """Return the one-sided upper bound of a share, k of n, that errs with chance `tail`."""
    return 1.0 if k >= n else _root(lambda x: beta_cdf(k + 1, n - k, x) - (1 - tail))


def hypergeometric_tail(bad: int, drawn: int, all_bad: int, total: int) -> float:
    """Return P(X >= bad) of `drawn` out of `total`, `all_bad` of them bad (Fisher 1935)."""
    most = min(drawn, all_bad)
    good = total - all_bad
    whole = _log_choose(total, drawn)
    return min(
        1.0,
        math.exp(
            log_sum_exp(
                _log_choose(all_bad, x) + _log_choose(good, drawn - x) - whole
                for x in range(max(bad, drawn - good), most + 1)
            )
        ),
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def poisson_pmf(k: int, mean: float) -> float:
    """Return P(X = k) of a Poisson variable."""
    if mean <= 0:
        return float(k == 0)
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))


def poisson_tail(k: int, mean: float) -> float:
    """Return P(X >= k) of a Poisson variable."""
    if k <= 0 or mean <= 0:
        return float(k <= 0)
    reach = 12 * math.sqrt(mean) + 40  # what lies farther out is below the last digit
    if k > mean:
        return math.fsum(poisson_pmf(x, mean) for x in range(k, int(k + reach)))
    return 1 - math.fsum(poisson_pmf(x, mean) for x in range(max(0, int(k - reach)), k))


@lru_cache(maxsize=1_024)
def student_quantile(level: float, freedom: float) -> float:
    """Return t with P(T <= t) = level, for a level of at least one half."""

    def short(x: float) -> float:
        # The share of both tails grows with x = freedom / (freedom + t^2).
        return beta_cdf(freedom / 2, 0.5, x) - 2 * (1 - level)

    x = _root(short)
    return math.sqrt(freedom * (1 - x) / x)


def _root(rising: Callable[[float], float]) -> float:
    """Return where a rising function of the unit interval is zero, by halving."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
