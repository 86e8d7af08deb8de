"""Expressions over facts: only what is safe passes, and only true is true."""

import pytest

from domain.policy import Facts
from integrations.cel import LONGEST, Cel

CEL = Cel()
FACTS = Facts(
    phase="merge",
    trust="owner",
    labels=("pay",),
    paths=("src/a.py", "tests/b.py"),
    files=2,
    irreversible=True,
    now_ms=2**42,
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('trust == "owner" && files <= 2', True),
        ('trust != "owner" || files > 2', False),
        ('"pay" in labels', True),
        ('risk in ["low", "normal"]', True),
        ("size(paths) == 2 && paths.size() < 3", True),
        ("irreversible && !asked", True),
        ('initiator.startsWith("a") || repo.endsWith("b")', False),
        ('trust.contains("wne")', True),
        ("now_ms >= 4398046511104", True),
        ('phase == "merge"', True),
        ("true", True),
    ],
)
def test_evaluates_conditions_over_all_facts(expression: str, expected: bool) -> None:
    assert CEL.problem(expression) == ""
    assert CEL.bind(FACTS)(expression) is expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("tust == 'owner'", "undeclared reference to 'tust'"),
        ("files == '2'", "no matching overload"),
        ("files", "gives int, not true or false"),
        ("labels", "not true or false"),
        ("files + 1 > 2", "undeclared reference to '_+_'"),
        ("files / 0 == 1", "undeclared reference to '_/_'"),
        ("labels[9] == 'a'", "undeclared reference to '_[_]'"),
        ("labels.exists(x, x == 'a')", "undeclared reference"),
        ("trust.matches('(a+)+$')", "undeclared reference to 'matches'"),
        ("dyn(files) == 'a'", "undeclared reference to 'dyn'"),
        ("timestamp('x') == timestamp('y')", "undeclared reference to 'timestamp'"),
        ("true ? true : false", "undeclared reference"),
        ("trust ==", "Syntax error"),
        ("", "Syntax error"),
        ("(" * 900 + "true" + ")" * 900, "too deep"),
        ("true || " * 300 + "true", f"longer than {LONGEST}"),
    ],
)
def test_refuses_everything_else_when_it_is_loaded(expression: str, reason: str) -> None:
    assert reason in CEL.problem(expression)
    assert CEL.bind(FACTS)(expression) is None


def test_an_error_value_does_not_count_as_true() -> None:
    """The engine returns errors as values: a fact of the wrong type makes one."""
    wrong = FACTS.but(labels=(1, 2), files="many", trust=3)

    holds = CEL.bind(wrong)

    assert holds('trust == "owner"') is not True
    assert holds("files > 1") is None


def test_many_nots_are_harmless() -> None:
    assert CEL.bind(FACTS)("!" * 1_900 + "true") in (True, None)
