"""Ticks: what both sides of a rollout answered in one stretch of time; the judge's only input."""

from domain.record import Record

LONGEST = 5  # lengths that a tick counts for at most, when it is asked how long was watched


class Side(Record):
    """What one side did within a tick; every number is an increase, none is cumulative."""

    started: int = 0
    done: int = 0
    error: int = 0  # bad answers, each client counted once
    slow: int = 0  # answers later than the objective, and requests overdue at the end
    errors: int = 0  # bad answers, each counted
    timed: int = 0  # requests of which it became known whether they are slow; 0: all that are done


class Tick(Record):
    """One stretch of time at constant weights; a tick is closed at each weight change."""

    rollout: str
    step: int
    seq: int
    at_ms: int  # its end
    ms: int  # its length
    weight: int  # basis points of the new release
    generation: int = 0
    control: Side = Side()
    canary: Side = Side()
    down: int = 0  # probes of the new release that failed in a row
    crash_loop: bool = False
    metrics: dict[str, tuple[float, float]] = {}  # name: control, canary
    cursor: str = ""  # JSON of the observation that ended it; the next tick begins there


def watched_ms(ticks: tuple[Tick, ...], tick_s: float) -> float:
    """Return how long a step was watched; ticks are wanted every `tick_s` seconds.

    One that is much longer was not: nobody looked meanwhile, or the wall clock was set forward. A
    clock that was set back makes a tick of no length.
    """
    longest = LONGEST * tick_s * 1_000
    return sum(min(tick.ms, longest) for tick in ticks)
