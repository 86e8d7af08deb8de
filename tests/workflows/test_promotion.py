"""What is unclear may be promoted where the service can live with what could not be seen."""

import pytest

from domain.service import Strategy
from domain.verdict import ClassEvidence, Verdict
from tests.rollouts import plan, service
from workflows.deploy import _sees_enough

PLAN = plan(service=service(strategy=Strategy(on_inconclusive="promote", promote_mde=3)))


def verdict(mde: float, log_e: float) -> Verdict:
    found = ClassEvidence(
        name="error", control_bad=1, control_total=900, canary_bad=2, canary_total=100,
        log_e=log_e, log_e_robust=0, threshold=4.6, interval=(0.1, 9.0), mde=mde,
    )  # fmt: skip
    return Verdict(verdict="inconclusive", reason="unclear", classes=(found,))


@pytest.mark.parametrize(
    ("mde", "log_e", "enough"), [(3, 0, True), (3.1, 0, False), (2, 4.6, False)]
)
def test_a_blind_spot_is_promoted_but_no_suspicion(mde: float, log_e: float, enough: bool) -> None:
    assert _sees_enough(PLAN, verdict(mde, log_e)) is enough


def test_what_is_not_counted_at_all_is_not_promoted() -> None:
    assert not _sees_enough(PLAN, Verdict(verdict="no_data", reason="nothing"))
