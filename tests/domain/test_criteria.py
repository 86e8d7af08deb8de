"""Words with literals become cases, or are refused with what would be understood."""

import pytest

from domain.criteria import names_used, read_case
from domain.errors import Refused


@pytest.mark.parametrize(
    ("given", "setup"),
    [
        ("", ()),
        ("nothing", ()),
        ("a = 2", (("a", "2"),)),
        ("a = 2, b = [1, 2] and c is 'x = 1'", (("a", "2"), ("b", "[1, 2]"), ("c", "'x = 1'"))),
        ("a = true; b = null.", (("a", "True"), ("b", "None"))),
        ("d = {'k': (1, 2)}, e = 3", (("d", "{'k': (1, 2)}"), ("e", "3"))),
        ("a = ['it, b = (1', 2]; b = 1", (("a", "['it, b = (1', 2]"), ("b", "1"))),
    ],
)
def test_reads_what_is_given(given: str, setup: tuple[tuple[str, str], ...]) -> None:
    assert read_case("A1", given=given, when="f()", then="returns 1").setup == setup


@pytest.mark.parametrize(
    ("when", "call"),
    [
        ("f(a, 3)", "f(a, 3)"),
        ("`pkg.f(1)`", "pkg.f(1)"),
        ("I call f(1).", "f(1)"),
        ("calling f()", "f()"),
        ("f is called", "f()"),
        ("m.f is called with 1, 'x' and [2]", "m.f(1, 'x', [2])"),
    ],
)
def test_reads_what_is_done(when: str, call: str) -> None:
    assert read_case("A1", given="", when=when, then="returns 1").call == call


@pytest.mark.parametrize(
    ("then", "judgement", "expected", "message"),
    [
        ("returns 5", "equals", "5", ""),
        ("it returns 'x'.", "equals", "'x'", ""),
        ("the result is true", "equals", "True", ""),
        ("it gives 1.5", "close", "1.5", ""),
        ("== {}", "equals", "{}", ""),
        ("the answer contains 'x'", "contains", "'x'", ""),
        ("raises ValueError", "raises", "ValueError", ""),
        ("it fails with m.Bad saying 'no'", "raises", "m.Bad", "'no'"),
        ("result > 3", "holds", "result > 3", ""),
        ("len(result) == 2", "holds", "len(result) == 2", ""),
    ],
)
def test_reads_what_must_be(then: str, judgement: str, expected: str, message: str) -> None:
    case = read_case("A1", given="", when="f()", then=then)

    assert (case.judgement, case.expected, case.message) == (judgement, expected, message)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("given", "a parcel of 750 g"),
        ("given", "well, a = 2"),
        ("given", "a = b"),
        ("when", "a parcel is sent"),
        ("when", "a + 1"),
        ("when", "f("),
        ("then", "it costs a lot"),
        ("then", "returns x"),
        ("then", "open('/etc/passwd') == result"),
        ("then", "1 == 1"),
        ("then", "f() > ("),
    ],
)
def test_refuses_what_it_does_not_understand(part: str, text: str) -> None:
    words = {"given": "", "when": "f()", "then": "returns 1", part: text}

    with pytest.raises(Refused) as told:
        read_case("A7", **words)

    (problem,) = told.value.problems
    assert problem.path == f"A7.{part}"
    assert problem.message.startswith(f"criterion A7: {part} is not understood")
    assert problem.hint.startswith("write ")


def test_knows_what_the_module_must_supply() -> None:
    case = read_case("A1", given="a = 1", when="m.f(a, g(len(b)))", then="raises own.Bad")

    assert names_used(case) == ("b", "g", "m", "own")
    assert names_used(read_case("A1", given="", when="f(1)", then="returns 1")) == ("f",)
