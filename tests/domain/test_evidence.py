"""Verdicts from what was measured on the base and after the change."""

import pytest

from domain.evidence import (
    Case,
    Measurement,
    finding_key,
    judge_alone,
    judge_command,
    judge_findings,
    new_findings,
    settle,
    tally,
)
from domain.review import Counts, EvidenceLevel, Finding, Verdict


def cases(**outcomes: str) -> tuple[Case, ...]:
    return tuple(Case.model_validate({"id": k, "outcome": v}) for k, v in outcomes.items())


def by_ids(exit_code: int = 0, **outcomes: str) -> Measurement:
    found = cases(**outcomes)
    return Measurement(
        level=EvidenceLevel.IDS, cases=found, counts=tally(found), exit_code=exit_code
    )


def by_counts(collected: int, failed: int, exit_code: int = 0) -> Measurement:
    counts = Counts(collected=collected, passed=collected - failed, failed=failed)
    return Measurement(level=EvidenceLevel.COUNTS, counts=counts, exit_code=exit_code)


def by_exit(exit_code: int) -> Measurement:
    return Measurement(exit_code=exit_code)


GREEN = by_ids(a="passed", b="passed")
HANGS = Measurement(ended="timeout", seconds=900)
CUT = GREEN.but(complete=False, exit_code=139, tail="Segmentation fault")


def test_counts_outcomes() -> None:
    found = cases(a="passed", b="failed", c="skipped", d="passed")

    assert tally(found) == Counts(collected=4, passed=2, failed=1, skipped=1)


@pytest.mark.parametrize(
    ("base", "after", "verdict", "words"),
    [
        (GREEN, GREEN, Verdict.PASSED, "2 of 2 tests pass (2 of 2 before)"),
        (GREEN, by_ids(1, a="passed", b="failed"), Verdict.FAILED, "1 test newly red, first b"),
        (GREEN, by_ids(1, a="failed", b="failed"), Verdict.FAILED, "2 tests newly red, first a"),
        (GREEN, by_ids(1, a="passed", b="passed", c="failed"), Verdict.FAILED, "first c"),
        (
            by_ids(1, a="passed", b="failed"),
            by_ids(1, a="passed", b="failed"),
            Verdict.PASSED,
            "1 red as before",
        ),
        (by_ids(1, a="passed", b="failed"), GREEN, Verdict.PASSED, "(1 of 2 before)"),
        (by_ids(1, a="failed"), by_ids(1, a="failed"), Verdict.HELD, "no test passes on the base"),
        (by_ids(a="skipped"), by_ids(a="skipped"), Verdict.PASSED, "0 of 1"),
        (by_ids(5), by_ids(5), Verdict.HELD, "no test ran"),
        (GREEN, by_ids(2, a="passed", b="passed"), Verdict.FAILED, "although no test is red"),
        (by_ids(2, a="passed"), by_ids(2, a="passed"), Verdict.PASSED, "1 of 1"),
        (GREEN, HANGS, Verdict.FAILED, "did not end within 900 s"),
        (HANGS, HANGS, Verdict.HELD, "and so it did on the base"),
        (HANGS, GREEN, Verdict.PASSED, "2 of 2 tests pass"),
        (HANGS, by_exit(0), Verdict.HELD, "not complete"),
        (GREEN, HANGS.but(ended="limit"), Verdict.FAILED, "limit of memory or processes"),
        (GREEN, CUT, Verdict.FAILED, "before its report was complete: Segmentation fault"),
        (CUT, CUT, Verdict.HELD, "report of the base is not complete"),
        (CUT, by_ids(1, a="failed"), Verdict.HELD, "report of the base is not complete"),
        (GREEN, GREEN.but(unmeasured="loaded elsewhere"), Verdict.HELD, "after the change: loaded"),
        (GREEN.but(unmeasured="no network"), GREEN, Verdict.HELD, "on the base: no network"),
        (by_counts(3, 0), by_counts(4, 0), Verdict.PASSED, "4 of 4 tests pass (3 of 3 before)"),
        (by_counts(3, 0), by_counts(3, 1, 1), Verdict.FAILED, "1 tests are red, 0 on the base"),
        (by_counts(3, 1, 1), by_counts(3, 1, 1), Verdict.HELD, "names unknown"),
        (by_counts(3, 0), by_counts(0, 0), Verdict.HELD, "no test ran"),
        (by_counts(3, 0), by_counts(3, 0, 1), Verdict.FAILED, "ended with 1, with 0 on the base"),
        (by_counts(3, 0, 1), by_counts(3, 0, 1), Verdict.HELD, "red on the base too"),
        (by_exit(0), by_exit(0), Verdict.PASSED, "ended with 0"),
        (by_exit(1), by_exit(0), Verdict.PASSED, "ended with 0"),
        (by_exit(0), by_exit(3), Verdict.FAILED, "ended with 3, with 0 on the base"),
        (by_exit(1), by_exit(1), Verdict.HELD, "only the exit code is known"),
        (GREEN, by_exit(1), Verdict.FAILED, "ended with 1, with 0 on the base"),
    ],
)
def test_judges_a_command(
    base: Measurement, after: Measurement, verdict: Verdict, words: str
) -> None:
    judged = judge_command(base, after)

    assert judged.verdict == verdict
    assert words in judged.reason


def test_names_newly_red_tests() -> None:
    judged = judge_command(by_ids(1, a="failed", b="passed"), by_ids(1, a="failed", b="failed"))

    assert judged.newly_failed == ("b",)


@pytest.mark.parametrize(
    ("after", "verdict", "words"),
    [
        (by_exit(3), Verdict.PASSED, "ended with 3 as expected"),
        (by_exit(0).but(tail="oh"), Verdict.FAILED, "ended with 0, expected 3: oh"),
        (HANGS, Verdict.FAILED, "did not end"),
        (by_exit(3).but(unmeasured="no environment"), Verdict.HELD, "no environment"),
    ],
)
def test_judges_an_acceptance_command_alone(
    after: Measurement, verdict: Verdict, words: str
) -> None:
    judged = judge_alone(after, expected=3)

    assert (judged.verdict, words in judged.reason) == (verdict, True)


def test_rerun_splits_red_from_flaky() -> None:
    newly = ("red", "passes_now", "red_on_base_too", "vanished")
    base = by_ids(1, red="passed", red_on_base_too="failed")
    after = by_ids(1, red="failed", passes_now="passed", red_on_base_too="failed")

    red, flaky = settle(newly, base, after)

    assert red == ("red", "vanished")
    assert flaky == ("passes_now", "red_on_base_too")


def finding(path: str, line: int, text: str = "x = eval(y)", rule: str = "S307") -> Finding:
    return Finding(
        key=finding_key(rule, path, text), rule=rule, path=path, line=line, text=f"about {text}"
    )


def test_a_finding_on_a_moved_line_is_not_new() -> None:
    assert new_findings((finding("a.py", 3),), (finding("a.py", 90),)) == ()


def test_a_finding_in_a_moved_file_is_not_new() -> None:
    assert new_findings((finding("a.py", 3),), (finding("b.py", 3),)) == ()


def test_the_same_line_once_more_is_new() -> None:
    twice = (finding("a.py", 3), finding("a.py", 9))

    assert new_findings(twice[:1], twice) == (twice[1],)


def test_another_rule_or_text_is_new() -> None:
    others = (finding("a.py", 3, rule="S102"), finding("a.py", 4, text="z = eval(q)"))

    assert new_findings((finding("a.py", 3),), others) == others


def with_findings(*findings: Finding) -> Measurement:
    return Measurement(findings=findings, exit_code=1 if findings else 0)


@pytest.mark.parametrize(
    ("base", "after", "verdict", "words"),
    [
        (with_findings(), with_findings(), Verdict.PASSED, "no new finding (0 now, 0 before)"),
        (with_findings(), with_findings(finding("a.py", 7)), Verdict.FAILED, "S307 in a.py:7"),
        (with_findings().but(complete=False, tail="no config"), with_findings(), Verdict.SKIPPED,
         "cannot run on the base: no config"),
        (HANGS, with_findings(), Verdict.SKIPPED, "did not end within 900 s"),
        (by_exit(0).but(unmeasured="no tool"), with_findings(), Verdict.SKIPPED, "no tool"),
        (with_findings(), HANGS, Verdict.FAILED, "not after the change: did not end"),
        (with_findings(), with_findings().but(complete=False, exit_code=2, tail="bad toml"),
         Verdict.FAILED, "ended with 2: bad toml"),
    ],
)  # fmt: skip
def test_judges_findings(
    base: Measurement, after: Measurement, verdict: Verdict, words: str
) -> None:
    judged = judge_findings(base, after)

    assert judged.verdict == verdict
    assert words in judged.reason
