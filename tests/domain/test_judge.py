"""The judge's answers."""

import math

import pytest

from domain.deployment import BUCKETS_MS, Capabilities
from domain.judge import (
    judge,
    judge_bake,
    judge_restored,
    mde,
    regression_of,
    setup_for,
)
from domain.judge_evidence import Evidence, rate_gains
from domain.judge_power import past_share
from domain.service import Analysis, Environment, MetricSource, Probe, Service, Strategy
from domain.verdict import ClassEvidence, Verdict
from tests.domain.ticks import ERROR, SLOW, setup, side, tick, ticks

GOOD = ticks(side(450, 1), side(50), 30)
BAD = ticks(side(450, 1), side(50, 3), 30)
STABLE = ticks(side(450, 1), side(50), 20)
FULL = {"step": 1, "weight": 10_000}
CPU = MetricSource(name="cpu", source="http", query="cpu")


def service(**more: object) -> Service:
    return Service.model_validate(
        {"run": ["serve"], "environments": {"prod": Environment(port=8080)}} | more
    )


def test_what_is_counted_can_fail_a_release() -> None:
    made = setup_for(
        service(health=Probe(failures=7), strategy=Strategy(sticky="seat")),
        Capabilities(name="local"),
        300,
    )

    assert made.classes == (ERROR, SLOW)
    assert made.slow_ms in BUCKETS_MS
    assert 300 <= made.slow_ms < 300 * 10 ** (1 / 7)
    assert (made.sticky, made.probe_failures, made.control) == (True, 7, True)


def test_a_driver_without_histogram_has_no_class_slow() -> None:
    haproxy = Capabilities(name="haproxy", histogram=False, classes=("5xx",))

    made = setup_for(service(), haproxy, 300)

    assert made.classes == (ERROR,)
    assert (made.slow_ms, made.errors) == (0, ("5xx",))


def test_without_an_objective_there_is_no_class_slow() -> None:
    assert setup_for(service(), Capabilities(name="local"), 0).classes == (ERROR,)


def test_a_limit_beyond_the_histogram_is_its_last_edge() -> None:
    assert setup_for(service(), Capabilities(name="local"), 1e9).slow_ms == BUCKETS_MS[-1]


def test_a_driver_that_counts_nothing_never_lets_a_release_pass() -> None:
    blind = setup_for(service(), Capabilities(name="command", classes=(), histogram=False), 300)

    verdict = judge(blind, GOOD, step=0, hold_over=True)

    assert blind.classes == ()
    assert verdict.verdict == "inconclusive"
    assert verdict.reason == "the driver counts nothing that could fail a release"


def test_a_release_as_good_as_the_stable_one_passes_when_the_hold_is_over() -> None:
    verdict = judge(setup(), GOOD, step=0, hold_over=True)

    assert verdict.verdict == "pass"
    assert verdict.reason == (
        "no worse: 0 % of 1,500 answers of the new release were bad, 0.22 % of 13,500 by the "
        f"stable release ({verdict.classes[0].mde:.1f} times the share would have been seen)"
    )
    assert (verdict.requests, verdict.ticks, verdict.at_ms) == (1_500, 30, 300_000)


def test_it_is_watched_until_then() -> None:
    verdict = judge(setup(), GOOD, step=0, hold_over=False)

    assert verdict.verdict == "watching"
    assert verdict.reason.startswith("nothing speaks against it so far: 0 % of 1,500 answers")


def test_a_release_that_is_worse_fails_without_waiting_for_the_end() -> None:
    verdict = judge(setup(), BAD, step=0, hold_over=False)
    found = verdict.classes[0]

    assert (verdict.verdict, verdict.guard) == ("fail", "")
    assert found.failed
    assert found.log_e_robust >= found.threshold == pytest.approx(math.log(100))
    assert found.interval[0] < found.ratio < found.interval[1]
    assert verdict.reason == (
        f"6 % of {found.canary_total} answers of the new release were bad, against 0.22 % of "
        f"{found.control_total:,} by the stable release at the same time: 27 times the share, at "
        f"least {found.interval[0]:.1f} times"
    )


def test_what_is_seen_later_cannot_take_a_fail_back() -> None:
    failed = judge(setup(), BAD, step=0, hold_over=False)
    later = tuple(each.but(at_ms=each.at_ms + 300_000) for each in GOOD)

    assert failed.ticks < 10
    assert judge(setup(), BAD + later, step=0, hold_over=True) == failed


def test_two_classes_share_the_chance_of_a_false_alarm() -> None:
    verdict = judge(setup(ERROR, SLOW), GOOD, step=0, hold_over=False)

    assert [found.threshold for found in verdict.classes] == [pytest.approx(math.log(200))] * 2


def test_slow_answers_fail_a_release_too() -> None:
    late = ticks(side(450, slow=20), side(50, slow=12), 30)

    verdict = judge(setup(ERROR, SLOW), late, step=0, hold_over=False)

    assert verdict.verdict == "fail"
    assert "answers of the new release were slow" in verdict.reason


def test_an_instance_that_hangs_is_slow_before_it_has_answered() -> None:
    hanging = ticks(side(450, slow=2, timed=450), side(0, slow=45, timed=45, started=50), 3)

    verdict = judge(setup(ERROR, SLOW), hanging, step=0, hold_over=False)

    assert (verdict.verdict, verdict.guard) == ("fail", "")


def test_without_a_bad_answer_of_the_stable_release_the_ratio_has_no_upper_end() -> None:
    verdict = judge(setup(), ticks(side(450), side(50, 3), 30), step=0, hold_over=False)

    assert verdict.classes[0].ratio == math.inf
    assert "at least" in verdict.reason
    assert "any number of times the share" not in verdict.reason


def test_two_bad_answers_are_never_enough() -> None:
    few = ticks(side(100_000), side(10, 1), 2, weight=1)
    strict = setup().but(analysis=Analysis(alpha=0.4))

    verdict = judge(strict, few, step=0, hold_over=False)

    assert verdict.classes[0].log_e_robust > verdict.classes[0].threshold
    assert verdict.verdict == "watching"


def test_a_client_with_many_bad_answers_counts_once() -> None:
    one_client = ticks(side(450), side(50, errors=20, error=1), 3)

    found = judge(setup(), one_client, step=0, hold_over=False).classes[0]

    assert found.canary_bad == 3


def test_an_incident_that_both_have_fails_nobody() -> None:
    incident = tuple(
        tick(side(250, 20), side(250, 20), at=30 + at, weight=5_000, step=1) for at in range(12)
    )

    verdict = judge(setup(), GOOD + incident, step=1, hold_over=True)

    assert verdict.verdict == "pass"
    # Over all ticks the new release has the larger share of bad answers; tick by tick it has not.
    found = verdict.classes[0]
    assert found.canary_bad / found.canary_total > 2 * found.control_bad / found.control_total
    assert found.ratio == pytest.approx(1, abs=0.15)


def test_evidence_is_carried_from_step_to_step() -> None:
    first = ticks(side(450, 1), side(50, 3), 2)
    second = tuple(tick(side(450, 1), side(50, 3), at=2 + at, step=1) for at in range(2))

    alone = judge(setup(), second, step=1, hold_over=False)
    both = judge(setup(), first + second, step=1, hold_over=False)

    assert (alone.verdict, both.verdict) == ("watching", "fail")


def test_a_step_needs_its_own_requests() -> None:
    more = tuple(tick(side(10), side(2), at=30 + at, step=1) for at in range(3))

    verdict = judge(setup(), GOOD + more, step=1, hold_over=True)

    assert verdict.verdict == "inconclusive"
    assert verdict.reason == "only 6 of the 1,416 answers needed could be compared"


def test_a_stable_release_with_many_bad_answers_needs_fewer() -> None:
    half = ticks(side(90, 45), side(10, 5), 5)

    assert judge(setup(), half, step=0, hold_over=True).verdict == "pass"


def test_a_new_release_without_traffic_is_no_data() -> None:
    verdict = judge(setup(), ticks(side(10), side(0), 3), step=0, hold_over=True)

    assert (verdict.verdict, verdict.requests) == ("no_data", 0)
    assert judge(setup(), (), step=0, hold_over=True).verdict == "no_data"


def test_a_stable_release_without_traffic_leaves_nothing_to_compare_with() -> None:
    verdict = judge(setup(), ticks(side(0), side(500), 3), step=0, hold_over=True)

    assert verdict.verdict == "inconclusive"
    assert verdict.reason == "the stable release answered nothing while the new one did"


def test_a_first_install_passes_when_no_guard_has_rung() -> None:
    first = setup_for(service(), Capabilities(name="local"), 0, first=True)
    alone = ticks(side(0), side(500, 100), 3, **FULL)

    verdict = judge(first, alone, step=1, hold_over=True)

    assert (verdict.verdict, verdict.label, verdict.classes) == ("pass", "no_control", ())
    assert judge_bake(first, (), alone, hold_over=True) == verdict
    assert judge(first, alone, step=1, hold_over=False).verdict == "watching"


def test_guards_hold_for_a_first_install() -> None:
    first = setup(control=False)

    verdict = judge_bake(first, (), ticks(side(0), side(500, 400), 1, **FULL), hold_over=False)

    assert (verdict.verdict, verdict.guard, verdict.label) == ("fail", "errors", "no_control")
    assert verdict.reason == "400 of the last 500 answers of the new release were bad"


def worse(name: str, at: int) -> dict[str, tuple[float, float]]:
    return {name: (1.0 + 0.01 * (at % 3), 1.5 + 0.01 * (at % 2))}


def same(name: str, at: int) -> dict[str, tuple[float, float]]:
    return {name: (1.0 + 0.01 * (at % 3), 1.0 + 0.01 * (at % 2))}


def test_a_metric_that_is_worse_holds_a_release() -> None:
    seen = tuple(each.but(metrics=worse("cpu", each.seq)) for each in GOOD)

    verdict = judge(setup(metrics=(CPU,)), seen, step=0, hold_over=True)

    assert (verdict.verdict, verdict.reason) == ("inconclusive", "cpu is worse by 49%")
    assert verdict.gauges[0].state == "worse"
    assert judge(setup(metrics=(CPU,)), seen, step=0, hold_over=False).verdict == "watching"


def test_a_critical_metric_fails_it() -> None:
    seen = tuple(each.but(metrics=worse("cpu", each.seq)) for each in GOOD)

    verdict = judge(setup(metrics=(CPU.but(critical=True),)), seen, step=0, hold_over=True)

    assert (verdict.verdict, verdict.guard) == ("fail", "metric")


def test_a_metric_that_is_only_reported_changes_nothing() -> None:
    seen = tuple(each.but(metrics=worse("cpu", each.seq)) for each in GOOD)
    reported = CPU.but(critical=True, report_only=True)

    verdict = judge(setup(metrics=(reported,)), seen, step=0, hold_over=True)

    assert (verdict.verdict, verdict.gauges[0].state) == ("pass", "worse")


def test_a_metric_without_values_holds_a_release() -> None:
    verdict = judge(setup(metrics=(CPU,)), GOOD, step=0, hold_over=True)

    assert verdict.verdict == "inconclusive"
    assert verdict.reason == "cpu has only 0 values of both sides"


def test_a_metric_that_is_no_worse_lets_it_pass() -> None:
    seen = tuple(each.but(metrics=same("cpu", each.seq)) for each in GOOD)

    assert judge(setup(metrics=(CPU,)), seen, step=0, hold_over=True).verdict == "pass"


def test_a_metric_holds_a_first_install_too() -> None:
    first = setup(control=False, metrics=(CPU,))

    assert judge(first, GOOD, step=0, hold_over=True).verdict == "inconclusive"


def test_a_bake_is_compared_with_the_release_before() -> None:
    bake = ticks(side(0), side(500, 1), 30, **FULL)

    verdict = judge_bake(setup(), STABLE, bake, hold_over=True)
    found = verdict.classes[0]

    assert (verdict.verdict, verdict.label) == ("pass", "non_concurrent")
    assert (found.control_bad, found.control_total) == (20, 9_000)
    assert (found.canary_bad, found.canary_total) == (30, 15_000)
    assert found.threshold == pytest.approx(math.log(200))  # half of alpha is in the bound
    assert found.ratio == pytest.approx(0.9)
    assert found.interval[0] < found.ratio < found.interval[1]
    assert ", 0.22 % of 9,000 before (" in verdict.reason


def test_half_of_alpha_pays_for_what_the_past_allows() -> None:
    by_hand = Evidence(10_000)
    null = past_share(20, 9_000, ERROR.tolerance, 0.01 / 2)
    by_hand.add(rate_gains(null, ERROR.tolerance, (3, 500)), 3, 10_000)

    verdict = judge_bake(setup(), STABLE, ticks(side(0), side(500, 3), 1, **FULL), hold_over=False)

    assert verdict.classes[0].log_e == by_hand.log_e


def test_a_bake_that_is_worse_fails() -> None:
    bake = ticks(side(0), side(500, 10), 30, **FULL)

    verdict = judge_bake(setup(), STABLE, bake, hold_over=False)

    assert (verdict.verdict, verdict.ticks) == ("fail", 3)
    assert "by the release before: 9.0 times the share" in verdict.reason


def test_evidence_from_one_stretch_of_time_neither_fails_nor_passes_a_release() -> None:
    burst = (*ticks(side(450), side(50), 9), tick(side(450), side(50, 15), at=9))
    unwatched = (tick(weight=10_000, step=1), tick(canary=side(1_500, 270), at=1, **FULL))

    step = judge(setup(), burst, step=0, hold_over=True)
    bake = judge_bake(setup(), STABLE, unwatched, hold_over=True)

    assert (step.verdict, bake.verdict) == ("inconclusive", "inconclusive")
    assert step.classes[0].log_e >= step.classes[0].threshold > step.classes[0].log_e_robust
    assert step.reason == (
        "3 % of 500 answers of the new release were bad, against 0 % of 4,500 by the stable "
        "release; too much of that is of one stretch of time to be sure"
    )
    assert "by the release before; too much" in bake.reason


def test_a_burst_that_is_outweighed_lets_a_release_pass() -> None:
    burst = (tick(side(450, 1), side(50, 4)), *ticks(side(450, 1), side(50), 60))

    assert judge(setup(), burst, step=0, hold_over=True).verdict == "pass"


def test_a_bake_within_what_the_past_allows_does_not() -> None:
    bake = ticks(side(0), side(500, 2), 100, **FULL)

    assert judge_bake(setup(), STABLE, bake, hold_over=False).verdict == "watching"


def test_a_step_with_all_traffic_is_judged_as_a_bake() -> None:
    bake = ticks(side(0), side(500, 1), 30, **FULL)

    assert judge(setup(), STABLE + bake, step=1, hold_over=True) == judge_bake(
        setup(), STABLE, bake, hold_over=True
    )


def test_a_bake_without_a_past_is_inconclusive() -> None:
    bake = ticks(side(0), side(500, 1), 30, **FULL)

    verdict = judge_bake(setup(), STABLE[:0], bake, hold_over=True)

    assert verdict.verdict == "inconclusive"
    assert verdict.classes[0].mde == math.inf
    assert verdict.reason.startswith("the release before answered 0 requests in this rollout")
    assert judge_bake(setup(), STABLE, (), hold_over=True).verdict == "no_data"


def after(bad: int, seconds: int = 20) -> Verdict:
    """Judge a release restored, in one look; it had 0.22 % bad answers, the undone one 6 %."""
    seen = tick(side(50 * seconds, bad), ms=seconds * 1_000, weight=0, down=9, crash_loop=True)
    return judge_restored(setup(), STABLE, (seen,), 27)


def test_a_restored_release_that_does_as_well_as_before_passes() -> None:
    verdict = after(2)

    assert (verdict.verdict, verdict.label) == ("pass", "non_concurrent")
    assert verdict.reason == (
        "0.2 % of 1,000 answers of the restored release were bad, 0.22 % of 9,000 during the "
        f"rollout ({verdict.classes[0].mde:.1f} times the share would have been seen, 27 times was)"
    )


def test_a_restored_release_that_does_worse_fails() -> None:
    verdict = after(60)

    assert (verdict.verdict, verdict.reason) == (
        "fail",
        "the restored release is worse than it was during the rollout",
    )


def test_a_restored_release_that_mostly_fails_is_told_so() -> None:
    assert after(900).reason == (
        "900 of the last 1000 answers of the restored release were bad, 20 of 9000 of the stable "
        "one"
    )


def test_a_restored_release_with_too_few_answers_is_not_proven() -> None:
    assert after(0, seconds=1).verdict == "inconclusive"
    assert judge_restored(setup(), STABLE, (), 27).verdict == "no_data"


def test_a_restored_release_of_which_nothing_is_counted_is_not_proven() -> None:
    seen = (tick(side(1_000), weight=0),)

    assert judge_restored(setup(), STABLE, seen, 27, "slow").verdict == "inconclusive"


def test_a_regression_is_the_ratio_of_the_class_with_most_evidence() -> None:
    verdict = judge(setup(ERROR, SLOW), BAD, step=0, hold_over=False)

    name, ratio = regression_of(verdict)

    assert (name, ratio) == ("error", pytest.approx(24.3, abs=0.1))  # half an event on each side


def test_a_guard_says_nothing_of_how_much_worse_a_release_is() -> None:
    verdict = judge(setup(), (tick(down=3),), step=0, hold_over=False)

    assert regression_of(verdict) == ("error", math.inf)


def test_verdicts_survive_being_stored() -> None:
    verdict = judge(setup(), GOOD[:1], step=0, hold_over=True)

    assert verdict.classes[0].mde == math.inf
    assert "too little traffic to see any difference" not in verdict.reason
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_a_verdict_says_when_it_is_blind() -> None:
    seen = (tick(side(450), side(60)),)

    verdict = judge(setup(), seen, step=0, hold_over=True)

    assert verdict.verdict == "pass"
    assert "too little traffic to see any difference" in verdict.reason


def test_an_empty_class_tells_nothing() -> None:
    found: ClassEvidence = judge(setup(), (), step=0, hold_over=False).classes[0]

    assert (found.interval, found.ratio, found.mde) == ((0, math.inf), 1, math.inf)


def test_the_smallest_difference_of_a_plan() -> None:
    """As in the table of the design: 50 requests a second, 10 per cent, 0.1 and 1 % bad."""
    made = setup(ERROR, SLOW)

    assert mde(made, 50, 1_000, 300, 0.001) == pytest.approx(10, rel=0.15)
    assert mde(made, 50, 1_000, 3_600, 0.001) == pytest.approx(3, rel=0.15)
    assert mde(made, 50, 1_000, 300, 0.01) == pytest.approx(3, rel=0.15)
    assert mde(made, 50, 1_000, 300, 0.01, "slow") < mde(made, 50, 1_000, 300, 0.01)
    assert mde(setup(), 50, 1_000, 300, 0.01, "slow") == math.inf


def test_the_least_is_what_the_owner_asks_for() -> None:
    asks = setup().but(analysis=Analysis(min_requests=5_000))

    verdict = judge(asks, GOOD, step=0, hold_over=True)

    assert verdict.reason == "only 1,500 of the 5,000 answers needed could be compared"
