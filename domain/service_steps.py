"""The steps of a release: how much traffic, how long, and what each can see."""

from collections.abc import Callable

from domain.deployment import FULL
from domain.rollout import PlannedStep
from domain.service import Environment, Service, Step, Strategy
from domain.verdict import JudgeSetup

WEIGHTS = (5, 10, 25, 50, 100)  # per cent, where a canary does not say its own

# Smallest ratio of error shares that is seen: setup, requests per second, basis points of the new
# release, seconds, error share of the stable one.
Mde = Callable[[JudgeSetup, float, float, float, float], float]


def chosen_strategy(service: Service, environment: Environment) -> Strategy:
    """Return how traffic moves here: as the environment says, else as the service does."""
    return environment.strategy or service.strategy


def steps_of(strategy: Strategy) -> tuple[Step, ...]:
    """Return the steps as they are or stand for; only a canary has more than one.

    At 100 per cent there is no control left: what follows there is the bake.
    """
    if strategy.kind != "canary":
        return (Step(weight=100, hold=0),)
    default = (Step(weight=weight, hold=strategy.hold * (weight < 100)) for weight in WEIGHTS)
    return strategy.steps or tuple(default)


def plan_steps(
    service: Service,
    environment: Environment,
    setup: JudgeSetup,
    rps: float,
    base_rate: float,
    mde: Mde,
) -> tuple[PlannedStep, ...]:
    """Return the steps with the smallest ratio that each can see at `rps` requests per second.

    Evidence is carried along, so a step sees with all requests since the first one. Nothing is
    said where the traffic is not known, and of a step that nobody judges against a control.
    """
    planned, seconds, shifted = [], 0.0, 0.0
    for index, step in enumerate(steps_of(chosen_strategy(service, environment))):
        weight = round(step.weight / 100 * FULL)
        compared = step.hold > 0 and weight < FULL
        if compared:
            seconds += step.hold
            shifted += step.hold * weight
        seen = compared and rps > 0 and setup.classes
        ratio = {"error": mde(setup, rps, shifted / seconds, seconds, base_rate)} if seen else {}
        planned.append(PlannedStep(index=index, weight=weight, hold_s=step.hold, mde=ratio))
    return tuple(planned)
