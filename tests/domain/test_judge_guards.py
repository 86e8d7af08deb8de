"""Guards: what ends a rollout at once."""

from random import Random

import pytest

from domain.judge import judge, judge_bake
from domain.judge_guards import ErrorGuard, Guards, RoutingGuard
from domain.tick import Side
from tests.domain.ticks import drawn, setup, side, tick, ticks

WINDOW_MS = 10_000


def test_a_release_that_mostly_fails_ends_the_rollout_with_its_first_tick() -> None:
    verdict = judge(setup(), ticks(side(90), side(10, 9), 1), step=0, hold_over=False)

    assert (verdict.verdict, verdict.guard) == ("fail", "errors")
    assert verdict.reason == (
        "9 of the last 10 answers of the new release were bad, 0 of 90 of the stable one"
    )


@pytest.mark.parametrize(
    ("control", "canary"),
    [
        (side(81), side(9, 9)),  # too few answers
        (side(90), side(10, 5)),  # not most of them
        (side(90, 45), side(10, 8)),  # a base of 50 per cent
        (side(9_000, 4_050), side(1_000, 700)),  # worse for sure, but the stable one is bad too
        (side(10, 2), side(10, 6)),  # a difference that chance makes
    ],
)
def test_the_error_guard_keeps_still(control: Side, canary: Side) -> None:
    assert not ErrorGuard(WINDOW_MS).rings(tick(control, canary))


def test_the_error_guard_never_rings_at_a_base_of_fifty_per_cent() -> None:
    guard = ErrorGuard(WINDOW_MS)
    stream = drawn(Random(3), [2] * 500, 20, (0.5, 0.5))

    assert not any(guard.rings(each) for each in stream)


def test_the_error_guard_looks_at_ten_seconds_of_short_ticks() -> None:
    guard = ErrorGuard(1_000)
    good = [tick(side(45), side(5), ms=1_000) for _ in range(20)]
    bad = [tick(side(45), side(5, 5), ms=1_000) for _ in range(7)]

    assert not any(guard.rings(each) for each in good)
    assert [guard.rings(each) for each in bad] == [False] * 5 + [True] * 2


def test_the_error_guard_remembers_a_stable_release_that_is_silent_now() -> None:
    guard = ErrorGuard(WINDOW_MS)
    guard.rings(tick(side(500, 250)))
    guard.rings(tick())
    guard.rings(tick())

    assert not guard.rings(tick(canary=side(20, 15)))
    assert ErrorGuard(WINDOW_MS).rings(tick(canary=side(20, 15)))


def test_the_error_guard_of_a_bake_knows_the_release_before() -> None:
    stable = ticks(side(100, 50), side(0), 3)
    bake = ticks(side(0), side(100, 60), 1, step=1, weight=10_000)

    assert judge_bake(setup(), stable, bake, hold_over=False).guard == ""


def test_three_failed_probes_end_the_rollout() -> None:
    assert not Guards(setup()).look(tick(down=2))
    assert judge(setup(), (tick(down=3),), step=0, hold_over=False).guard == "probe"


def test_a_service_may_have_its_own_number_of_probes() -> None:
    assert not Guards(setup(probe_failures=5)).look(tick(down=4))


def test_a_crash_loop_ends_the_rollout() -> None:
    verdict = judge(setup(), (tick(crash_loop=True),), step=0, hold_over=False)

    assert (verdict.guard, verdict.reason) == (
        "crash_loop",
        "the new release crashes again and again",
    )


def test_traffic_that_does_not_arrive_is_a_fault_of_the_routing() -> None:
    verdict = judge(setup(), ticks(side(100), side(0), 3), step=0, hold_over=False)

    assert (verdict.verdict, verdict.guard) == ("fail", "routing")
    assert verdict.reason == (
        "0 of 200 requests reached the new release, 20 were due: the routing is wrong"
    )


@pytest.mark.parametrize(
    ("control", "canary", "weight"),
    [
        (side(90), side(10), 1_000),  # as it should be
        (side(40), side(0), 1_000),  # a small service, where that may happen
        (side(100), side(4), 1_000),  # unlikely, but not that much
        (side(0), side(0), 1_000),
        (side(900), side(0), 0),
        (side(900), side(0), 10_000),
    ],
)
def test_the_routing_guard_keeps_still(control: Side, canary: Side, weight: int) -> None:
    assert not RoutingGuard().rings(tick(control, canary, weight=weight))


def test_the_routing_guard_begins_anew_with_each_weight() -> None:
    guard = RoutingGuard()

    assert not guard.rings(tick(side(150), side(7), weight=1_000, generation=1))
    assert not guard.rings(tick(side(150), side(7), weight=1_000, generation=2))


def test_sticky_clients_say_nothing_of_the_routing() -> None:
    verdict = judge(setup(sticky=True), ticks(side(900), side(0), 3), step=0, hold_over=False)

    assert verdict.verdict == "watching"
