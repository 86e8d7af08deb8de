"""The test census: fewer tests, new skips, new suppressions, fewer assertions."""

import re
from collections import Counter

from domain.diff import ChangedLine
from domain.evidence import Judged, Measurement, finding_key
from domain.globs import matches
from domain.review import Counts, EvidenceLevel, Finding, Verdict

WEAKENED = "test_weakened: "
TEST_FILES = (
    "test_*.py", "*_test.py", "tests.py", "test.py", "conftest.py", "test/", "tests/", "testing/",
    "__tests__/", "*.test.*", "*.spec.*", "*_test.go", "spec/",
)  # fmt: skip

_SKIPS = tuple(
    re.compile(pattern)
    for pattern in (
        r"@?(?:pytest\.)?mark\.(?:skip|skipif|xfail)\b",
        r"\bpytest\.(?:skip|xfail|importorskip)\(",
        r"@?unittest\.(?:skip|skipIf|skipUnless|expectedFailure)\b",
        r"\bself\.skipTest\(|\braise (?:unittest\.)?SkipTest\b",
        r"\bt\.Skip(?:f|Now)?\(",
        r"\b(?:it|test|describe|context|suite)\.(?:skip|todo|only)\b|\bx(?:it|describe|test)\(",
        r"\bcollect_ignore(?:_glob)?\b|--(?:ignore|deselect)(?:-glob)?[= ]",
    )
)
_SUPPRESSIONS = tuple(
    re.compile(pattern)
    for pattern in (
        r"#\s*(?:ruff:\s*|flake8:\s*)?noqa\b",
        r"#\s*(?:type:\s*ignore|pyright:\s*ignore|mypy:\s*ignore)",
        r"#\s*pylint:\s*disable",
        r"#\s*nosec\b",
        r"#\s*pragma:\s*no cover",
        r"\beslint-disable|@ts-(?:ignore|nocheck|expect-error)",
        r"//\s*nolint\b|//\s*#nosec\b",
    )
)
_ASSERTION = re.compile(
    r"^\s*assert\b|\bself\.(?:assert\w+|fail)\(|\bpytest\.raises\(|\bexpect\(|\bassert\.\w+\(|"
    r"\b(?:require|assert)\.[A-Z]\w*\(|\bt\.(?:Error|Fatal|Errorf|Fatalf|Fail|FailNow)\("
)
_EMPTY = re.compile(
    r"^\s*assert (?:True|1|not False)\s*(?:#|,|$)|\bassertTrue\(True\)|\bexpect\(true\)"
)


def judge_census(
    base: Measurement, after: Measurement, lines: tuple[ChangedLine, ...], deleted: tuple[str, ...]
) -> Judged:
    """Compare both sides' tests and read the diff for what makes tests or tools say less.

    `deleted` are the paths that the change removed.
    """
    weaker = _fewer(base, after)
    findings = (*_marks("skip", _SKIPS, lines), *_marks("suppression", _SUPPRESSIONS, lines),
                *_assertions(lines, deleted))  # fmt: skip
    skipped = _newly_skipped(base, after)
    reasons = [reason for reason in (weaker, skipped) if reason]
    reasons += [f"{finding.text} ({finding.path}:{finding.line})" for finding in findings]
    if reasons:
        more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        return Judged(
            verdict=Verdict.FAILED, reason=WEAKENED + reasons[0] + more, findings=findings
        )
    return _kept(base, after, deleted)


def is_test(path: str) -> bool:
    """Say whether a path belongs to tests."""
    return matches(path, TEST_FILES)


def _kept(base: Measurement, after: Measurement, deleted: tuple[str, ...]) -> Judged:
    gone = tuple(path for path in deleted if is_test(path))
    if _countable(base) and _countable(after):
        lost = _lost(base, after)
        findings = tuple(_finding("renamed", "", 0, f"no longer there: {test}") for test in lost)
        reason = f"{len(after.cases)} tests, {len(base.cases)} before"
        reason += f", {len(lost)} under another name" if lost else ""
        return Judged(verdict=Verdict.PASSED, reason=reason, findings=findings)
    if gone:
        reason = f"{len(gone)} test files are gone and tests cannot be counted, first {gone[0]}"
        return Judged(verdict=Verdict.HELD, reason=reason)
    return Judged(verdict=Verdict.PASSED, reason="no test removed, no new skip or suppression")


def _lost(base: Measurement, after: Measurement) -> tuple[str, ...]:
    there = {case.id for case in after.cases}
    return tuple(sorted(case.id for case in base.cases if case.id not in there))


def _countable(side: Measurement) -> bool:
    return side.level == EvidenceLevel.IDS and side.complete and not side.unmeasured


def _fewer(base: Measurement, after: Measurement) -> str:
    if _countable(base) and _countable(after):
        before, now = len(base.cases), len(after.cases)
    else:
        before = (base.counts or Counts()).collected
        now = (after.counts or Counts()).collected if after.counts else before
    if now >= before:
        return ""
    names = _lost(base, after) if base.cases else ()
    return f"{before - now} tests fewer" + (f", first {names[0]}" if names else "")


def _newly_skipped(base: Measurement, after: Measurement) -> str:
    ran = {case.id for case in base.cases if case.outcome != "skipped"}
    skipped = sorted(c.id for c in after.cases if c.outcome == "skipped" and c.id in ran)
    return f"{len(skipped)} tests newly skipped, first {skipped[0]}" if skipped else ""


def _marks(
    rule: str, patterns: tuple[re.Pattern[str], ...], lines: tuple[ChangedLine, ...]
) -> tuple[Finding, ...]:
    """Return added marks beyond those that the same change removed (a moved line is not new)."""
    findings: list[Finding] = []
    for pattern in patterns:
        hits = [line for line in lines if pattern.search(line.text) and _is_code(line.path)]
        removed = sum(1 for line in hits if not line.added)
        added = [line for line in hits if line.added]
        for line in added[: max(0, len(added) - removed)]:
            shown = line.text.strip()[:120]
            findings.append(_finding(rule, line.path, line.line, f"new {rule}: {shown}"))
    return tuple(findings)


def _assertions(lines: tuple[ChangedLine, ...], deleted: tuple[str, ...]) -> tuple[Finding, ...]:
    balance: Counter[str] = Counter()
    findings = []
    for line in lines:
        if not is_test(line.path) or line.path in deleted:
            continue
        if line.added and _EMPTY.search(line.text):
            text = f"asserts nothing: {line.text.strip()[:120]}"
            findings.append(_finding("assertion", line.path, line.line, text))
        elif _ASSERTION.search(line.text):
            balance[line.path] += 1 if line.added else -1
    for path in sorted(path for path, count in balance.items() if count < 0):
        text = f"{-balance[path]} assertions fewer"
        findings.append(_finding("assertion", path, 0, text))
    return tuple(findings)


def _is_code(path: str) -> bool:
    return not matches(path, ("*.md", "*.rst", "*.txt", "docs/"))


def _finding(rule: str, path: str, line: int, text: str) -> Finding:
    severity = "warning" if rule == "renamed" else "error"
    return Finding(
        key=finding_key(rule, path, text), rule=rule, path=path, line=line, text=text,
        severity=severity,
    )  # fmt: skip
