"""Streams of traffic with a known truth, in seconds, for stable and new release side by side."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from domain.record import Record
from domain.tick import Side, Tick

Counts = NDArray[np.int64]  # by run and second
Rates = NDArray[np.float64]
Shake = Callable[["Scene", Generator, Rates, Rates], tuple[Rates, Rates]]


class Step(Record):
    weight: float  # the new release's part, 0 to 1
    seconds: int


class Scene(Record):
    """What happens in one kind of run."""

    name: str
    base: float = 0.002  # bad share of the stable release
    bad: float | None = None  # of the new one; None: the same
    onset: int = 0  # second from which it is bad
    rps: float = 50
    steps: tuple[Step, ...] = (Step(weight=0.1, seconds=600),)
    slow: float = 0.02  # slow share of the stable release
    slower: float | None = None  # of the new one; None: the same
    retries: int = 1  # bad answers per failed operation, all on one side
    known_clients: bool = True  # the driver counts a client's bad answers once per tick

    @property
    def seconds(self) -> int:
        return sum(step.seconds for step in self.steps)


class Stream:
    """Counts per run and second; the truth is in the scene."""

    def __init__(self, scene: Scene, rng: Generator, runs: int, shake: Shake | None) -> None:
        self.scene = scene
        self.weights = np.concatenate([np.full(s.seconds, s.weight) for s in scene.steps])
        shape = (runs, scene.seconds)
        all_ = rng.poisson(scene.rps, shape)
        self.canary_all: Counts = rng.binomial(all_, self.weights)
        self.control_all: Counts = all_ - self.canary_all
        control, canary = _rates(scene, shape)
        if shake:
            control, canary = shake(scene, rng, control, canary)
        self.control_bad = _bad(scene, rng, self.control_all, control)
        self.canary_bad = _bad(scene, rng, self.canary_all, canary)
        slower = scene.slow if scene.slower is None else scene.slower
        self.control_slow: Counts = rng.binomial(self.control_all, scene.slow)
        self.canary_slow: Counts = rng.binomial(self.canary_all, slower)

    def runs(self, tick: int) -> Iterator[list[Tick]]:
        """Return the ticks of each run, each `tick` seconds long; none spans two steps."""
        marks = self._marks(tick)
        starts = [at for at, _, _ in marks]
        sides = zip(
            _sides(self, starts, self.control_all, self.control_bad, self.control_slow),
            _sides(self, starts, self.canary_all, self.canary_bad, self.canary_slow),
            strict=True,
        )
        for control, canary in sides:
            yield [
                self._tick(seq, mark, Side(**b), Side(**c))
                for seq, (mark, b, c) in enumerate(zip(marks, control, canary, strict=True))
            ]

    def first_bad(self, run: int) -> int:
        """Return the second that ends with the first bad answer after the onset."""
        bad = np.flatnonzero(self.canary_bad[run, self.scene.onset :, 0])
        return self.scene.onset + (int(bad[0]) + 1 if len(bad) else self.scene.seconds)

    def _marks(self, tick: int) -> list[tuple[int, int, int]]:
        """Return first second, end and step of each tick."""
        marks, begin = [], 0
        for step, part in enumerate(self.scene.steps):
            end = begin + part.seconds
            marks += [(at, min(at + tick, end), step) for at in range(begin, end, tick)]
            begin = end
        return marks

    def _tick(self, seq: int, mark: tuple[int, int, int], control: Side, canary: Side) -> Tick:
        at, end, step = mark
        return Tick(
            rollout="simulated",
            step=step,
            seq=seq,
            at_ms=end * 1_000,
            ms=(end - at) * 1_000,
            weight=round(self.weights[at] * 10_000),
            control=control,
            canary=canary,
        )


def _sides(
    stream: Stream, starts: list[int], all_: Counts, bad: Counts, slow: Counts
) -> Iterator[list[dict[str, int]]]:
    """Return the counts of one side by run and tick.

    Try k of an operation comes k seconds after the first one: a client is counted again only
    where the tick does not hold the try before.
    """
    done = np.add.reduceat(all_, starts, axis=1)
    errors = np.minimum(done, np.add.reduceat(bad.sum(axis=2), starts, axis=1))
    again = sum(bad[:, starts, at] for at in range(1, bad.shape[2]))
    clients = np.minimum(done, np.add.reduceat(bad[:, :, 0], starts, axis=1) + again)
    late = np.add.reduceat(slow, starts, axis=1)
    error = clients if stream.scene.known_clients else errors
    names = ("started", "done", "error", "errors", "slow")
    for run in range(len(done)):
        rows = (each[run].tolist() for each in (done, done, error, errors, late))
        yield [dict(zip(names, counts, strict=True)) for counts in zip(*rows, strict=True)]


def _rates(scene: Scene, shape: tuple[int, int]) -> tuple[Rates, Rates]:
    control = np.full(shape, scene.base)
    canary = control.copy()
    if scene.bad is not None:
        canary[:, scene.onset :] = scene.bad
    return control, canary


def _bad(scene: Scene, rng: Generator, all_: Counts, rates: Rates) -> Counts:
    """Return bad answers by run, second and try; the tries of one operation follow by seconds."""
    first = rng.binomial(all_, np.minimum(1, rates / scene.retries))
    tries = [first]
    for _ in range(1, scene.retries):
        later = np.zeros_like(first)
        later[:, 1:] = tries[-1][:, :-1]
        tries.append(later)
    return np.stack(tries, axis=2)


def incident(begin: int, seconds: int, share: float) -> Shake:
    """Return a disturbance that both sides have: a share of all answers turns bad."""

    def shake(scene: Scene, rng: Generator, control: Rates, canary: Rates) -> tuple[Rates, Rates]:
        for rates in (control, canary):
            rates[:, begin : begin + seconds] = share
        return control, canary

    return shake


def noise(scene: Scene, rng: Generator, control: Rates, canary: Rates) -> tuple[Rates, Rates]:
    """Both sides' shares wander together: an autoregressive factor, 0.5 to 2 within one sigma."""
    factor = np.zeros_like(control)
    step = rng.normal(0, 1, control.shape)
    for at in range(1, factor.shape[1]):
        factor[:, at] = 0.98 * factor[:, at - 1] + 0.2 * step[:, at]
    by = np.exp(np.log(2) * factor)
    return np.minimum(1, control * by), np.minimum(1, canary * by)


def bursts(
    *, instances: int = 10, every: float = 3_600, longest: float = 5, share: float = 0.5
) -> Shake:
    """Return bursts of bad answers on one instance at a time, as a pause or a full disk makes.

    Each instance has one per `every` seconds, of 1 to `longest` seconds; the new release is one
    instance of as many as `instances`.
    """

    def shake(scene: Scene, rng: Generator, control: Rates, canary: Rates) -> tuple[Rates, Rates]:
        runs, seconds = control.shape
        for run in range(runs):
            for _ in range(rng.poisson(instances * seconds / every)):
                mine = rng.random() < 1 / instances
                rates, part = (canary, 1.0) if mine else (control, 1 / (instances - 1))
                begin = rng.uniform(0, seconds)
                end = min(seconds, begin + rng.uniform(1, longest))
                for at in range(int(begin), int(np.ceil(end))):
                    inside = min(at + 1, end) - max(at, begin)
                    rates[run, at] = min(1, rates[run, at] + share * part * inside)
        return control, canary

    return shake
