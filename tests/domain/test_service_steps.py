"""The steps of a release."""

import pytest

from domain.rollout import PlannedStep
from domain.service import Environment, Slow, Step, Strategy
from domain.service_steps import plan_steps, steps_of
from domain.verdict import CountClass, JudgeSetup
from tests.rollouts import service

SETUP = JudgeSetup(
    classes=(CountClass(name="error", tolerance=0.25), CountClass(name="slow", tolerance=0))
)
HERE = Environment(port=8080)


def asked(setup, rps, weight, seconds, base_rate):
    """Stand in for the judge: tells how many requests the new release gets, of how many."""
    return rps * seconds * weight / 10_000 + rps * seconds / 1e6 + base_rate


def test_a_canary_goes_in_five_steps_unless_it_says_its_own():
    assert [(step.weight, step.hold) for step in steps_of(Strategy(hold=60))] == [
        (5, 60), (10, 60), (25, 60), (50, 60), (100, 0),
    ]  # fmt: skip
    own = (Step(weight=50, hold=1), Step(weight=100, hold=9))
    assert steps_of(Strategy(steps=own)) == own


@pytest.mark.parametrize("kind", ["direct", "blue_green"])
def test_others_move_all_traffic_at_once(kind):
    steps = plan_steps(service(strategy=Strategy(kind=kind)), HERE, SETUP, 50, 0.01, asked)

    assert steps == (PlannedStep(index=0, weight=10_000, hold_s=0),)


def test_a_step_sees_with_all_requests_since_the_first():
    steps = plan_steps(service(), HERE, SETUP, 50, 0.002, asked)

    assert [(step.index, step.weight, step.hold_s) for step in steps] == [
        (0, 500, 120), (1, 1_000, 120), (2, 2_500, 120), (3, 5_000, 120), (4, 10_000, 0),
    ]  # fmt: skip
    assert steps[0].mde == {"error": pytest.approx(300 + 6_000 / 1e6 + 0.002)}
    assert steps[1].mde == {"error": pytest.approx(900 + 12_000 / 1e6 + 0.002)}
    assert steps[4].mde == {}


def test_the_strategy_of_the_environment_comes_first():
    there = HERE.but(strategy=Strategy(kind="direct"))

    assert len(plan_steps(service(), there, SETUP, 50, 0.01, asked)) == 1


def test_without_traffic_nothing_is_said():
    steps = plan_steps(service(slow=Slow(objective_ms=5)), HERE, SETUP, 0, 0, asked)

    assert [step.mde for step in steps] == [{}] * 5
