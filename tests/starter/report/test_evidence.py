"""Evidence over time is that of the judge, to the last digit."""

import math

import pytest

from domain.judge import judge, judge_bake
from starter.report import evidence
from starter.report.evidence import grows_from, traces
from tests.starter.report.canary import Traffic, canary_plan, ticks

LN10 = math.log(10)


def test_the_last_value_is_the_evidence_of_the_verdict():
    seen = ticks(Traffic(bad=0.4), steps=1)
    plan = canary_plan()

    found = traces(plan, seen)

    verdict = judge(plan.setup, seen, step=0, hold_over=True)
    for trace, told in zip(found, verdict.classes, strict=True):
        assert trace.name == told.name
        assert trace.last.whole * LN10 == pytest.approx(told.log_e)
        assert trace.last.robust * LN10 == pytest.approx(told.log_e_robust)
        assert trace.last.limit * LN10 == pytest.approx(told.threshold)
    assert verdict.verdict == "fail"


def test_it_ends_with_the_tick_that_decides():
    seen = ticks(Traffic(bad=0.4), steps=1)

    error = traces(canary_plan(), seen)[0]

    assert error.last.at_ms < seen[-1].at_ms
    assert error.last.robust >= error.last.limit > error.moments[-2].robust


def test_steps_with_both_releases_are_one_hearing_and_the_bake_another():
    plan, seen = canary_plan(), ticks(Traffic())
    stable = tuple(tick for tick in seen if tick.step < 3)
    bake = tuple(tick for tick in seen if tick.step == 3)

    found = traces(plan, seen)

    told = judge_bake(plan.setup, stable, bake, hold_over=True)
    assert [trace.name for trace in found] == ["error", "slow"] * 2
    assert found[0].last.at_ms == stable[-1].at_ms
    assert found[2].last.whole * LN10 == pytest.approx(told.classes[0].log_e)
    assert found[2].last.limit > found[0].last.limit


def test_a_first_install_has_no_evidence():
    plan = canary_plan()

    assert traces(plan.but(setup=plan.setup.but(control=False)), ticks(Traffic())) == ()
    assert traces(plan, ()) == ()


def test_many_ticks_are_told_by_a_part_of_them_and_always_by_the_last(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(evidence, "_POINTS", 5)
    monkeypatch.setattr(evidence, "_EXACT", 10)
    seen = ticks(Traffic())

    error = traces(canary_plan(), seen)[0]

    assert len(error.moments) == 7
    assert error.last.at_ms == [tick for tick in seen if tick.step == 1][-1].at_ms
    assert all(moment.whole == moment.robust for moment in error.moments)


def test_evidence_grows_from_the_last_tick_at_which_nothing_spoke_against_it():
    quiet = ticks(Traffic(), steps=1)[:6]
    traffic = Traffic(bad=0.4)
    traffic.now_ms = quiet[-1].at_ms
    loud = tuple(each.but(seq=each.seq + 6) for each in traffic.step(0, 2_000, 6))

    found = traces(canary_plan(), (*quiet, *loud))

    assert grows_from(found) == quiet[-1].at_ms


def test_without_a_fail_no_evidence_has_grown():
    assert grows_from(traces(canary_plan(), ticks(Traffic()))) == 0
    assert grows_from(()) == 0
