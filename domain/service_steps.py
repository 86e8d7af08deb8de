"""The steps of a release: how much traffic, how long, and what each can see."""

from collections.abc import Callable

from domain.deployment import FULL
from domain.rollout import PlannedStep
from domain.service import Environment, Service, Step, Strategy
from domain.verdict import CountClass, JudgeSetup

WEIGHTS = (5, 10, 25, 50, 100)  # per cent, where a canary does not say its own

# Smallest ratio seen of a class, from the requests of control and canary and the base's share.
Mde = Callable[[JudgeSetup, CountClass, int, int, float], float]


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
    said where the traffic is not known, of a step that nobody judges, and of slow answers, whose
    usual share is not known.
    """
    planned, control, canary = [], 0.0, 0.0
    for index, step in enumerate(steps_of(chosen_strategy(service, environment))):
        share = step.weight / 100
        canary += rps * step.hold * share
        control += rps * step.hold * (1 - share)
        seen = rps > 0 and step.hold > 0
        ratios = {
            each.name: mde(setup, each, round(control), round(canary), base_rate)
            for each in setup.classes
            if seen and each.name == "error"
        }
        weight = round(share * FULL)
        planned.append(PlannedStep(index=index, weight=weight, hold_s=step.hold, mde=ratios))
    return tuple(planned)
