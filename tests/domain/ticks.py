"""Ticks for the tests of the judge: made by hand, or drawn from a known truth."""

from random import Random
from typing import Any

from domain.service import Analysis, MetricSource
from domain.tick import Side, Tick
from domain.verdict import CountClass, JudgeSetup

ERROR = CountClass(name="error", tolerance=0.25)
SLOW = CountClass(name="slow", tolerance=0)
NOBODY = Side()


def setup(*classes: CountClass, tick: float = 10, **more: Any) -> JudgeSetup:
    """Return a setup with the class `error`, unless others are named."""
    metrics: tuple[MetricSource, ...] = more.pop("metrics", ())
    return JudgeSetup(
        classes=classes or (ERROR,), analysis=Analysis(tick=tick, metrics=metrics), **more
    )


def side(done: int, bad: int = 0, slow: int = 0, **more: int) -> Side:
    """Return a side whose clients all had at most one bad answer."""
    return Side(**{"started": done, "done": done, "error": bad, "errors": bad, "slow": slow} | more)


def tick(
    control: Side = NOBODY, canary: Side = NOBODY, *, at: int = 0, ms: int = 10_000, **more: Any
) -> Tick:
    """Return tick number `at` of a step with 10 per cent."""
    told = {"rollout": "r", "step": 0, "weight": 1_000, "at_ms": (at + 1) * ms} | more
    return Tick(seq=at, ms=ms, control=control, canary=canary, **told)


def ticks(control: Side, canary: Side, count: int, **more: Any) -> tuple[Tick, ...]:
    """Return as many equal ticks."""
    return tuple(tick(control, canary, at=at, **more) for at in range(count))


def drawn(
    random: Random, lengths: list[int], rps: int, shares: tuple[float, float], weight: float = 0.1
) -> tuple[Tick, ...]:
    """Return ticks of so many seconds, drawn request by request; `shares` are bad ones."""
    made, end = [], 0
    for at, seconds in enumerate(lengths):
        counts = [[0, 0], [0, 0]]
        for _ in range(rps * seconds):
            canary = random.random() < weight
            counts[canary][0] += 1
            counts[canary][1] += random.random() < shares[canary]
        end += seconds * 1_000
        made.append(
            tick(side(*counts[0]), side(*counts[1]), at=at, ms=seconds * 1_000).but(at_ms=end)
        )
    return tuple(made)
