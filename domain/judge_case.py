"""One class of bad answers before the judge: its counts, its evidence, its interval."""

import math

from domain.judge_evidence import NOTHING, Evidence, Gains, rate_gains, share_gains
from domain.judge_power import Limits, past_mde, past_share, share_mde
from domain.statistics import clopper_pearson
from domain.tick import Side
from domain.verdict import ClassEvidence, CountClass, JudgeSetup

Bad = tuple[int, int]  # bad answers, all answers


def counted(name: str, side: Side) -> Bad:
    """Return the bad answers of a class, and of how many it is known whether they are."""
    if name == "slow":
        return side.slow, max(side.timed or side.done, side.slow)
    return side.error, max(side.done, side.error)


def log_limit(setup: JudgeSetup) -> float:
    """Return log(K/alpha), K being the number of classes that can fail a release."""
    return math.log(max(1, len(setup.classes)) / setup.analysis.alpha)


class Case:
    """Takes a class of bad answers tick by tick.

    With `past`, the control's counts of another time, the canary is tested against the largest
    share that they allow; half of alpha goes to that bound. Without, both sides of each tick are
    compared. Unless `robust`, the worst tick counts as any other.
    """

    def __init__(
        self,
        kind: CountClass,
        setup: JudgeSetup,
        past: Bad | None = None,
        *,
        robust: bool = True,
    ) -> None:
        self.kind = kind
        self.control: Bad = past or (0, 0)
        self.canary: Bad = (0, 0)
        self.evidence = Evidence(setup.analysis.tick * 1_000)
        self._setup = setup
        self._past = past is not None
        self._robust = robust
        self._ms = 0
        self._due = 0.0  # bad answers that the canary would have had at equal rates
        self.threshold = log_limit(setup) + (math.log(2) if past is not None else 0)
        tail = setup.analysis.alpha / 2 / max(1, len(setup.classes))
        self._null = past_share(*self.control, kind.tolerance, tail) if self._past else 1.0

    def add(self, control: Side, canary: Side, ms: int) -> None:
        """Take what both sides did within a tick."""
        bad = counted(self.kind.name, canary)
        if self._past:
            gains = rate_gains(self._null, self.kind.tolerance, bad)
            self.canary = _sum(self.canary, bad)
        else:
            gains = self._compare(counted(self.kind.name, control), bad)
        self._ms += ms
        self.evidence.add(gains, bad[0], ms)

    def _compare(self, control: Bad, canary: Bad) -> Gains:
        if not (control[1] and canary[1]):
            return NOTHING
        self.control = _sum(self.control, control)
        self.canary = _sum(self.canary, canary)
        self._due += (control[0] + canary[0]) * canary[1] / (control[1] + canary[1])
        return share_gains(self.kind.tolerance, control, canary)

    @property
    def failed(self) -> bool:
        """Whether there is evidence enough, also without the worst tick."""
        return self.suspected and (not self._robust or self.evidence.exceeds(self.threshold))

    @property
    def suspected(self) -> bool:
        """Whether there is evidence enough, be it all from one stretch of time."""
        enough = self.canary[0] >= self._setup.analysis.min_bad
        return enough and self.evidence.log_e >= self.threshold

    @property
    def base_rate(self) -> float:
        """The control's share, with half an event added (Jeffreys), so that it is never 0."""
        return (self.control[0] + 0.5) / (self.control[1] + 1)

    def told(self) -> ClassEvidence:
        """Return what is known of this class."""
        (bad_b, all_b), (bad_c, all_c) = self.control, self.canary
        return ClassEvidence(
            name=self.kind.name,
            control_bad=bad_b,
            control_total=all_b,
            canary_bad=bad_c,
            canary_total=all_c,
            log_e=self.evidence.log_e,
            log_e_robust=self.evidence.log_e_robust(),
            threshold=self.threshold,
            interval=self._interval(),
            mde=self.mde(),
            failed=self.failed,
            ratio=self._ratio(bad_c, bad_b),
        )

    def mde(self) -> float:
        """Return the smallest ratio of shares that would have been seen in 80 of 100 cases."""
        analysis = self._setup.analysis
        ticks = round(self._ms / analysis.tick / 1_000)
        ticks = max(1, ticks) if self._robust else 0
        limits = Limits(self.threshold, analysis.min_bad, self.kind.tolerance, ticks)
        if self._past:
            return past_mde(limits, self._null, self.canary[1], self.base_rate)
        return share_mde(limits, self.control[1], self.canary[1], self.base_rate)

    def _interval(self) -> tuple[float, float]:
        """Return the exact interval of the canary's part, as ratio of the shares."""
        bad = self.canary[0] + self.control[0]
        low, high = clopper_pearson(self.canary[0], bad) if bad else (0.0, 1.0)
        return self._ratio(low, 1 - low), self._ratio(high, 1 - high)

    def _ratio(self, canary: float, control: float) -> float:
        """Return the canary's part over the control's, in units of what is due at equal rates.

        What is due is summed over the ticks, so that an incident at one weight does not count for
        another (Mantel and Haenszel 1959).
        """
        bad = self.canary[0] + self.control[0]
        if not bad:
            return math.inf if canary > control else float(canary == control)
        due = self._due / bad
        if self._past:
            due = self.canary[1] / max(1, self.canary[1] + self.control[1])
        if canary <= 0:
            return 0.0
        if control <= 0 or due <= 0:
            return math.inf
        return canary / control * (1 - due) / due


def _sum(a: Bad, b: Bad) -> Bad:
    return a[0] + b[0], a[1] + b[1]
