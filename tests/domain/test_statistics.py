"""Distributions against published values."""

import math

import pytest

from domain import statistics


@pytest.mark.parametrize(
    ("a", "b", "x", "expected"),
    [
        (2, 3, 0.5, 11 / 16),  # the polynomial of DLMF 8.17.5
        (1, 1, 0.25, 0.25),
        (0.5, 0.5, 0.5, 0.5),
        (2, 3, 0, 0),
        (2, 3, 1, 1),
        (20, 3, 0.9, 0.6200406),
    ],
)
def test_the_incomplete_beta_function(a: float, b: float, x: float, expected: float) -> None:
    assert statistics.beta_cdf(a, b, x) == pytest.approx(expected, rel=1e-6)


def test_the_incomplete_beta_function_holds_for_a_million_requests() -> None:
    assert statistics.beta_cdf(1e6, 9e6, 0.1) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("k", "n", "p", "expected"),
    [(3, 10, 0.5, 176 / 1024), (0, 5, 0.1, 0.59049), (-1, 5, 0.1, 0), (5, 5, 0.1, 1)],
)
def test_the_binomial_distribution(k: int, n: int, p: float, expected: float) -> None:
    assert statistics.binomial_cdf(k, n, p) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (5, 10, 0.1871, 0.8129),
        (0, 20, 0, 0.1684),
        (20, 20, 0.8316, 1),
        (1, 100, 0.000253, 0.05446),
    ],
)
def test_the_interval_of_clopper_and_pearson(k: int, n: int, low: float, high: float) -> None:
    assert statistics.clopper_pearson(k, n) == pytest.approx((low, high), abs=5e-5)


def test_fishers_lady_tastes_tea() -> None:
    assert statistics.hypergeometric_tail(4, 4, 4, 8) == pytest.approx(1 / 70)
    assert statistics.hypergeometric_tail(3, 4, 4, 8) == pytest.approx(17 / 70)
    assert statistics.hypergeometric_tail(0, 4, 4, 8) == pytest.approx(1)


@pytest.mark.parametrize(
    ("k", "mean", "expected"),
    [
        (3, 2, 0.3233),
        (0, 2, 1),
        (1, 0, 0),
        (10, 2, 4.65e-5),
        (101, 100, 0.4734),
        (100, 100, 0.5133),
    ],
)
def test_the_poisson_distribution(k: int, mean: float, expected: float) -> None:
    assert statistics.poisson_tail(k, mean) == pytest.approx(expected, rel=2e-3)


def test_nothing_happens_where_nothing_is_expected() -> None:
    assert (statistics.poisson_pmf(0, 0), statistics.poisson_pmf(1, 0)) == (1, 0)


@pytest.mark.parametrize(
    ("level", "freedom", "expected"),
    [(0.99, 5, 3.365), (0.99, 30, 2.457), (0.975, 10, 2.228), (0.99, 1, 31.821)],
)
def test_students_table(level: float, freedom: float, expected: float) -> None:
    assert statistics.student_quantile(level, freedom) == pytest.approx(expected, abs=5e-4)


def test_sums_of_logarithms_neither_overflow_nor_lose_small_terms() -> None:
    assert statistics.log_sum_exp((5_000, 5_000)) == pytest.approx(5_000 + math.log(2))
    assert statistics.log_sum_exp(()) == -math.inf
    assert statistics.log_add(-math.inf, 3) == 3
    assert statistics.log_add(-5_000, -5_000) == pytest.approx(math.log(2) - 5_000)


def test_the_upper_bound_of_a_share_errs_as_seldom_as_asked() -> None:
    bound = statistics.share_at_most(3, 1_000, 0.01)

    assert statistics.binomial_cdf(3, 1_000, bound) == pytest.approx(0.01)
    assert statistics.share_at_most(4, 4, 0.01) == 1
