"""Metrics that are no counts."""

import math
from random import Random

import pytest

from domain.gauges import read_gauge, read_gauges
from domain.service import Analysis, MetricSource
from tests.domain.ticks import tick

CPU = MetricSource(name="cpu", source="prometheus", query="cpu")
Pairs = tuple[tuple[float, float], ...]


def pairs(count: int, factor: float, *, memory: float = 0, seed: int = 1) -> Pairs:
    """Return two series of which each value remembers the one before."""
    random, noise, made = Random(seed), [0.0, 0.0], []
    for _ in range(count):
        new = math.sqrt(1 - memory**2)
        noise = [memory * old + new * random.gauss(0, 1) for old in noise]
        made.append((100 * math.exp(0.1 * noise[0]), 100 * factor * math.exp(0.1 * noise[1])))
    return tuple(made)


def test_equal_metrics_are_no_worse() -> None:
    found = read_gauge(CPU, pairs(60, 1))

    assert (found.state, found.points, found.reason) == ("ok", 60, "")
    assert found.effective > 40


def test_a_metric_that_is_a_fifth_higher_is_worse() -> None:
    found = read_gauge(CPU.but(critical=True), pairs(60, 1.2))

    assert (found.state, found.critical) == ("worse", True)
    assert found.change == pytest.approx(0.2, abs=0.05)
    assert found.reason == f"cpu is worse by {found.change:.0%}"


def test_a_metric_that_is_lower_is_worse_where_the_owner_says_so() -> None:
    rate = CPU.but(worse="lower")

    assert read_gauge(rate, pairs(60, 0.8)).state == "worse"
    assert read_gauge(rate, pairs(60, 1.2)).state == "ok"
    assert read_gauge(CPU, pairs(60, 0.8)).state == "ok"


def test_a_small_difference_is_none_however_sure() -> None:
    assert read_gauge(CPU, pairs(2_000, 1.05)).state == "ok"


def test_a_metric_that_moves_slowly_says_little() -> None:
    found = read_gauge(CPU, pairs(12, 1.2, memory=0.95))

    assert found.state == "unclear"
    assert found.reason.startswith("cpu moves too slowly: 12 values say as much as")


def test_a_metric_that_seldom_comes_says_nothing() -> None:
    found = read_gauge(CPU, pairs(4, 2))

    assert (found.state, found.reason) == ("unclear", "cpu has only 4 values of both sides")


def test_values_that_are_no_numbers_do_not_count() -> None:
    broken = ((math.nan, 1.0), (1.0, math.inf), (-1.0, 1.0)) * 10

    assert read_gauge(CPU, broken).points == 0
    assert read_gauge(CPU, broken + pairs(60, 1)).points == 60


def test_another_unit_on_both_sides_changes_nothing() -> None:
    seen = pairs(30, 1) + tuple((b * 1_000, c * 1_000) for b, c in pairs(30, 1, seed=2))

    assert read_gauge(CPU, seen).state == "ok"


def test_a_constant_difference_is_worse() -> None:
    assert read_gauge(CPU, ((1.0, 2.0),) * 10).state == "worse"
    assert read_gauge(CPU, ((1.0, 1.0),) * 10).state == "ok"


def test_an_empty_queue_beside_a_full_one_is_worse() -> None:
    assert read_gauge(CPU, ((0.0, 4.0), (0.0, 5.0)) * 10).state == "worse"
    assert read_gauge(CPU, ((0.0, 0.0),) * 10).state == "ok"


def test_peaks_that_the_median_does_not_show_are_worse() -> None:
    seen = tuple((b, c * (10 if at % 4 == 0 else 1)) for at, (b, c) in enumerate(pairs(80, 1)))

    found = read_gauge(CPU, seen)

    assert abs(found.change) < 0.1
    assert (found.state, found.reason) == (
        "worse",
        "cpu has many more peaks than the stable release",
    )


@pytest.mark.parametrize("memory", [0, 0.6])
def test_equal_metrics_seldom_look_worse(memory: float) -> None:
    worse = sum(
        read_gauge(CPU, pairs(60, 1, memory=memory, seed=seed)).state == "worse"
        for seed in range(200)
    )

    assert worse <= 8


def test_only_ticks_with_a_value_count() -> None:
    seen = tuple(
        tick(at=at, metrics={"cpu": pair} if at % 2 else {"other": pair})
        for at, pair in enumerate(pairs(40, 1))
    )

    (found,) = read_gauges(Analysis(metrics=(CPU,)), seen)

    assert found.points == 20
