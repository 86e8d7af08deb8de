"""The DORA figures; every expected value is computed by hand."""

import pytest

from domain.insight import (
    DAY_MS,
    Deployment,
    Dora,
    MergedChange,
    Spread,
    cycle_minutes,
    deployed_ms,
    dora,
    mended_ms,
    minutes,
    percentile,
    spread,
)

MINUTE = 60_000
NONE = Spread()


def change(sha: str = "c1", **times: object) -> MergedChange:
    """Return a change: written in 10 minutes, opened, looked at after 5, merged after 20 more."""
    values = {
        "key": "idea", "round": 1, "repository": "r", "sha": sha, "created_ms": 0,
        "committed_ms": 5 * MINUTE, "opened_ms": 15 * MINUTE, "reviewed_ms": 20 * MINUTE,
        "merged_ms": 40 * MINUTE,
    }  # fmt: skip
    return MergedChange.model_validate(values | times)


def deployment(rollout: str = "1", **values: object) -> Deployment:
    """Return a deployment of `c1` that passed at minute 100."""
    told = {
        "rollout": rollout, "key": "idea", "repository": "r", "target": "r.web/production",
        "sha": "c1", "started_ms": 50 * MINUTE, "passed_ms": 100 * MINUTE,
    }  # fmt: skip
    return Deployment.model_validate(told | values)


def undone(rollout: str = "1", **values: object) -> Deployment:
    """Return one that showed bad answers at minute 50 and was undone within a minute."""
    start = 50 * MINUTE
    told = {
        "passed_ms": None, "failed": True, "exposure": 0.05, "bad_since_ms": start,
        "judged_ms": start + 20_000, "decided_ms": start + 21_500, "restored_ms": start + 22_000,
    }  # fmt: skip
    return deployment(rollout, **(told | values))


def figures(*told: MergedChange | Deployment, until: int = DAY_MS) -> Dora:
    changes = [each for each in told if isinstance(each, MergedChange)]
    deployments = [each for each in told if isinstance(each, Deployment)]
    return dora(changes, deployments, 0, until)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (0, 0, 0),
        (0, 1, 1),
        (0, MINUTE, 1),
        (0, MINUTE + 1, 2),
        (MINUTE, 0, None),
        (None, 1, None),
        (1, None, None),
    ],
)
def test_minutes_are_whole_rounded_up_and_never_negative(begin, end, expected):
    assert minutes(begin, end) == expected


@pytest.mark.parametrize(
    ("values", "median", "p90"),
    [
        ([7.0], 7, 7),
        ([1.0, 9.0], 1, 1),  # percent ranks 0 and 1
        ([1.0, 2.0, 9.0], 2, 2),  # 0, 0.5, 1
        ([1.0, 2.0, 3.0, 9.0], 2, 3),  # 0, 0.33, 0.67, 1
        ([1.0, 5.0, 5.0, 5.0], 5, 5),  # 0, 0.33, 0.33, 0.33
        ([float(n) for n in range(11)], 5, 9),  # 0, 0.1, ... 1
    ],
)
def test_percentiles_go_by_rank(values, median, p90):
    assert (percentile(values, 0.5), percentile(values, 0.9)) == (median, p90)
    assert spread(reversed(values)) == Spread(count=len(values), median=median, p90=p90)


def test_what_is_unknown_is_not_counted():
    assert spread([None, 3, None]) == Spread(count=1, median=3, p90=3)
    assert spread([None]) == spread([]) == NONE


def test_a_change_goes_from_first_commit_to_production_in_four_parts():
    found = figures(change(), deployment())

    assert found.changes == 1
    assert found.coding.median == 10  # 5 -> 15
    assert found.pickup.median == 5  # 15 -> 20
    assert found.review.median == 20  # 20 -> 40
    assert found.deploying.median == 60  # 40 -> 100
    assert found.lead_time.median == 10 + 25 + 60
    assert found.idea_to_production.median == 100


def test_parts_that_are_unknown_count_nothing():
    bare = change(committed_ms=None, opened_ms=None, reviewed_ms=None)

    assert cycle_minutes(bare, 100 * MINUTE) == 60
    assert cycle_minutes(change(opened_ms=45 * MINUTE), 100 * MINUTE) == 40 + 60
    assert cycle_minutes(change(), None) is None
    assert cycle_minutes(change(), 30 * MINUTE) is None  # "deployed" before it was merged


def test_a_change_is_deployed_by_the_first_that_passed_and_brought_it():
    later = deployment("2", sha="c9", merges=("c1", "c9"), passed_ms=90 * MINUTE)
    undone_before = undone("0", sha="c1")
    elsewhere = deployment("3", repository="other", passed_ms=10 * MINUTE)
    without = deployment("4", sha="c7", merges=("c7",), passed_ms=20 * MINUTE)

    everything = (undone_before, elsewhere, without, deployment(), later)

    assert deployed_ms(change(), everything) == 90 * MINUTE
    assert deployed_ms(change("c2"), everything) is None


def test_only_the_first_round_tells_how_long_an_idea_takes():
    found = figures(change(), change("c2", round=2), deployment(merges=("c1", "c2")))

    assert (found.changes, found.lead_time.count) == (2, 2)
    assert found.idea_to_production.count == 1


def test_what_ended_in_the_span_counts_and_nothing_else():
    old = deployment("0", passed_ms=-1, started_ms=-9)
    late = deployment("2", passed_ms=DAY_MS)
    open_ = deployment("3", passed_ms=None)

    found = figures(change("x"), change(), old.but(sha="x"), deployment(), late, open_)

    assert (found.deployments, found.changes) == (1, 1)
    assert (found.deployments_per_day, found.deployment_days) == (1.0, 1)


def test_a_failure_counts_whole_and_by_its_share_of_the_traffic():
    found = figures(
        deployment("1"), deployment("2"), deployment("3"), undone("4", key="b"),
        undone("5", key="c", exposure=0.25),
    )  # fmt: skip

    assert (found.deployments, found.failed) == (5, 2)
    assert found.change_fail_rate == pytest.approx(2 / 5)
    assert found.change_fail_rate_weighted == pytest.approx(0.3 / 5)
    assert found.deployments_per_day == 3.0


def test_what_passed_and_was_undone_later_is_one_failure():
    late = undone(passed_ms=40 * MINUTE, exposure=1)

    found = figures(change(merged_ms=30 * MINUTE, opened_ms=20 * MINUTE), late)

    assert (found.deployments, found.failed, found.change_fail_rate_weighted) == (1, 1, 1.0)
    assert found.deploying.median == 10  # it had reached production for all that
    assert found.deployments_per_day == 0


def test_a_release_after_a_failed_one_of_the_same_idea_is_rework():
    fix = deployment("2", sha="c2", started_ms=60 * MINUTE)
    other = deployment("3", key="another", started_ms=61 * MINUTE)

    found = figures(undone(), fix, other)

    assert (found.rework, found.rework_rate) == (1, pytest.approx(1 / 3))


def test_repair_is_split_into_detect_decide_mitigate_and_resolve():
    fix = deployment("2", sha="c2", started_ms=55 * MINUTE, passed_ms=80 * MINUTE)

    found = figures(undone(), fix)

    assert (found.detect.median, found.decide.median, found.mitigate.median) == (20, 1.5, 0.5)
    assert found.resolve.median == 30 * 60 - 22
    assert found.recovery.median == 1  # 22 seconds, rounded up
    assert found.recovery.count == 1


def test_a_time_that_would_be_negative_is_none():
    found = figures(undone(judged_ms=50 * MINUTE - 1, restored_ms=None, ended_ms=51 * MINUTE))

    assert found.failed == 1
    assert (found.detect, found.mitigate, found.resolve, found.recovery) == (NONE,) * 4


def test_a_failure_begins_with_bad_answers_else_with_the_verdict_else_with_the_decision():
    found = undone()

    assert found.failing_ms == found.bad_since_ms
    assert found.but(bad_since_ms=None).failing_ms == found.judged_ms
    assert found.but(bad_since_ms=None, judged_ms=None).failing_ms == found.decided_ms


def test_the_next_release_of_the_same_target_mends():
    failed = undone()
    earlier = deployment("0", started_ms=1, passed_ms=2 * MINUTE)
    elsewhere = deployment("2", target="r.api/production", started_ms=51 * MINUTE)
    failed_too = undone("3", started_ms=52 * MINUTE)
    later = deployment("4", started_ms=70 * MINUTE, passed_ms=90 * MINUTE)
    last = deployment("5", started_ms=95 * MINUTE, passed_ms=99 * MINUTE)

    everything = (earlier, failed, elsewhere, failed_too, last, later)

    assert mended_ms(failed, everything) == 90 * MINUTE
    assert mended_ms(last, everything) is None


def test_days_with_deployments_are_counted_by_whole_weeks():
    at = [1, 2, 3, 3, 9, 20]  # days; of the last 21: week 3 has 1, week 2 has 1, week 1 has 3
    found = figures(
        *(deployment(str(n), passed_ms=day * DAY_MS + n) for n, day in enumerate(at)),
        until=21 * DAY_MS,
    )

    assert found.deployment_days == 5
    assert found.deployment_days_per_week == 1  # of 1, 1, 3
    assert found.deployments_per_day == pytest.approx(6 / 21)


def test_a_week_without_a_deployment_counts_as_none():
    found = figures(deployment(), until=21 * DAY_MS)

    assert found.deployment_days_per_week == 0  # of 1, 0, 0


def test_less_than_a_week_has_no_weekly_figure():
    assert figures(deployment()).deployment_days_per_week is None


def test_without_deployments_there_are_no_rates():
    found = figures(change())

    assert (found.deployments, found.changes) == (0, 0)
    assert (found.change_fail_rate, found.change_fail_rate_weighted, found.rework_rate) == (
        None, None, None,
    )  # fmt: skip
    assert found.lead_time == NONE
