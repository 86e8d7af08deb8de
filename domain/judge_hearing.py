"""The hearing: takes the ticks of a rollout one by one, until something speaks against it."""

from collections.abc import Iterable

from domain.judge_case import Bad, Case, counted
from domain.judge_guards import Guards
from domain.tick import Tick
from domain.verdict import ClassEvidence, JudgeSetup


class Hearing:
    """All that follows from ticks in their order; the same ticks give the same, to the last digit.

    It ends with the tick that decides: what is observed later, until the traffic is back, cannot
    take a verdict back. `past` are the stable release's ticks of another time, if it has none now.
    """

    def __init__(
        self, setup: JudgeSetup, past: tuple[Tick, ...] | None = None, *, robust: bool = True
    ) -> None:
        self.setup = setup
        earlier = past or ()
        self.cases = tuple(
            Case(
                kind,
                setup,
                None if past is None else _counted(kind.name, earlier),
                robust=robust,
            )
            for kind in (setup.classes if setup.control else ())
        )
        errors = sum(tick.control.errors for tick in earlier)
        self.guards = Guards(setup, (errors, sum(tick.control.done for tick in earlier)))
        self.decided = False
        self.ticks = 0
        self.at_ms = 0
        self._requests: dict[int, int] = {}  # of the canary, by step, where they can be judged
        self._seen: dict[int, int] = {}  # of the canary, by step
        self._concurrent = past is None and setup.control

    def take_all(self, ticks: Iterable[Tick]) -> "Hearing":
        """Take ticks until one decides."""
        for tick in ticks:
            if self.take(tick):
                break
        return self

    def take(self, tick: Tick) -> bool:
        """Take a tick; return whether it decides against the release."""
        self.ticks += 1
        self.at_ms = tick.at_ms
        self._count(tick)
        for case in self.cases:
            case.add(tick.control, tick.canary, tick.ms)
        rung = self.guards.look(tick)
        self.decided = rung or any(case.failed for case in self.cases)
        return self.decided

    def _count(self, tick: Tick) -> None:
        done = tick.canary.done
        self._seen[tick.step] = self._seen.get(tick.step, 0) + done
        if tick.control.done or not self._concurrent:
            self._requests[tick.step] = self._requests.get(tick.step, 0) + done

    @property
    def requests(self) -> int:
        """How many requests the new release has answered."""
        return sum(self._seen.values())

    def seen(self, step: int) -> int:
        """Return how many of them in one step."""
        return self._seen.get(step, 0)

    def compared(self, step: int) -> int:
        """Return how many of them while the stable release answered too."""
        return self._requests.get(step, 0)

    def evidence(self) -> tuple[ClassEvidence, ...]:
        """Return what is known of each class."""
        return tuple(case.told() for case in self.cases)


def _counted(name: str, ticks: tuple[Tick, ...]) -> Bad:
    counts = [counted(name, tick.control) for tick in ticks]
    return sum(bad for bad, _ in counts), sum(all_ for _, all_ in counts)
