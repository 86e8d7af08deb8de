"""Verdicts: what the judge says of a release, with the evidence that a person can check."""

from typing import Literal

from domain.record import Record
from domain.service import Analysis


class CountClass(Record):
    """A kind of bad answer that can fail a release; `tolerance` is on the ratio of the shares."""

    name: Literal["error", "slow"]
    tolerance: float


class JudgeSetup(Record):
    """What is frozen when a rollout starts: classes (their number is K), limits, analysis."""

    classes: tuple[CountClass, ...]
    analysis: Analysis = Analysis()
    slow_ms: float = 0  # snapped to a bucket edge; 0: no class slow
    concurrent: bool = True  # False: the control's ticks are of another time (bake, blue-green)
    control: bool = True  # False: a first install, nothing to compare with
    errors: tuple[str, ...] = ("5xx", "connect", "timeout", "reset")  # classes that count as bad
    sticky: bool = False  # clients stay where they are, so shares say nothing of the routing
    probe_failures: int = 3  # in a row, until an instance counts as down


class ClassEvidence(Record):
    """One class of bad answers: counts, evidence against the release, interval, blind spot."""

    name: str
    control_bad: int
    control_total: int
    canary_bad: int
    canary_total: int
    log_e: float  # natural logarithm of the e-value
    log_e_robust: float  # the same with its worst tick left out
    threshold: float  # natural logarithm of K/alpha
    interval: tuple[float, float]  # of the ratio of the shares; Clopper-Pearson
    mde: float  # smallest ratio that would have been seen in 80 of 100 cases; inf: none
    failed: bool = False
    ratio: float = 1  # of the shares, as far as the same ticks say; inf: none were bad in control


class GaugeEvidence(Record):
    """A number beside the counts: whether the new release's is worse, and how sure that is."""

    name: str
    state: Literal["ok", "worse", "unclear"]
    change: float = 0  # median, 0.2: a fifth more than the control's
    points: int = 0
    effective: float = 0  # points that are worth as much as independent ones
    critical: bool = False
    report_only: bool = False
    reason: str = ""


class Verdict(Record):
    """`watching` only while the hold lasts; a rollout moves on `pass` alone."""

    verdict: Literal["watching", "pass", "fail", "inconclusive", "no_data"]
    label: Literal["", "no_control", "non_concurrent"] = ""
    reason: str  # one sentence for people
    guard: Literal["", "errors", "probe", "crash_loop", "routing", "metric"] = ""
    classes: tuple[ClassEvidence, ...] = ()
    gauges: tuple[GaugeEvidence, ...] = ()
    ticks: int = 0
    requests: int = 0  # of the canary
    at_ms: int = 0
