"""The e-process: what it is worth, whenever somebody looks."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.judge_case import Case
from domain.judge_evidence import NOTHING, Evidence, Gains, rate_gains, share_gains
from domain.judge_hearing import Hearing
from domain.statistics import binomial_cdf
from domain.tick import Tick
from tests.domain.ticks import ERROR, SLOW, drawn, setup, side, tick

STRONG = share_gains(0.25, (0, 90), (3, 10))
MINUTE = 60_000


def chances(all_: int, share: float) -> list[float]:
    """Return the binomial distribution."""
    return [
        math.comb(all_, bad) * share**bad * (1 - share) ** (all_ - bad) for bad in range(all_ + 1)
    ]


def evidence(rows: list[tuple[Gains, int]], *, ms: int = 10_000) -> Evidence:
    """Return evidence after ticks of (gains, bad answers of the canary)."""
    grown = Evidence(10_000)
    for gains, bad in rows:
        grown.add(gains, bad, ms)
    return grown


@settings(max_examples=60, deadline=None)
@given(
    control=st.integers(1, 40),
    canary=st.integers(1, 20),
    share=st.floats(0.001, 0.999),
    tolerance=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_no_tick_gains_on_average_where_the_release_is_as_bad_as_is_tolerated(
    control: int, canary: int, share: float, tolerance: float
) -> None:
    worst = min(1.0, share * (1 + tolerance))
    means = [0.0] * len(NOTHING)
    for bad_b, chance_b in enumerate(chances(control, worst / (1 + tolerance))):
        for bad_c, chance_c in enumerate(chances(canary, worst)):
            gains = share_gains(tolerance, (bad_b, control), (bad_c, canary))
            for at, gain in enumerate(gains):
                means[at] += chance_b * chance_c * math.exp(gain)

    assert max(means) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(canary=st.integers(1, 60), null=st.floats(0.001, 0.99), below=st.floats(0.1, 1))
def test_no_tick_gains_on_average_against_a_bound_that_holds(
    canary: int, null: float, below: float
) -> None:
    means = [0.0] * len(NOTHING)
    for bad, chance in enumerate(chances(canary, null * below)):
        for at, gain in enumerate(rate_gains(null, 0.25, (bad, canary))):
            means[at] += chance * math.exp(gain)

    assert max(means) <= 1 + 1e-9


def split(random: Random, seconds: int) -> list[int]:
    """Cut a stream into ticks of any lengths."""
    lengths = []
    while sum(lengths) < seconds:
        lengths.append(min(random.choice([1, 2, 5, 10, 30, 90]), seconds - sum(lengths)))
    return lengths


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_however_a_stream_is_cut_and_looked_at_healthy_releases_seldom_fail(share: float) -> None:
    random, runs, alpha = Random(7), 200, setup().analysis.alpha
    failed = 0
    for _ in range(runs):
        case = Case(ERROR, setup())
        for each in drawn(random, split(random, 120), 10, (share, share * 1.25)):
            case.add(each.control, each.canary, each.ms)
            # The bound is that of the evidence alone; what decides needs more than that.
            if case.evidence.log_e >= case.threshold:
                failed += 1
                break

    assert 1 - binomial_cdf(failed - 1, runs, alpha) > 0.001


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_stored_ticks_give_the_same_evidence_to_the_last_digit(seed: int) -> None:
    random = Random(seed)
    seen = drawn(random, split(random, 200), 10, (0.05, 0.08))
    stored = [Tick.model_validate_json(each.model_dump_json()) for each in seen]
    killed_at = random.randrange(len(seen) + 1)
    live, restarted = Hearing(setup(ERROR, SLOW)), Hearing(setup(ERROR, SLOW))
    live.take_all(seen[:killed_at])
    restarted.take_all(stored[:killed_at])

    assert restarted.evidence() == live.evidence()
    if not live.decided:
        restarted.take_all(stored[killed_at:])
        assert restarted.evidence() == live.take_all(seen[killed_at:]).evidence()
        assert restarted.evidence() == Hearing(setup(ERROR, SLOW)).take_all(seen).evidence()


def test_evidence_is_one_before_anything_is_known() -> None:
    assert evidence([]).log_e == pytest.approx(0)
    assert evidence([]).log_e_robust() == pytest.approx(0)


def test_a_tick_without_traffic_on_one_side_says_nothing() -> None:
    assert share_gains(0.25, (0, 0), (9, 10)) is NOTHING
    assert share_gains(0.25, (9, 90), (0, 0)) is NOTHING
    assert share_gains(0.25, (0, 90), (0, 10)) is NOTHING


def test_what_hits_both_sides_says_nothing_either() -> None:
    gains = share_gains(0.25, (45, 90), (5, 10))

    assert max(gains) < 0


@pytest.mark.parametrize("null", [0.0, 1.0])
def test_a_past_that_allows_nothing_or_everything_says_nothing(null: float) -> None:
    assert rate_gains(null, 0.25, (5, 10)) is NOTHING
    assert rate_gains(0.1, 0.25, (0, 0)) is NOTHING


def test_bad_answers_that_begin_late_are_not_outweighed_by_the_good_time_before() -> None:
    good = share_gains(0.25, (2, 450), (0, 50))
    late = [(good, 0)] * 180 + [(STRONG, 3)] * 3

    alone = evidence([(STRONG, 3)] * 3).log_e
    lost = alone - evidence(late).log_e

    assert evidence([(good, 0)] * 180).log_e < 0
    assert math.log(31 * 30) - 0.5 < lost < math.log(31 * 32) + 0.5  # the weight of minute 30


def test_a_stretch_of_many_minutes_starts_all_of_them() -> None:
    long = Evidence(10_000)
    long.add(NOTHING, 0, 100 * MINUTE)
    for _ in range(3):
        long.add(STRONG, 3, 10_000)

    assert long.log_e > evidence([(STRONG, 3)] * 3).log_e - 0.1


def test_one_burst_does_not_decide() -> None:
    once = evidence([(NOTHING, 0), (share_gains(0.25, (0, 90), (9, 10)), 9)])

    assert once.log_e > 10
    assert once.log_e_robust() == pytest.approx(0)
    assert not once.exceeds(5)


def test_the_same_on_two_ticks_does() -> None:
    twice = evidence([(STRONG, 3), (NOTHING, 0), (STRONG, 3)])

    assert twice.exceeds(twice.log_e_robust())
    assert not twice.exceeds(twice.log_e_robust() + 0.001)
    assert not twice.exceeds(twice.log_e_robust() + 0.001)  # the worst stretch is known by now
    assert twice.log_e_robust() == pytest.approx(evidence([(STRONG, 3), (NOTHING, 0)]).log_e)


def test_short_ticks_are_left_out_by_the_stretch() -> None:
    rows = [(STRONG, 3)] * 10 + [(NOTHING, 0)] * 5 + [(STRONG, 3)]

    assert evidence(rows, ms=1_000).log_e_robust() == pytest.approx(
        evidence([(STRONG, 3)], ms=1_000).log_e
    )


def test_a_burst_over_the_beginning_of_a_minute_is_left_out_whole() -> None:
    half = share_gains(0.25, (0, 45), (5, 5))
    rows = [(NOTHING, 0)] * 11 + [(half, 5)] * 2

    grown = evidence(rows, ms=5_000)

    assert grown.log_e > 10
    assert grown.log_e_robust() == pytest.approx(0)


def test_a_case_counts_only_what_can_be_compared() -> None:
    case = Case(ERROR, setup())
    for each in (
        tick(side(90, 1), side(10)),
        tick(side(0), side(10, 9)),
        tick(side(90, 9), side(0)),
    ):
        case.add(each.control, each.canary, each.ms)

    assert (case.control, case.canary) == ((1, 90), (0, 10))
