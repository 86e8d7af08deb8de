"""How well changes reach production: the DORA figures, from what is on record.

The model is that of 2024: lead time, deployment frequency and recovery time of failed deployments
tell throughput, change fail rate and rework rate instability. Computed as Apache DevLake does:
whole minutes rounded up, a negative time is none, percentiles by rank. See docs/insight.md.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from pydantic import Field

from domain.record import Record

DAY_MS = 86_400_000
_MINUTE_MS = 60_000


class MergedChange(Record):
    """One round of an idea that moved its base branch; times in ms, None where unknown."""

    key: str
    round: int
    repository: str
    sha: str
    created_ms: int  # of the idea
    committed_ms: int | None = None  # first change by an agent
    opened_ms: int | None = None  # put to review
    reviewed_ms: int | None = None  # first judgement by the review
    merged_ms: int


class Deployment(Record):
    """One rollout that had traffic; times in ms, None where unknown."""

    rollout: str
    key: str
    repository: str
    target: str
    sha: str
    merges: tuple[str, ...] = ()  # since the release before that passed
    started_ms: int
    passed_ms: int | None = None
    failed: bool = False  # undone, or standing still after a verdict; also after it had passed
    exposure: float = 1  # largest share of the traffic, 0 to 1
    bad_since_ms: int | None = None
    judged_ms: int | None = None
    decided_ms: int | None = None
    restored_ms: int | None = None
    ended_ms: int | None = None

    @property
    def finished_ms(self) -> int | None:
        """When it failed or, if it did not, when it had passed; None: it is under way."""
        failed = self.restored_ms or self.decided_ms or self.ended_ms
        return failed if self.failed else self.passed_ms

    @property
    def failing_ms(self) -> int | None:
        """When it began to fail."""
        return self.bad_since_ms or self.judged_ms or self.decided_ms


class Spread(Record):
    """Median and 90th percentile of what is known; None: nothing is."""

    count: int = 0
    median: float | None = None
    p90: float | None = None


class Dora(Record):
    """Schema `slipway.dora/1`; rates from 0 to 1, None where there was nothing to divide by."""

    schema_: Literal["slipway.dora/1"] = Field(default="slipway.dora/1", alias="schema")
    since_ms: int
    until_ms: int
    repository: str = ""  # its id; empty: all
    environment: str = "production"
    deployments: int = 0  # that have passed or failed
    failed: int = 0
    rework: int = 0
    changes: int = 0  # that reached production
    # Throughput, in minutes
    lead_time: Spread = Spread()  # from the first commit to production
    coding: Spread = Spread()
    pickup: Spread = Spread()
    review: Spread = Spread()
    deploying: Spread = Spread()
    idea_to_production: Spread = Spread()
    recovery: Spread = Spread()  # of failed deployments
    deployments_per_day: float = 0  # those that passed
    deployment_days: int = 0  # days (UTC) with at least one
    deployment_days_per_week: float | None = None  # median over whole weeks
    # Instability
    change_fail_rate: float | None = None
    change_fail_rate_weighted: float | None = None  # each failure counts its share of the traffic
    rework_rate: float | None = None
    # Repair, in seconds
    detect: Spread = Spread()  # first bad answers to verdict
    decide: Spread = Spread()  # verdict to decision
    mitigate: Spread = Spread()  # decision to traffic back
    resolve: Spread = Spread()  # traffic back to the next release that passed

    model_config = {"populate_by_name": True}


def dora(
    changes: Iterable[MergedChange],
    deployments: Iterable[Deployment],
    since_ms: int,
    until_ms: int,
) -> Dora:
    """Compute the figures of what finished in a span of time, its end not included.

    Hand in all that is on record: what began before the span counts for what ended within.
    """
    everything = sorted(deployments, key=lambda each: each.started_ms)
    ended = [each for each in everything if _within(each.finished_ms, since_ms, until_ms)]
    passed = [each for each in ended if not each.failed]
    failed = [each for each in ended if each.failed]
    rework = [each for each in ended if _is_rework(each, everything)]
    figures = Dora(
        since_ms=since_ms,
        until_ms=until_ms,
        deployments=len(ended),
        failed=len(failed),
        rework=len(rework),
        recovery=spread(minutes(each.failing_ms, each.restored_ms) for each in failed),
        change_fail_rate=_share(len(failed), len(ended)),
        change_fail_rate_weighted=_share(sum(each.exposure for each in failed), len(ended)),
        rework_rate=_share(len(rework), len(ended)),
    )
    return figures.but(
        **_lead_times(changes, everything, since_ms, until_ms),
        **_frequency([each.finished_ms or 0 for each in passed], since_ms, until_ms),
        **_repair(failed, everything),
    )


def _within(at_ms: int | None, since_ms: int, until_ms: int) -> bool:
    return at_ms is not None and since_ms <= at_ms < until_ms


def _is_rework(one: Deployment, everything: list[Deployment]) -> bool:
    """Return whether a failed deployment of the same idea came before: then it was not planned."""
    return any(
        other.key == one.key and other.failed and other.started_ms < one.started_ms
        for other in everything
    )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _lead_times(
    changes: Iterable[MergedChange], deployments: list[Deployment], since_ms: int, until_ms: int
) -> dict[str, object]:
    reached = [
        (change, at)
        for change in changes
        if _within(at := deployed_ms(change, deployments), since_ms, until_ms)
    ]
    return {
        "changes": len(reached),
        "lead_time": spread(cycle_minutes(change, at) for change, at in reached),
        "coding": spread(minutes(one.committed_ms, one.opened_ms) for one, _ in reached),
        "pickup": spread(minutes(one.opened_ms, one.reviewed_ms) for one, _ in reached),
        "review": spread(minutes(one.reviewed_ms, one.merged_ms) for one, _ in reached),
        "deploying": spread(minutes(one.merged_ms, at) for one, at in reached),
        "idea_to_production": spread(
            minutes(one.created_ms, at) for one, at in reached if one.round == 1
        ),
    }


def deployed_ms(change: MergedChange, deployments: Iterable[Deployment]) -> int | None:
    """Return when the first deployment that passed and that brought the change had passed."""
    return min(
        (
            each.passed_ms
            for each in deployments
            if each.passed_ms is not None
            and each.repository == change.repository
            and change.sha in (each.sha, *each.merges)
        ),
        default=None,
    )


def cycle_minutes(change: MergedChange, deployed: int | None) -> int | None:
    """Return coding, from review opened to merged, and deploying, together; None: not deployed.

    A part that is not known counts nothing, as in DevLake.
    """
    deploying = minutes(change.merged_ms, deployed)
    if deploying is None:
        return None
    coding = minutes(change.committed_ms, change.opened_ms)
    return (coding or 0) + (minutes(change.opened_ms, change.merged_ms) or 0) + deploying


def minutes(begin_ms: int | None, end_ms: int | None) -> int | None:
    """Return whole minutes, rounded up; None where one end is unknown or comes first."""
    if begin_ms is None or end_ms is None or end_ms < begin_ms:
        return None
    return math.ceil((end_ms - begin_ms) / _MINUTE_MS)


def _seconds(begin_ms: int | None, end_ms: int | None) -> float | None:
    if begin_ms is None or end_ms is None or end_ms < begin_ms:
        return None
    return (end_ms - begin_ms) / 1_000


def spread(values: Iterable[float | None]) -> Spread:
    """Return median and 90th percentile of what is known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Spread()
    return Spread(count=len(known), median=percentile(known, 0.5), p90=percentile(known, 0.9))


def percentile(ranked: list[float], share: float) -> float:
    """Return the largest value whose percent rank is at most `share`, as DevLake's queries do.

    The percent rank of SQL is (rank - 1) / (rows - 1), equal values having the first one's rank.
    """
    last = max(1, len(ranked) - 1)
    return max(value for value in ranked if bisect_left(ranked, value) / last <= share)


def _frequency(at_ms: list[int], since_ms: int, until_ms: int) -> dict[str, object]:
    """Count deployments that passed by day, and their days by whole weeks back from the end."""
    days = sorted({at // DAY_MS for at in at_ms})
    weeks = (until_ms - since_ms) // (7 * DAY_MS)
    last = (until_ms - 1) // DAY_MS
    by_week = {
        week: len(tuple(found))
        for week, found in groupby(reversed(days), lambda day: (last - day) // 7)
    }
    counts = sorted(float(by_week.get(week, 0)) for week in range(weeks))
    return {
        "deployments_per_day": len(at_ms) * DAY_MS / (until_ms - since_ms),
        "deployment_days": len(days),
        "deployment_days_per_week": percentile(counts, 0.5) if counts else None,
    }


def _repair(failed: list[Deployment], everything: list[Deployment]) -> dict[str, object]:
    return {
        "detect": spread(_seconds(each.bad_since_ms, each.judged_ms) for each in failed),
        "decide": spread(_seconds(each.judged_ms, each.decided_ms) for each in failed),
        "mitigate": spread(_seconds(each.decided_ms, each.restored_ms) for each in failed),
        "resolve": spread(
            _seconds(each.restored_ms, mended_ms(each, everything)) for each in failed
        ),
    }


def mended_ms(failed: Deployment, everything: Iterable[Deployment]) -> int | None:
    """Return when the next release of the same target had passed.

    It holds a fix or a revert: nothing that holds an undone merge without one may be released.
    """
    return min(
        (
            each.passed_ms
            for each in everything
            if each.passed_ms is not None
            and each.target == failed.target
            and each.started_ms > failed.started_ms
        ),
        default=None,
    )
