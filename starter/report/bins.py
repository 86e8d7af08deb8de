"""Bins: ticks of one step and weight put together, as many as a plot has room for."""

from dataclasses import dataclass
from itertools import pairwise

from pydantic import ValidationError

from domain.deployment import Observation
from domain.shifting import of_rollout
from domain.statistics import clopper_pearson
from domain.tick import Side, Tick

MOST = 120
_ENOUGH = 50  # answers of the new release, of which a share says something
_LONGEST = 1 / 12  # of all the time, where answers are rare


@dataclass(frozen=True)
class Bin:
    """Some ticks in a row: where they began and ended, and what both sides did in them."""

    step: int
    weight: int  # basis points
    begin_ms: int
    end_ms: int
    control: Side
    canary: Side
    first: Tick
    last: Tick

    @property
    def middle_ms(self) -> float:
        return (self.begin_ms + self.end_ms) / 2


def bins(ticks: tuple[Tick, ...], most: int = MOST) -> tuple[Bin, ...]:
    """Return at most about `most` bins, fewer where answers are rare.

    Ticks of another step or weight are never put together.
    """
    seen = tuple(tick for tick in ticks if tick.ms > 0)
    length = sum(tick.ms for tick in seen)
    found: list[list[Tick]] = []
    for tick in seen:
        if found and _together(found[-1], tick, length, most):
            found[-1].append(tick)
        else:
            found.append([tick])
    return tuple(_bin(group) for group in found)


def _together(group: list[Tick], tick: Tick, length: float, most: int) -> bool:
    if (group[-1].step, group[-1].weight) != (tick.step, tick.weight):
        return False
    rare = sum(each.canary.done for each in group) < _ENOUGH
    limit = length * max(_LONGEST, 1 / most) if rare else length / most
    return sum(each.ms for each in group) + tick.ms <= limit * 1.05


def _bin(group: list[Tick]) -> Bin:
    first, last = group[0], group[-1]
    return Bin(
        step=first.step,
        weight=first.weight,
        begin_ms=first.at_ms - first.ms,
        end_ms=last.at_ms,
        control=_sum(tuple(tick.control for tick in group)),
        canary=_sum(tuple(tick.canary for tick in group)),
        first=first,
        last=last,
    )


def _sum(sides: tuple[Side, ...]) -> Side:
    names = Side.model_fields
    return Side(**{name: sum(getattr(side, name) for side in sides) for name in names})


def share(side: Side) -> float | None:
    """Return the share of bad answers; None when there was none at all."""
    return side.errors / side.done if side.done else None


def interval(side: Side) -> tuple[float | None, float | None]:
    """Return the exact interval of the share at 95 % (Clopper and Pearson 1934)."""
    if not side.done:
        return None, None
    return clopper_pearson(min(side.errors, side.done), side.done)


Histogram = tuple[int, ...]


def latencies(
    ticks: tuple[Tick, ...], shown: tuple[Bin, ...], rollout: str
) -> tuple[tuple[Histogram, Histogram], ...]:
    """Return for each bin how many answers of both sides, the new one last, took how long.

    Ticks hold the observation that ended them, with counts since each instance began; without
    histograms (not every driver counts them) there is nothing to return.
    """
    before = {id(tick): earlier for earlier, tick in pairwise(ticks)}
    found = []
    for each in shown:
        earlier = before.get(id(each.first))
        now, then = _counts(each.last), _counts(earlier) if earlier else {}
        old, new = (
            _grown({n: told for n, told in now.items() if of_rollout(rollout, n) is mine}, then)
            for mine in (False, True)
        )
        found.append((old, new))
    return tuple(found) if any(any(side) for pair in found for side in pair) else ()


def _counts(tick: Tick) -> dict[str, tuple[str, Histogram]]:
    """Return epoch and histogram of each instance at the end of a tick; none if it says none."""
    try:
        seen = Observation.model_validate_json(tick.cursor)
    except ValidationError:
        return {}
    return {each.instance: (each.epoch, each.histogram) for each in seen.counts}


def _grown(
    now: dict[str, tuple[str, Histogram]], then: dict[str, tuple[str, Histogram]]
) -> Histogram:
    """Return by how much the counts of some instances have grown; a new epoch begins at 0."""
    grown: list[Histogram] = []
    for name, (epoch, counts) in now.items():
        old_epoch, old = then.get(name, ("", ()))
        if old_epoch != epoch or len(old) != len(counts):
            old = (0,) * len(counts)
        grown.append(tuple(max(0, a - b) for a, b in zip(counts, old, strict=True)))
    return tuple(sum(column) for column in zip(*grown, strict=True)) if grown else ()


def quantile(counts: Histogram, edges: tuple[float, ...], part: float) -> float | None:
    """Return the latency that `part` of the answers did not exceed, in milliseconds.

    Within a bucket the logarithm is taken as uniform; what lies above the last edge is told as it.
    """
    whole = sum(counts)
    if not whole:
        return None
    wanted, below = part * whole, 0
    for at, count in enumerate(counts):
        if count and below + count >= wanted:
            if at >= len(edges):
                return edges[-1]
            low = edges[at - 1] if at else edges[0] / 2
            return float(low * (edges[at] / low) ** ((wanted - below) / count))
        below += count
    return edges[-1]
