"""Policy files: what is refused when one is loaded, and which one holds when that happens."""

import logging
from pathlib import Path
from typing import Any

import pytest

from config.files import read_bytes
from config.policies import (
    SHIPPED,
    PolicySource,
    check_policy,
    read_repository_layer,
    repository_layer,
    run_cases,
)
from domain.errors import Misconfigured, Problem, Refused
from domain.policy import Decision, Facts, PolicyOutcome

GOOD = "schema: slipway.policy/1\nrules:\n  - {name: a, outcome: deny, when: good}\n"
OTHER = GOOD.replace("deny", "require")
BAD = GOOD.replace("when: good", "when: bad")


def check(expression: str) -> str:
    return "" if expression in ("good", "true") else "not good"


def problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(Refused) as caught:
        check_policy(path, check)
    return caught.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "policy.yaml"


@pytest.fixture
def source(tmp_path: Path, file: Path) -> PolicySource:
    file.parent.mkdir()
    return PolicySource(file, tmp_path / "state" / "last.yaml", check)


def outcome(source: PolicySource) -> str:
    (layer,) = source.layers()
    return layer.policy.rules[0].outcome


@pytest.mark.parametrize(
    ("text", "code", "path", "line"),
    [
        (BAD, "bad_expression", "rules[0].when", 3),
        (GOOD + "  - {name: a, outcome: deny}\n", "duplicate_rule", "rules[1].name", 4),
        (
            GOOD.replace("deny", "require, approvers: [ann, ann], quorum: 2"),
            "bad_quorum", "rules[0].quorum", 3,
        ),
        (GOOD.replace("deny", "deny, quorum: 2"), "bad_approvers", "rules[0].approvers", 3),
        (GOOD.replace("deny", "allow, approvers: [a]"), "bad_approvers", "rules[0].approvers", 3),
        (GOOD.replace("when", "wen"), "extra_forbidden", "rules[0].wen", 3),
        (GOOD + "minimum_tier: strong\n", "literal_error", "minimum_tier", 4),
        ("rules: []\n", "missing", "schema", 1),
        (GOOD + "freeze: [{name: w, from: '25:00', to: '08:00'}]\n", "value_error", "freeze[0]", 4),
    ],
)  # fmt: skip
def test_tells_what_is_wrong_with_a_policy(
    tmp_path: Path, text: str, code: str, path: str, line: int
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)

    (problem,) = problems(policy)

    assert (problem.code, problem.path, problem.line) == (code, path, line)


def test_the_shipped_policy_holds_where_the_operator_has_none(source: PolicySource) -> None:
    shipped = PolicySource(Path("none"), Path("none"), lambda expression: "").layers()

    assert shipped[0].name == "shipped"
    assert shipped[0].policy.single_person is True


def test_an_edit_holds_at_once(source: PolicySource, file: Path) -> None:
    file.write_text(GOOD)
    before = outcome(source)
    file.write_text(OTHER)

    assert (before, outcome(source)) == ("deny", "require")
    assert source.layers()[0].name == "operator"
    assert source.problem == ""


def test_a_broken_edit_does_not_count_and_is_told_once(
    source: PolicySource, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(GOOD)
    source.layers()
    file.write_text(BAD)

    with caplog.at_level(logging.ERROR):
        assert [outcome(source), outcome(source)] == ["deny", "deny"]

    assert "not good" in source.problem
    assert len(caplog.records) == 1
    file.write_text(OTHER)
    assert (outcome(source), source.problem) == ("require", "")


def test_the_last_good_policy_survives_a_restart(source: PolicySource, file: Path) -> None:
    file.write_text(GOOD)
    source.layers()
    file.write_text(BAD)

    after = PolicySource(file, file.parent.parent / "state" / "last.yaml", check)

    assert outcome(after) == "deny"


def test_a_policy_that_was_never_good_stops(source: PolicySource, file: Path) -> None:
    file.write_text(BAD)

    with pytest.raises(Misconfigured, match="not good"):
        source.layers()


def test_a_removed_policy_gives_way_to_the_shipped_one(file: Path, tmp_path: Path) -> None:
    source = PolicySource(file, tmp_path / "last.yaml", lambda expression: "")
    file.parent.mkdir()
    file.write_text(GOOD)
    source.layers()
    file.unlink()

    assert source.layers()[0].name == "shipped"


def test_a_repository_layer_keeps_its_lines_and_may_only_tighten() -> None:
    text = "schema: slipway.repo/1\npolicy:\n  single_person: true\n  rules:\n"
    allow = "    - {name: a, outcome: allow}\n"

    with pytest.raises(Refused) as caught:
        read_repository_layer((text + allow).encode(), check)
    with pytest.raises(Refused) as misspelt:
        read_repository_layer((text + "    - {name: a, outcme: deny}\n").encode(), check)

    assert [problem.path for problem in caught.value.problems] == [
        "policy.rules[0].outcome",
        "policy.single_person",
    ]
    assert {problem.line for problem in misspelt.value.problems} == {5}


@pytest.mark.parametrize("text", ["schema: slipway.repo/1", "policy: {}"])
def test_a_repository_without_a_policy_adds_nothing(text: str) -> None:
    assert repository_layer(text.encode(), check) is None


def test_a_repository_layer_that_cannot_be_read_says_why() -> None:
    layer = repository_layer(b"policy: [", check)

    assert layer is not None
    assert ".slipway.yaml" in layer.error


def test_the_shipped_cases_name_every_rule_that_is_shipped() -> None:
    text = read_bytes(SHIPPED.with_name("policy_tests.yaml")).decode()
    rules = check_policy(SHIPPED, lambda expression: "").policy.rules

    untested = [rule.name for rule in rules if rule.name not in text]
    assert untested == []


def decide(facts: Facts) -> Decision:
    outcome = PolicyOutcome.ALLOW if facts.trust == "owner" else PolicyOutcome.DENY
    return Decision(phase=facts.phase, outcome=outcome, rules=("r",), reason="so")


@pytest.mark.parametrize(
    ("case", "passed", "message"),
    [
        ({"expect": "allow"}, True, "allow (so)"),
        ({"expect": "deny"}, False, "expected deny, got allow (so)"),
        ({"expect": "allow", "rules": ["r"]}, True, "allow (so)"),
        ({"expect": "allow", "rules": ["r", "s"]}, False, "allow (so), but not because of s"),
    ],
)
def test_cases_are_tried_one_by_one(
    tmp_path: Path, case: dict[str, Any], passed: bool, message: str
) -> None:
    rules = f", rules: [{', '.join(case['rules'])}]" if "rules" in case else ""
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "schema: slipway.policy-tests/1\ncases:\n"
        f"  - {{name: one, facts: {{phase: merge, trust: owner}}, "
        f"expect: {case['expect']}{rules}}}\n"
    )

    (result,) = run_cases(cases, decide)

    assert (result.name, result.passed, result.message) == ("one", passed, message)


def test_an_unknown_fact_in_a_case_is_refused(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "schema: slipway.policy-tests/1\n"
        "cases: [{name: one, expect: deny, facts: {phase: merge, tust: owner}}]\n"
    )

    with pytest.raises(Refused) as caught:
        run_cases(cases, decide)
    assert caught.value.problems[0].hint == "did you mean trust?"
