"""Metrics of rollouts, scraped as Prometheus does."""

import socket
from collections.abc import Iterator

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.delivery import Stage
from domain.errors import Misconfigured
from domain.fact import StageReached
from domain.rollout import RolloutResult, RolloutState
from domain.rollout_fact import RolloutMoved, RolloutPlanned, ended
from domain.ulid import ulid
from domain.verdict import ClassEvidence, Verdict
from integrations.rollout_metrics import RolloutMetrics
from tests.rollouts import SHA, TARGET
from tests.rollouts import plan as some_plan

START = 1_700_000_000_000
ROLLOUT = ulid(START, 7)
LABELS = ("target", "class", "state", "le")
Samples = dict[tuple[str, ...], float]


class Scraped:
    """Metrics on a free port, and what a scrape of it finds."""

    def __init__(self) -> None:
        self.now_ms = START + 90_000
        self.metrics = RolloutMetrics(lambda: self.now_ms)
        self.port = free_port()
        self.metrics.serve(self.port)

    def scrape(self, prefix: str = "slipway") -> Samples:
        """Return the samples: name and label values, and the number."""
        with httpx2.Client(trust_env=False) as client:
            answer = client.get(f"http://127.0.0.1:{self.port}/metrics")
        assert answer.status_code == 200
        return {
            (
                sample.name,
                *(sample.labels[name] for name in LABELS if name in sample.labels),
            ): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name.startswith(prefix) and not sample.name.endswith("_created")
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def scraped() -> Iterator[Scraped]:
    scraped = Scraped()
    yield scraped
    scraped.metrics.close()


def verdict(**evidence: float) -> Verdict:
    classes = tuple(
        ClassEvidence(
            name=name, control_bad=0, control_total=9, canary_bad=1, canary_total=9, log_e=log_e,
            log_e_robust=log_e, threshold=5.3, interval=(0, 9), mde=2,
        )
        for name, log_e in evidence.items()
    )  # fmt: skip
    return Verdict(verdict="watching", reason="it is early", classes=classes)


def end(state: RolloutState = RolloutState.PASSED, rollout: str = ROLLOUT):
    result = RolloutResult(rollout=rollout, target=TARGET, status=state, reason="well", sha=SHA)
    return ended(result)


PLAN = some_plan(ROLLOUT)


def test_a_running_rollout_shows_weight_and_evidence(scraped: Scraped):
    scraped.metrics.judged(PLAN, 500, verdict(error=1.5, slow=-2))

    assert scraped.scrape() == {
        ("slipway_rollout_weight", TARGET): 0.05,
        ("slipway_rollout_log_evidence", TARGET, "error"): 1.5,
        ("slipway_rollout_log_evidence", TARGET, "slow"): -2,
        ("slipway_rollout_log_threshold", TARGET, "error"): 5.3,
        ("slipway_rollout_log_threshold", TARGET, "slow"): 5.3,
    }


def test_its_weight_follows_what_the_ledger_is_told(scraped: Scraped):
    moved = RolloutMoved(rollout=ROLLOUT, state=RolloutState.SHIFTING, weight=2_500)
    scraped.metrics.told((moved,))
    before = scraped.scrape()
    scraped.metrics.told((StageReached(stage=Stage.RUNNING), RolloutPlanned(plan=PLAN), moved))
    after = scraped.scrape()
    scraped.metrics.told((moved.but(target="other", weight=10_000),))

    assert before == {}
    assert after == {("slipway_rollout_weight", TARGET): 0.25}
    assert scraped.scrape()["slipway_rollout_weight", "other"] == 1


def test_an_end_is_counted_once_with_its_time_and_runs_no_more(scraped: Scraped):
    scraped.metrics.judged(PLAN, 10_000, verdict(error=1.5))
    scraped.metrics.told((end(),))
    scraped.metrics.told((end(),))
    found = scraped.scrape()

    assert found["slipway_rollouts_total", TARGET, "passed"] == 1
    assert found["slipway_rollout_seconds_count", "passed"] == 1
    assert found["slipway_rollout_seconds_sum", "passed"] == 90
    assert found["slipway_rollout_seconds_bucket", "passed", "60.0"] == 0
    assert found["slipway_rollout_seconds_bucket", "passed", "120.0"] == 1
    assert not [key for key in found if key[0].startswith("slipway_rollout_log")]
    assert ("slipway_rollout_weight", TARGET) not in found


def test_what_nobody_looks_at_is_hidden_where_ends_are_told_elsewhere(scraped: Scraped):
    scraped.metrics.judged(PLAN, 500, verdict(error=1.5))
    scraped.now_ms += 60_000
    soon = scraped.scrape()
    scraped.now_ms += 1
    later = scraped.scrape()

    assert soon["slipway_rollout_weight", TARGET] == 0.05
    assert later == {}


def test_a_rollout_that_stands_still_is_shown_where_ends_are_told_here(scraped: Scraped):
    scraped.metrics.told((RolloutPlanned(plan=PLAN),))
    scraped.metrics.judged(PLAN, 500, verdict(error=1.5))
    scraped.now_ms += 3_600_000

    assert scraped.scrape()["slipway_rollout_weight", TARGET] == 0.05


def test_what_passed_and_is_undone_later_counts_as_both(scraped: Scraped):
    scraped.metrics.told((end(), end(RolloutState.UNDONE)))

    assert scraped.scrape("slipway_rollouts_total") == {
        ("slipway_rollouts_total", TARGET, "passed"): 1,
        ("slipway_rollouts_total", TARGET, "undone"): 1,
    }


def test_a_rollout_without_a_time_in_its_name_is_counted_all_the_same(scraped: Scraped):
    scraped.metrics.told((end(rollout="by-hand"),))

    assert scraped.scrape() == {("slipway_rollouts_total", TARGET, "passed"): 1}


def test_what_is_remembered_has_an_end(scraped: Scraped, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("integrations.rollout_metrics._REMEMBERED", 2)
    for name in ("a", "b", "c", "c"):
        scraped.metrics.told((end(rollout=name),))
    scraped.metrics.told((end(rollout="a"),))  # forgotten

    assert scraped.scrape("slipway_rollouts_total") == {
        ("slipway_rollouts_total", TARGET, "passed"): 4
    }


def test_port_0_serves_nobody():
    metrics = RolloutMetrics()
    metrics.serve(0)
    metrics.judged(PLAN, 500, verdict(error=1))
    metrics.close()


def test_a_port_is_free_again_after_close():
    first = Scraped()
    first.metrics.close()
    first.metrics.close()
    second = RolloutMetrics()
    second.serve(first.port)
    second.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid"])
def test_a_port_that_cannot_be_had_is_told(host: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        with pytest.raises(Misconfigured, match=f"{host}:{port}") as caught:
            RolloutMetrics().serve(port, host)

    assert caught.value.problem.code == "metrics_port"
