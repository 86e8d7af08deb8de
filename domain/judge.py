"""The judge: says of a release under live traffic whether it is worse than the stable one.

A pure function of the stored ticks of a rollout. What it does and why is in docs/judge.md.
"""

import math
from typing import Literal

from domain import judge_words as words
from domain.deployment import BUCKETS_MS, FULL, Capabilities
from domain.gauges import read_gauges
from domain.judge_case import Case, log_limit
from domain.judge_guards import Guard
from domain.judge_hearing import Hearing
from domain.judge_power import Limits, share_mde
from domain.service import Service
from domain.tick import Side, Tick
from domain.verdict import CountClass, GaugeEvidence, JudgeSetup, Verdict

Answer = Literal["watching", "pass", "fail", "inconclusive", "no_data"]
Label = Literal["", "no_control", "non_concurrent"]
Outcome = tuple[Answer, str]

_LEAST_DIFFERENCE = 0.005  # of the bad share, which a hold should be long enough for


def setup_for(
    service: Service, capabilities: Capabilities, slow_ms: float, *, first: bool = False
) -> JudgeSetup:
    """Return what is frozen at the start of a rollout.

    A class that the driver cannot count does not enter K. `slow_ms` is the limit of the class
    `slow` (0: none); it is snapped up to an edge of the latency histogram. On a `first` install
    there is nothing to compare with.
    """
    errors = tuple(name for name in service.errors if name in capabilities.classes)
    limit = _edge(slow_ms) if capabilities.histogram and slow_ms > 0 else 0
    classes = []
    if errors:
        classes.append(CountClass(name="error", tolerance=service.analysis.tolerance))
    if limit:
        classes.append(CountClass(name="slow", tolerance=0))
    return JudgeSetup(
        classes=tuple(classes),
        analysis=service.analysis,
        slow_ms=limit,
        control=not first,
        errors=errors,
        sticky=bool(service.strategy.sticky),
        probe_failures=service.health.failures,
    )


def _edge(slow_ms: float) -> float:
    return next((edge for edge in BUCKETS_MS if edge >= slow_ms), BUCKETS_MS[-1])


def judge(setup: JudgeSetup, ticks: tuple[Tick, ...], *, step: int, hold_over: bool) -> Verdict:
    """Judge a rollout by all its ticks so far, in their order.

    `step` is the one under way: a pass needs enough answers in it. A step with all traffic has no
    control and is judged as a bake.
    """
    mine = tuple(tick for tick in ticks if tick.step == step)
    if setup.control and mine and all(tick.weight >= FULL for tick in mine):
        stable = tuple(tick for tick in ticks if tick.step != step)
        return judge_bake(setup, stable, mine, hold_over=hold_over)
    hearing = Hearing(setup).take_all(ticks)
    return _verdict(hearing, ticks, step, hold_over, "" if setup.control else "no_control")


def judge_bake(
    setup: JudgeSetup,
    stable_ticks: tuple[Tick, ...],
    bake_ticks: tuple[Tick, ...],
    hold_over: bool,
) -> Verdict:
    """Judge a release that has all traffic by what the stable one did in the same rollout.

    The control is of another time: an incident that only the bake meets speaks against the
    release. A first install has none.
    """
    step = bake_ticks[-1].step if bake_ticks else 0
    if not setup.control:
        return judge(setup, bake_ticks, step=step, hold_over=hold_over)
    hearing = Hearing(setup, stable_ticks).take_all(bake_ticks)
    return _verdict(hearing, bake_ticks, step, hold_over, "non_concurrent")


def judge_restored(
    setup: JudgeSetup,
    during: tuple[Tick, ...],
    after: tuple[Tick, ...],
    regression: float,
    name: str = "error",
) -> Verdict:
    """Judge the release before, which has the traffic back, by what it did in the rollout.

    It passes if it does not do worse than then, and if as much as the `regression` (a ratio of
    shares of the class `name`, see `regression_of`) would have been seen. In both series the
    release is the control. One look may hold all that came after, so no tick of it is left out.
    """
    swapped = tuple(
        tick.but(canary=tick.control, control=Side(), weight=FULL, down=0, crash_loop=False)
        for tick in after
    )
    hearing = Hearing(setup, during, robust=False).take_all(swapped)
    answer, reason = _restored(hearing, regression, name)
    return _told(hearing, answer, reason, "non_concurrent")


def regression_of(verdict: Verdict) -> tuple[str, float]:
    """Return the class that failed a release and the ratio of its shares; infinity for a guard."""
    failed = [found for found in verdict.classes if found.failed]
    if not failed:
        return "error", math.inf
    worst = max(failed, key=lambda found: found.log_e)
    share = (worst.canary_bad + 0.5) / (worst.canary_total + 1)
    return worst.name, share / ((worst.control_bad + 0.5) / (worst.control_total + 1))


def mde(
    setup: JudgeSetup,
    rps: float,
    weight: float,
    seconds: float,
    base_rate: float,
    name: str = "error",
) -> float:
    """Return the smallest ratio of shares that a step would find in 80 of 100 cases.

    `rps` are the requests per second of both releases, `weight` the new one's basis points,
    `base_rate` the stable one's share of bad answers. Infinity: none would be found.
    """
    kind = next((each for each in setup.classes if each.name == name), None)
    if kind is None:
        return math.inf
    analysis = setup.analysis
    ticks = max(1, int(seconds / analysis.tick))
    limits = Limits(log_limit(setup), analysis.min_bad, kind.tolerance, ticks)
    canary = rps * seconds * weight / FULL
    return share_mde(limits, rps * seconds - canary, canary, base_rate)


def _verdict(
    hearing: Hearing, ticks: tuple[Tick, ...], step: int, hold_over: bool, label: Label
) -> Verdict:
    guard = hearing.guards.rung
    if hearing.decided:
        return _told(hearing, "fail", _against(hearing, label), label, guard=guard)
    if not hold_over:
        return _told(hearing, "watching", words.watching(hearing.evidence()), label)
    gauges = read_gauges(hearing.setup.analysis, ticks)
    critical = tuple(each for each in gauges if each.state == "worse" and _may_fail(each))
    if critical:
        reason = words.gauges(critical)
        return _told(hearing, "fail", reason, label, guard="metric", gauges=gauges)
    answer, reason = _at_end(hearing, step, gauges, label)
    return _told(hearing, answer, reason, label, gauges=gauges)


def _may_fail(gauge: GaugeEvidence) -> bool:
    return gauge.critical and not gauge.report_only


def _against(hearing: Hearing, label: Label) -> str:
    if hearing.guards.rung:
        return hearing.guards.reason
    failed = next(case for case in hearing.cases if case.failed)
    return words.failed(failed.told(), past=label == "non_concurrent")


def _at_end(
    hearing: Hearing, step: int, gauges: tuple[GaugeEvidence, ...], label: Label
) -> Outcome:
    """Return the answer when the hold is over and nothing has failed the release."""
    open_ = tuple(each for each in gauges if each.state != "ok" and not each.report_only)
    if label == "no_control":
        if open_:
            return "inconclusive", words.gauges(open_)
        return "pass", "first install: no guard has rung, and there is nothing to compare with"
    unproven = _unproven(hearing, step, label)
    if unproven:
        return unproven
    if open_:
        return "inconclusive", words.gauges(open_)
    return "pass", words.passed(hearing.evidence(), past=label == "non_concurrent")


def _unproven(hearing: Hearing, step: int, label: Label) -> Outcome | None:
    """Return why a release that has not failed cannot pass either."""
    if not hearing.seen(step):
        return "no_data", "the new release has answered no request in this step"
    if not hearing.cases:
        return "inconclusive", "the driver counts nothing that could fail a release"
    least = hearing.setup.analysis.min_requests
    control = hearing.cases[0].control[1]
    if label == "non_concurrent" and control < least:
        return "inconclusive", (
            f"the release before answered {control:,} requests in this rollout, too few to "
            f"compare with: {least:,} are needed"
        )
    compared, needed = hearing.compared(step), max(least, _least_requests(hearing.cases))
    if not compared:
        return "inconclusive", "the stable release answered nothing while the new one did"
    if compared < needed:
        return "inconclusive", words.too_few(compared, needed)
    suspected = next((case for case in hearing.cases if case.suspected), None)
    if suspected:  # one bad stretch does not fail a release, but it does not pass either
        return "inconclusive", words.suspected(suspected.told(), past=label == "non_concurrent")
    return None


def _least_requests(cases: tuple[Case, ...]) -> int:
    """Return how many answers show a doubling of the error share, or 0.5 % where it is smaller.

    16 p (1 - p) / d^2 is the rule of thumb for 80 % power (van Belle 2008, 2.1).
    """
    errors = next((case for case in cases if case.kind.name == "error"), None)
    bad, all_ = errors.control if errors else (0, 0)
    share = bad / all_ if all_ else 0.0
    return math.ceil(16 * share * (1 - share) / max(_LEAST_DIFFERENCE, share) ** 2)


def _restored(hearing: Hearing, regression: float, name: str) -> Outcome:
    if hearing.decided:
        rung = hearing.guards.reason.replace("the new release", "the restored release")
        return "fail", rung or "the restored release is worse than it was during the rollout"
    if not hearing.requests:
        return "no_data", "the restored release has answered no request"
    case = next((each for each in hearing.cases if each.kind.name == name), None)
    if case is None:
        return "inconclusive", "the driver counts nothing that could be compared"
    found = case.told()
    enough = found.mde <= regression
    return ("pass" if enough else "inconclusive"), words.restored(found, regression)


def _told(
    hearing: Hearing,
    answer: Answer,
    reason: str,
    label: Label,
    *,
    guard: Guard = "",
    gauges: tuple[GaugeEvidence, ...] = (),
) -> Verdict:
    return Verdict(
        verdict=answer,
        label=label,
        reason=reason,
        guard=guard,
        classes=hearing.evidence(),
        gauges=gauges,
        ticks=hearing.ticks,
        requests=hearing.requests,
        at_ms=hearing.at_ms,
    )
