"""Reading test reports and linters' output."""

import json
from pathlib import Path

import pytest

from domain.evidence import Case
from domain.review import Counts
from integrations.gates import reports


def outcomes(cases: tuple[Case, ...] | None) -> dict[str, str]:
    assert cases is not None
    return {case.id: case.outcome for case in cases}


def test_reads_junit_and_joins_a_red_teardown_with_its_test(tmp_path: Path) -> None:
    (tmp_path / "r.xml").write_text(
        '<testsuites><testsuite><testcase classname="t.A" name="ok" file="t.py"/>'
        '<testcase classname="t.A" name="bad"><failure>boom</failure></testcase>'
        '<testcase classname="t.A" name="off"><skipped/></testcase>'
        '<testcase classname="t.A" name="late"/>'
        '<testcase classname="t.A" name="late"><error/></testcase></testsuite></testsuites>'
    )

    cases = reports.junit(tmp_path / "r.xml")

    assert outcomes(cases) == {
        "t.A::ok": "passed",
        "t.A::bad": "failed",
        "t.A::off": "skipped",
        "t.A::late": "failed",
    }
    assert cases is not None
    assert cases[0].file == "t.py"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<testsuite><testcase name='a'/>",
        '<!DOCTYPE a [<!ENTITY x "xxxx">]><testsuite>&x;</testsuite>',
        "not a report",
    ],
)
def test_a_broken_junit_report_is_no_evidence(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.xml").write_text(text)

    assert reports.junit(tmp_path / "r.xml") is None
    assert reports.junit(tmp_path / "missing.xml") is None


def gotest(*events: dict[str, str]) -> str:
    return "noise\n" + "\n".join(json.dumps(event) for event in events) + "\n{broken\n"


def test_reads_go_tests_with_subtests_and_broken_packages() -> None:
    text = gotest(
        {"Action": "start", "Package": "m/a"},
        {"Action": "run", "Package": "m/a", "Test": "TestX"},
        {"Action": "pass", "Package": "m/a", "Test": "TestX/one"},
        {"Action": "fail", "Package": "m/a", "Test": "TestX"},
        {"Action": "skip", "Package": "m/a", "Test": "TestY"},
        {"Action": "fail", "Package": "m/a"},
        {"Action": "start", "Package": "m/b"},
        {"Action": "fail", "Package": "m/b"},
    )

    cases, complete = reports.gotest(text)

    assert complete
    assert outcomes(cases) == {
        "m/a::TestX/one": "passed",
        "m/a::TestX": "failed",
        "m/a::TestY": "skipped",
        "m/b (build or set-up)": "failed",
    }


def test_a_go_report_without_the_end_of_a_package_is_not_complete() -> None:
    text = gotest(
        {"Action": "start", "Package": "m/a"},
        {"Action": "pass", "Package": "m/a", "Test": "TestX"},
    )

    assert reports.gotest(text)[1] is False
    assert reports.gotest("")[1] is False


TAP = """\
TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - deep
        not ok 2 - red
        1..2
    not ok 1 - inner
    ok 2 - flat # SKIP later
    1..2
not ok 1 - outer # time=3ms
ok 2 - twice
ok 3 - twice
1..3
"""


def test_reads_tap_with_subtests() -> None:
    cases, complete = reports.tap(TAP)

    assert complete
    assert outcomes(cases) == {
        "outer > inner > deep": "passed",
        "outer > inner > red": "failed",
        "outer > inner": "failed",
        "outer > flat": "skipped",
        "outer": "failed",
        "twice": "passed",
        "twice (2)": "passed",
    }


def test_tap_without_its_whole_plan_is_not_complete() -> None:
    assert reports.tap("1..3\nok 1 - a\nok 2 - b\n")[1] is False
    assert reports.tap("ok 1 - a\n")[1] is False


def test_reads_jest(tmp_path: Path) -> None:
    document = {
        "testResults": [
            {
                "name": "/tree/a.test.js",
                "status": "failed",
                "assertionResults": [
                    {"fullName": "adds", "status": "passed"},
                    {"fullName": "breaks", "status": "failed"},
                    {"fullName": "waits", "status": "pending"},
                ],
            },
            {"name": "/tree/b.test.js", "status": "failed", "assertionResults": []},
        ]
    }
    (tmp_path / "j").write_text(json.dumps(document))

    assert outcomes(reports.jest(tmp_path / "j")) == {
        "adds": "passed",
        "breaks": "failed",
        "waits": "skipped",
        "b.test.js": "failed",
    }
    assert reports.jest(tmp_path / "none") is None


def test_long_and_odd_ids_stay_short_and_different() -> None:
    one, two = reports.shorten("x" * 500 + "1"), reports.shorten("x" * 500 + "2")

    assert one != two
    assert len(one) < 330
    assert reports.shorten("a\x00\ud800b") == "a??b"


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("===== 1 failed, 7 passed, 2 skipped in 0.12s =====", (10, 7, 1, 2)),
        ("3 passed in 1.00s", (3, 3, 0, 0)),
        ("Tests:       1 failed, 2 skipped, 3 passed, 6 total", (6, 3, 1, 2)),
        ("  Total:     9\n  Passed:    7\n  Skipped:   1\n", (9, 7, 1, 1)),
        ("\x1b[32m  12 passing\x1b[0m (31ms)\n  1 pending\n  2 failing\n", (15, 12, 2, 1)),
        ("# tests 5\n# pass  4\n# fail  1\n", (5, 4, 1, 0)),
        ("# tests 5\n# suites 2\n# pass 4\n# fail 0\n# cancelled 0\n# skipped 1\n", (5, 4, 0, 1)),
        ("  total:     84\n  passing:   80\n  failing:   4\n", (84, 80, 4, 0)),
        ("Ran 4 tests in 0.01s\n\nOK", (4, 4, 0, 0)),
        ("Ran 9 tests in 0.01s\n\nFAILED (failures=1, errors=2, skipped=3)", (9, 3, 3, 3)),
    ],
)
def test_reads_the_sums_of_test_runners(text: str, counts: tuple[int, int, int, int]) -> None:
    collected, passed, failed, skipped = counts

    assert reports.counts(f"noise\n{text}\n") == Counts(
        collected=collected, passed=passed, failed=failed, skipped=skipped
    )


def test_other_output_has_no_sum() -> None:
    assert reports.counts("all is well\n") is None


def test_findings_are_known_by_the_text_of_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\nx = eval(y)\n")
    (tmp_path / "b.py").write_text("\n\n\nx = eval(y)\n")
    row = {"code": "S307", "message": "no eval", "filename": f"{tmp_path}/a.py"}
    output = f"warning: hm\n{json.dumps([{**row, 'location': {'row': 2}}])}"
    moved = json.dumps([{**row, "location": {"row": 4}, "filename": f"{tmp_path}/b.py"}])

    (first,) = reports.ruff(output, tmp_path) or ()
    (second,) = reports.ruff(moved, tmp_path) or ()

    assert (first.rule, first.path, first.line, first.text) == ("S307", "a.py", 2, "no eval")
    assert first.key != second.key
    assert reports.ruff("error: no such option", tmp_path) is None


def test_reads_mypy_and_flake8(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    types = "a.py:1: error: Name is bad  [name-defined]\na.py:1: note: see\nFound 1 error\n"

    assert [(f.rule, f.text) for f in reports.mypy(types, tmp_path)] == [
        ("name-defined", "Name is bad")
    ]
    assert [(f.rule, f.line) for f in reports.flake8("./a.py:1:1: E501 long\n", tmp_path)] == [
        ("E501", 1)
    ]


def test_a_report_cannot_make_us_read_outside_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret.py").write_text("hush\n")
    row = {"code": "X", "message": "m", "filename": "../secret.py", "location": {"row": 1}}

    (found,) = reports.ruff(json.dumps([row]), tmp_path / "tree") or ()
    (empty,) = reports.ruff(json.dumps([row]), tmp_path) or ()

    assert found.key == empty.key
