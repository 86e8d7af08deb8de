"""What a failed gate tells the next attempt."""

from domain.repair import LONGEST, repair_findings
from domain.review import Finding, GateResult, Verdict


def failed(**changes: object) -> GateResult:
    result = GateResult(gate="tests", kind="tests", verdict=Verdict.FAILED, reason="2 are red")
    return result.but(**changes)


def test_tells_findings_and_newly_failed_tests():
    finding = Finding(key="k", rule="F401", text="unused import")

    told = repair_findings((failed(findings=(finding,), newly_failed=("t::a",)),))

    assert [each.text for each in told] == ["unused import", "t::a fails now"]


def test_tells_the_reason_when_there_is_nothing_else():
    assert [each.text for each in repair_findings((failed(),))] == ["2 are red"]


def test_tells_a_bounded_number():
    many = tuple(f"t::{n}" for n in range(100))

    assert len(repair_findings((failed(newly_failed=many),))) == LONGEST
