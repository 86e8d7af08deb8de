"""What a comparison can see."""

import math
from random import Random

import pytest

from domain.judge import mde
from domain.judge_hearing import Hearing
from domain.judge_power import Limits, past_mde, past_share, share_mde
from domain.statistics import share_at_most
from tests.domain.ticks import ERROR, setup, side, tick

LIMITS = Limits(math.log(100), 3, 0.25, 30)


def test_more_traffic_time_or_weight_show_smaller_differences() -> None:
    made = setup(ERROR)
    seen = mde(made, 50, 1_000, 300, 0.005)

    assert mde(made, 100, 1_000, 300, 0.005) < seen
    assert mde(made, 50, 1_000, 600, 0.005) < seen
    assert mde(made, 50, 2_000, 300, 0.005) < seen
    assert mde(made, 50, 1_000, 300, 0.01) < seen


@pytest.mark.parametrize(
    ("rps", "weight", "seconds", "base_rate"),
    [
        (0, 1_000, 300, 0.01),  # no traffic
        (50, 1_000, 300, 0),  # a base that nobody knows
        (50, 0, 300, 0.01),  # no traffic for the new release
        (50, 10_000, 300, 0.01),  # none for the stable one
        (5_000, 1_000, 10, 0.01),  # one tick alone never decides
        (5_000, 1_000, 5, 0.01),
        (0.1, 1_000, 60, 0.5),  # too few to see even that all are bad
        (50, 1_000, 300, 0.9),  # no share is above 1
    ],
)
def test_where_nothing_can_be_seen_the_answer_is_infinity(
    rps: float, weight: float, seconds: float, base_rate: float
) -> None:
    assert mde(setup(), rps, weight, seconds, base_rate) == math.inf


def test_the_past_is_good_for_its_upper_bound_only() -> None:
    assert past_share(20, 9_000, 0.25, 0.005) == 1.25 * share_at_most(20, 9_000, 0.005)
    assert past_share(0, 0, 0.25, 0.005) == 1
    assert past_share(9, 10, 0.25, 0.005) == 1


def test_a_larger_past_shows_smaller_differences() -> None:
    def seen(past: int) -> float:
        null = past_share(past // 500, past, 0.25, 0.005)
        return past_mde(LIMITS, null, 10_000, 0.002)

    assert seen(50_000) < seen(5_000) < seen(1_000)
    assert past_mde(LIMITS, 1.0, 10_000, 0.002) == math.inf


def test_to_leave_the_worst_tick_out_costs_power() -> None:
    whole = Limits(math.log(100), 3, 0.25, 0)

    assert share_mde(whole, 13_500, 1_500, 0.002) < share_mde(LIMITS, 13_500, 1_500, 0.002)
    assert past_mde(whole, 0.004, 1_500, 0.002) < past_mde(LIMITS, 0.004, 1_500, 0.002)


def poisson(random: Random, mean: float) -> int:
    """Draw by the times between events."""
    count, time = 0, random.expovariate(1)
    while time < mean:
        count, time = count + 1, time + random.expovariate(1)
    return count


def test_the_judge_finds_what_it_says_it_would_in_80_of_100_cases() -> None:
    made, random, base = setup(), Random(5), 0.004
    ratio = mde(made, 50, 1_000, 300, base)
    found = 0
    for _ in range(200):
        hearing = Hearing(made)
        for at in range(30):
            control, canary = poisson(random, 450 * base), poisson(random, 50 * base * ratio)
            hearing.take(tick(side(450, control), side(50, canary), at=at))
        found += hearing.decided

    assert 0.72 < found / 200 < 0.9
