"""Ticks put together for plots: nothing is lost, nothing is mixed, latencies come from counts."""

import pytest

from domain.deployment import BUCKETS_MS, Counts, Observation
from domain.tick import Side, Tick
from starter.report.bins import bins, interval, latencies, quantile, share
from tests.rollouts import TARGET, tick
from tests.starter.report.canary import NEW, OLD, SECOND, Traffic, ticks


def test_few_ticks_are_shown_one_by_one_and_those_that_open_a_step_not_at_all():
    seen = ticks(Traffic())
    busy = tuple(each.but(canary=Side(done=50)) for each in seen)

    shown = bins(busy)

    assert len(shown) == len([each for each in seen if each.ms]) == 30
    assert [each.weight for each in shown[::10]] == [2_000, 5_000, 10_000]
    assert shown[0].middle_ms == shown[0].begin_ms + 500


def test_where_answers_are_rare_a_point_stands_for_more_of_them():
    seen = tuple(tick(seq, canary=Side(done=5)) for seq in range(240))

    shown = bins(seen)

    assert [each.canary.done for each in shown] == [50] * 24


def test_many_ticks_are_put_together_without_losing_a_request():
    seen = tuple(
        tick(seq, canary=Side(done=3, errors=1), control=Side(done=7)) for seq in range(1_000)
    )

    shown = bins(seen, most=50)

    assert 45 <= len(shown) <= 55
    assert sum(each.canary.done for each in shown) == 3_000
    assert sum(each.control.done for each in shown) == 7_000
    assert [each.begin_ms for each in shown[1:]] == [each.end_ms for each in shown[:-1]]


def test_ticks_of_another_step_or_weight_are_never_put_together():
    seen = (tick(0), tick(1, weight=900), tick(2, step=1, weight=900), tick(3, step=1, weight=900))

    shown = bins(seen, most=1)

    assert [(each.step, each.weight, each.canary.done) for each in shown] == [
        (0, 500, 5), (0, 900, 5), (1, 900, 10),
    ]  # fmt: skip


def test_a_side_without_answers_has_no_share():
    assert (share(Side()), interval(Side())) == (None, (None, None))
    assert share(Side(done=4, errors=1)) == 0.25
    low, high = interval(Side(done=4, errors=1))
    assert low == pytest.approx(0.0063, abs=1e-4)
    assert high == pytest.approx(0.8059, abs=1e-4)


def test_latencies_are_what_the_counts_have_grown_by():
    seen = ticks(Traffic(slow_ms=40), steps=1)

    found = latencies(seen, bins(seen), SECOND)

    assert [(sum(old), sum(new)) for old, new in found] == [(80, 20)] * 10
    assert quantile(found[0][1], BUCKETS_MS, 1) == pytest.approx(51.7947)


def test_a_counter_that_began_anew_counts_from_zero():
    def seen(at: int, epoch: str, many: int) -> Tick:
        histogram = (0,) * 5 + (many,) + (0,) * 34
        counts = tuple(
            Counts(instance=name, epoch=epoch, histogram=histogram) for name in (NEW, OLD)
        )
        cursor = Observation(target=TARGET, at_ms=at, generation=1, counts=counts)
        return tick(at, cursor=cursor.model_dump_json())

    told = (seen(0, "1", 50), seen(1, "1", 60), seen(2, "2", 7))

    found = latencies(told, bins(told)[1:], SECOND)

    assert [(sum(old), sum(new)) for old, new in found] == [(10, 10), (7, 7)]


def test_without_histograms_there_are_no_latencies():
    seen = ticks(Traffic(histogram=False), steps=1)
    blind = tuple(each.but(cursor="") for each in seen)

    assert latencies(seen, bins(seen), SECOND) == ()
    assert latencies(blind, bins(blind), SECOND) == ()


@pytest.mark.parametrize(
    ("counts", "part", "expected"),
    [
        ((0, 0, 0), 0.5, None),
        ((10, 0, 0), 1.0, 10.0),
        ((0, 10, 0), 1.0, 100.0),
        ((0, 10, 0), 0.5, 10 * 10**0.5),
        ((5, 5, 0), 0.5, 10.0),
        ((0, 0, 4), 0.5, 100.0),
    ],
)
def test_quantiles_are_uniform_in_the_logarithm(
    counts: tuple[int, ...], part: float, expected: float | None
):
    found = quantile(counts, (10.0, 100.0), part)

    assert found == (expected if expected is None else pytest.approx(expected))
