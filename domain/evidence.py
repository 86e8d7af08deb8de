"""What a gate measured on one side, and what follows from the base and the changed side."""

from collections import Counter
from collections.abc import Callable
from typing import Literal

from domain.record import ArtifactRef, Record, digest
from domain.review import Counts, EvidenceLevel, Finding, Tier, Verdict

SHOWN_TESTS = 50
SHOWN_FINDINGS = 20


class Case(Record):
    """One test as a report names it; `file` is where it stands, if the report says so."""

    id: str
    outcome: Literal["passed", "failed", "skipped"]
    file: str = ""


class Measurement(Record):
    """What one gate found on one commit. It says nothing about any other commit."""

    level: EvidenceLevel = EvidenceLevel.EXIT
    ended: Literal["exited", "timeout", "limit"] = "exited"
    exit_code: int | None = None
    complete: bool = True  # the report covers everything that should have run
    cases: tuple[Case, ...] = ()
    counts: Counts | None = None
    findings: tuple[Finding, ...] = ()
    unmeasured: str = ""  # why this is no evidence at all (loaded from elsewhere, no environment)
    tail: str = ""  # the last lines of the output
    log: ArtifactRef | None = None
    seconds: float = 0
    tier: Tier = Tier()

    @property
    def failed(self) -> frozenset[str]:
        """Ids of the red tests."""
        return frozenset(case.id for case in self.cases if case.outcome == "failed")

    @property
    def green(self) -> bool:
        """Whether the command ended by itself, complete, with exit code 0."""
        return self.ended == "exited" and self.complete and self.exit_code == 0


class Judged(Record):
    """A verdict, why, and what is new."""

    verdict: Verdict
    reason: str
    newly_failed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def tally(cases: tuple[Case, ...]) -> Counts:
    """Count the outcomes of single tests."""
    outcomes = Counter(case.outcome for case in cases)
    return Counts(
        collected=len(cases),
        passed=outcomes["passed"],
        failed=outcomes["failed"],
        skipped=outcomes["skipped"],
    )


def judge_command(base: Measurement, after: Measurement) -> Judged:
    """Compare two runs of one command; a base that is red itself is never blamed on the change."""
    return (
        _no_evidence(base, after)
        or _did_not_end(base, after)
        or _incomplete(base, after)
        or _compared(base, after)
    )


def judge_alone(after: Measurement, expected: int) -> Judged:
    """Judge a command that has to end with one exit code after the change."""
    if after.unmeasured:
        return Judged(verdict=Verdict.HELD, reason=after.unmeasured)
    if after.ended != "exited":
        return Judged(verdict=Verdict.FAILED, reason=_how_it_ended(after))
    if after.exit_code != expected:
        reason = f"ended with {after.exit_code}, expected {expected}{_said(after)}"
        return Judged(verdict=Verdict.FAILED, reason=reason)
    return Judged(verdict=Verdict.PASSED, reason=f"ended with {expected} as expected")


def judge_findings(base: Measurement, after: Measurement) -> Judged:
    """Only findings that the base does not have count; a tool that cannot run is skipped."""
    if base.unmeasured or base.ended != "exited" or not base.complete:
        why = base.unmeasured or (_how_it_ended(base) if base.ended != "exited" else _said(base))
        return Judged(
            verdict=Verdict.SKIPPED, reason=f"cannot run on the base: {why.strip(' :;')}"[:500]
        )
    if after.unmeasured or after.ended != "exited" or not after.complete:
        why = after.unmeasured or _how_it_ended(after) + _said(after)
        return Judged(
            verdict=Verdict.FAILED, reason=f"ran on the base, not after the change: {why}"
        )
    new = new_findings(base.findings, after.findings)
    if not new:
        reason = f"no new finding ({len(after.findings)} now, {len(base.findings)} before)"
        return Judged(verdict=Verdict.PASSED, reason=reason)
    first = new[0]
    reason = f"{_many(len(new), 'new finding')}, first {first.rule} in {first.path}:{first.line}"
    return Judged(verdict=Verdict.FAILED, reason=reason, findings=new)


def settle(
    newly: tuple[str, ...], base_again: Measurement, after_again: Measurement
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split newly red tests, after each side ran once more, into really red and flaky ones."""
    passed = {case.id for case in after_again.cases if case.outcome != "failed"}
    red_before = base_again.failed
    flaky = tuple(test for test in newly if test in passed or test in red_before)
    return tuple(test for test in newly if test not in flaky), flaky


def new_findings(base: tuple[Finding, ...], after: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings that the base has not, matched by rule, path and line text.

    What is left is matched once more by rule and text alone, so that a moved line is not new.
    """
    left = Counter(finding.key for finding in base)
    first = _unmatched(after, left, lambda finding: finding.key)
    gone: Counter[str] = Counter()
    for finding in base:
        if left[finding.key] > 0:
            left[finding.key] -= 1
            gone[_moved_key(finding)] += 1
    return _unmatched(first, gone, _moved_key)


def finding_key(rule: str, path: str, text: str) -> str:
    """Return what identifies a finding when lines move: rule, path and text of the line."""
    return digest("\0".join((rule, path, text.strip())).encode("utf-8", "replace"))[:16]


def _moved_key(finding: Finding) -> str:
    return f"{finding.rule}\0{finding.text}"


def _unmatched(
    findings: tuple[Finding, ...], left: Counter[str], key: Callable[[Finding], str]
) -> tuple[Finding, ...]:
    kept = []
    for finding in findings:
        if left[key(finding)] > 0:
            left[key(finding)] -= 1
        else:
            kept.append(finding)
    return tuple(kept)


def _no_evidence(base: Measurement, after: Measurement) -> Judged | None:
    for side, measured in (("on the base", base), ("after the change", after)):
        if measured.unmeasured:
            return Judged(verdict=Verdict.HELD, reason=f"{side}: {measured.unmeasured}")
    return None


def _did_not_end(base: Measurement, after: Measurement) -> Judged | None:
    if after.ended == "exited":
        return None
    if base.ended != "exited":
        reason = f"{_how_it_ended(after)}, and so it did on the base"
        return Judged(verdict=Verdict.HELD, reason=reason)
    return Judged(verdict=Verdict.FAILED, reason=_how_it_ended(after))


def _incomplete(base: Measurement, after: Measurement) -> Judged | None:
    if base.ended != "exited" or not base.complete:
        if after.green and after.level != EvidenceLevel.EXIT:
            return None
        reason = f"the report of the base is not complete{_said(base)}"
        return Judged(verdict=Verdict.HELD, reason=reason)
    if not after.complete:
        reason = f"ended with {after.exit_code} before its report was complete{_said(after)}"
        return Judged(verdict=Verdict.FAILED, reason=reason)
    return None


def _compared(base: Measurement, after: Measurement) -> Judged:
    if EvidenceLevel.IDS == base.level == after.level:
        return _by_ids(base, after)
    if base.counts and after.counts:
        return _by_counts(base, after)
    return _by_exit(base, after)


def _by_ids(base: Measurement, after: Measurement) -> Judged:
    if not base.cases and not after.cases:
        return Judged(verdict=Verdict.HELD, reason=f"no test ran{_said(after)}")
    newly = tuple(sorted(after.failed - base.failed))
    if newly:
        reason = f"{_many(len(newly), 'test')} newly red, first {newly[0]}"
        return Judged(verdict=Verdict.FAILED, reason=reason, newly_failed=newly)
    if after.exit_code and not after.failed and not base.exit_code:
        reason = f"ended with {after.exit_code} although no test is red{_said(after)}"
        return Judged(verdict=Verdict.FAILED, reason=reason)
    if base.cases and not any(case.outcome == "passed" for case in base.cases) and after.failed:
        reason = f"no test passes on the base, {_many(len(after.failed), 'test')} red now"
        return Judged(verdict=Verdict.HELD, reason=reason)
    red = f", {len(after.failed)} red as before" if after.failed else ""
    return Judged(verdict=Verdict.PASSED, reason=_ran(tally(base.cases), tally(after.cases)) + red)


def _by_counts(base: Measurement, after: Measurement) -> Judged:
    before, now = base.counts or Counts(), after.counts or Counts()
    if not now.collected:
        return Judged(verdict=Verdict.HELD, reason=f"no test ran{_said(after)}")
    if now.failed > before.failed:
        reason = f"{now.failed} tests are red, {before.failed} on the base"
        return Judged(verdict=Verdict.FAILED, reason=reason)
    if now.failed:
        reason = f"{now.failed} tests are red and {before.failed} on the base, names unknown"
        return Judged(verdict=Verdict.HELD, reason=reason)
    if after.exit_code:
        return _by_exit(base, after)
    return Judged(verdict=Verdict.PASSED, reason=_ran(before, now))


def _by_exit(base: Measurement, after: Measurement) -> Judged:
    if after.exit_code == 0:
        ran = (
            f"{after.counts.passed} of {after.counts.collected} tests pass" if after.counts else ""
        )
        return Judged(verdict=Verdict.PASSED, reason=ran or "ended with 0")
    if base.exit_code == 0:
        reason = f"ended with {after.exit_code}, with 0 on the base{_said(after)}"
        return Judged(verdict=Verdict.FAILED, reason=reason)
    reason = f"red on the base too ({base.exit_code}), and only the exit code is known"
    return Judged(verdict=Verdict.HELD, reason=reason)


def _how_it_ended(measured: Measurement) -> str:
    if measured.ended == "timeout":
        return f"did not end within {measured.seconds:.0f} s"
    if measured.ended == "limit":
        return "was ended at its limit of memory or processes"
    return f"ended with {measured.exit_code}"


def _said(measured: Measurement) -> str:
    return f": {measured.tail[-400:]}" if measured.tail else ""


def _ran(base: Counts, after: Counts) -> str:
    return (
        f"{after.passed} of {after.collected} tests pass ({base.passed} of {base.collected} before)"
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
