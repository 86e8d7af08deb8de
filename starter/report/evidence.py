"""Evidence over time: the judge's own hearing, asked after each tick instead of at the end."""

import math
from dataclasses import dataclass

from domain.deployment import FULL
from domain.judge_case import Case
from domain.judge_hearing import Hearing
from domain.rollout import RolloutPlan
from domain.tick import Tick

_POINTS = 160
_EXACT = 2_000  # ticks; of more the evidence without its worst tick would take minutes to draw
_LN10 = math.log(10)


@dataclass(frozen=True)
class Moment:
    """Evidence of one class after a tick, as decimal exponents of the e-value."""

    at_ms: int
    whole: float
    robust: float  # without the worst tick; both must reach the limit
    limit: float


@dataclass(frozen=True)
class Trace:
    """The evidence of one class through one hearing."""

    name: str  # error, slow
    moments: tuple[Moment, ...]

    @property
    def last(self) -> Moment:
        return self.moments[-1]


def traces(plan: RolloutPlan, ticks: tuple[Tick, ...]) -> tuple[Trace, ...]:
    """Return what was held against a release after each tick, hearing by hearing.

    Steps with both releases are one hearing; a step with all traffic is one of its own, against
    the ticks of the others, as `domain.judge` has it.
    """
    if not plan.setup.control or not ticks:
        return ()
    full = {step for step in _steps(ticks) if _is_full(step, ticks)}
    shared = tuple(tick for tick in ticks if tick.step not in full)
    found = _heard(Hearing(plan.setup), shared)
    for step in sorted(full):
        stable = tuple(tick for tick in ticks if tick.step != step)
        mine = tuple(tick for tick in ticks if tick.step == step)
        found += _heard(Hearing(plan.setup, stable), mine)
    return tuple(trace for trace in found if trace.moments)


def grows_from(found: tuple[Trace, ...]) -> int:
    """Return the end of the last tick at which nothing spoke against a release that failed.

    0: it has not failed by evidence.
    """
    failed = [trace for trace in found if trace.last.robust >= trace.last.limit]
    if not failed:
        return 0
    quiet = [moment.at_ms for moment in failed[-1].moments if moment.whole <= 0]
    return quiet[-1] if quiet else failed[-1].moments[0].at_ms


def _steps(ticks: tuple[Tick, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(tick.step for tick in ticks))


def _is_full(step: int, ticks: tuple[Tick, ...]) -> bool:
    return all(tick.weight >= FULL for tick in ticks if tick.step == step)


def _heard(hearing: Hearing, ticks: tuple[Tick, ...]) -> tuple[Trace, ...]:
    moments: dict[str, list[Moment]] = {case.kind.name: [] for case in hearing.cases}
    every = max(1, len(ticks) // _POINTS)
    for number, tick in enumerate(ticks):
        decided = hearing.take(tick)
        if number % every == 0 or decided or number == len(ticks) - 1:
            for case in hearing.cases:
                moments[case.kind.name].append(_moment(case, tick, exact=len(ticks) <= _EXACT))
        if decided:
            break
    return tuple(Trace(name, tuple(told)) for name, told in moments.items())


def _moment(case: Case, tick: Tick, *, exact: bool) -> Moment:
    whole = case.evidence.log_e
    robust = case.evidence.log_e_robust() if exact else whole
    return Moment(tick.at_ms, whole / _LN10, robust / _LN10, case.threshold / _LN10)
