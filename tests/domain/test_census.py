"""The test census."""

import pytest

from domain.census import WEAKENED, is_test, judge_census
from domain.diff import ChangedLine
from domain.evidence import Case, Measurement, tally
from domain.review import Counts, EvidenceLevel, Verdict


def side(**outcomes: str) -> Measurement:
    cases = tuple(Case.model_validate({"id": k, "outcome": v}) for k, v in outcomes.items())
    return Measurement(level=EvidenceLevel.IDS, cases=cases, counts=tally(cases), exit_code=0)


def added(text: str, path: str = "tests/test_a.py") -> ChangedLine:
    return ChangedLine(path=path, text=text, added=True, line=4)


def removed(text: str, path: str = "tests/test_a.py") -> ChangedLine:
    return ChangedLine(path=path, text=text, added=False)


BOTH = side(a="passed", b="passed")
UNKNOWN = Measurement(exit_code=0)


def test_same_tests_pass() -> None:
    judged = judge_census(BOTH, BOTH, (added("x = 1", "src/a.py"),), ())

    assert (judged.verdict, judged.reason) == (Verdict.PASSED, "2 tests, 2 before")


def test_fewer_tests_weaken() -> None:
    judged = judge_census(BOTH, side(a="passed"), (), ())

    assert judged.verdict == Verdict.FAILED
    assert judged.reason == f"{WEAKENED}1 tests fewer, first b"


def test_fewer_counted_tests_weaken() -> None:
    base = Measurement(level=EvidenceLevel.COUNTS, counts=Counts(collected=5), exit_code=0)

    judged = judge_census(base, base.but(counts=Counts(collected=3)), (), ())

    assert judged.reason == f"{WEAKENED}2 tests fewer"


def test_renamed_tests_are_told_but_pass() -> None:
    judged = judge_census(BOTH, side(a="passed", c="passed"), (), ())

    assert judged.verdict == Verdict.PASSED
    assert judged.reason == "2 tests, 2 before, 1 under another name"
    assert [(each.text, each.severity) for each in judged.findings] == [
        ("no longer there: b", "warning")
    ]


def test_a_test_that_is_newly_skipped_weakens() -> None:
    judged = judge_census(BOTH, side(a="passed", b="skipped"), (), ())

    assert judged.reason == f"{WEAKENED}1 tests newly skipped, first b"


def test_a_test_that_was_skipped_before_does_not() -> None:
    skipped = side(a="passed", b="skipped")

    assert judge_census(skipped, skipped, (), ()).verdict == Verdict.PASSED


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("skip", added("@pytest.mark.skip(reason='later')")),
        ("skip", added("    pytest.skip('later')")),
        ("skip", added("    @unittest.skipIf(True, '')")),
        ("skip", added("        self.skipTest('no')")),
        ("skip", added("\tt.Skip()", "a_test.go")),
        ("skip", added("  it.skip('adds', () => {})", "a.test.js")),
        ("skip", added("xdescribe('x', f)", "a.test.js")),
        ("skip", added("addopts = --ignore=tests/slow", "setup.cfg")),
        ("suppression", added("import os  # noqa: F401", "src/a.py")),
        ("suppression", added("x = f()  # type: ignore", "src/a.py")),
        ("suppression", added("y = eval(x)  # nosec", "src/a.py")),
        ("suppression", added("if debug:  # pragma: no cover", "src/a.py")),
        ("suppression", added("// eslint-disable-next-line", "src/a.js")),
        ("suppression", added("x := f() //nolint:errcheck", "a.go")),
        ("assertion", added("    assert True")),
        ("assertion", added("    self.assertTrue(True)")),
    ],
)
def test_new_skips_suppressions_and_empty_assertions_weaken(rule: str, line: ChangedLine) -> None:
    judged = judge_census(BOTH, BOTH, (line,), ())

    assert judged.verdict == Verdict.FAILED
    assert judged.reason.startswith(WEAKENED)
    assert [(each.rule, each.path, each.line) for each in judged.findings] == [(rule, line.path, 4)]


def test_a_moved_suppression_is_not_new() -> None:
    lines = (removed("import os  # noqa: F401", "a.py"), added("import os  # noqa", "b.py"))

    assert judge_census(BOTH, BOTH, lines, ()).verdict == Verdict.PASSED


def test_documentation_may_speak_of_skips() -> None:
    assert judge_census(BOTH, BOTH, (added("pytest.skip(", "docs/a.md"),), ()).verdict == "passed"


def test_fewer_assertions_in_a_test_file_weaken() -> None:
    lines = (
        removed("    assert f(1) == 2"),
        removed("    assert f(2) == 3"),
        added("    assert f"),
    )

    judged = judge_census(BOTH, BOTH, lines, ())

    assert judged.reason == f"{WEAKENED}1 assertions fewer (tests/test_a.py:0)"


def test_assertions_outside_tests_and_of_deleted_files_do_not_count() -> None:
    lines = (removed("assert x", "src/a.py"), removed("    assert f(1) == 2"))

    assert judge_census(BOTH, BOTH, lines, ("tests/test_a.py",)).verdict == Verdict.PASSED


def test_several_reasons_are_counted() -> None:
    lines = (added("pytest.skip()"), added("x  # noqa", "src/a.py"))

    judged = judge_census(BOTH, side(a="passed"), lines, ())

    assert judged.reason == f"{WEAKENED}1 tests fewer, first b and 2 more"


def test_a_deleted_test_file_is_held_when_tests_cannot_be_counted() -> None:
    judged = judge_census(UNKNOWN, UNKNOWN, (), ("tests/test_a.py", "src/b.py"))

    assert judged.verdict == Verdict.HELD
    assert "tests/test_a.py" in judged.reason


def test_uncounted_tests_pass_when_none_is_removed() -> None:
    judged = judge_census(UNKNOWN, UNKNOWN, (added("x = 1", "src/a.py"),), ())

    assert judged.verdict == Verdict.PASSED


def test_tells_tests_from_other_files() -> None:
    assert is_test("src/pkg/tests/data.json")
    assert is_test("lib/a.spec.ts")
    assert not is_test("src/latest.py")
