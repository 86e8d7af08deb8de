"""The strict reader: what it takes, what it refuses, and how fast."""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.document import Document
from config.files import load, load_yaml, parse, read
from config.shape import fit
from domain.errors import Problem, Refused
from domain.idea import IdeaSpec
from domain.plan import TaskKind

IDEA = """\
schema: slipway.idea/1
title: NO
goal: 12:30:45
key: on
scope: {in: [src/**], out: [docs/**]}
acceptance:
  - id: A1
    command: make test
tasks:
  - id: one
    title: 0x1F is text in quotes
    kind: docs
    depends_on: []
"""


def refused(text: str | bytes, name: str = "idea.yaml") -> tuple[Problem, ...]:
    with pytest.raises(Refused) as caught:
        parse(text, IdeaSpec, name)
    return caught.value.problems


def test_reads_an_idea_with_scalars_as_yaml_1_2_has_them() -> None:
    spec = parse(IDEA, IdeaSpec, "idea.yaml")

    assert (spec.title, spec.goal, spec.key) == ("NO", "12:30:45", "on")
    assert (spec.scope.include, spec.scope.out) == (("src/**",), ("docs/**",))
    assert spec.tasks[0].kind is TaskKind.DOCS


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("off", "off"), ("~", None), ("null", None), ("True", True),
        ("false", False), ("0o17", 15), ("0x1F", 31), ("017", 17), ("+3", 3), ("1_000", "1_000"),
        ("1e3", 1000.0), ("-.5", -0.5), ("1:30", "1:30"), ("2026-11-21", "2026-11-21"),
        ("'true'", "true"), ('"1"', "1"), ("<<", "<<"), ("=", "="), ("1.2.3", "1.2.3"),
        ("9" * 70, "9" * 70), ("٣", "٣"),
    ],
)  # fmt: skip
def test_resolves_scalars_by_the_core_schema(text: str, value: object) -> None:
    got = read(f"a: {text}", "a.yaml").value

    assert got == {"a": value}
    assert type(next(iter(got.values()))) is type(value)  # type: ignore[union-attr]


def test_names_the_field_the_line_and_the_likely_key() -> None:
    (problem,) = refused("title: x\nacceptance:\n  - id: A1\n    comand: make\n")

    assert (problem.path, problem.line) == ("acceptance[0].comand", 4)
    assert problem.hint == "did you mean command?"
    assert problem.message == (
        "idea.yaml, line 4: `acceptance[0].comand` is not a key that is known here"
    )


def test_names_both_lines_of_a_duplicate_key() -> None:
    (problem,) = refused("title: a\ngoal: b\ntitle: c\n")

    assert (problem.code, problem.path, problem.line) == ("duplicate_key", "title", 3)
    assert "already on line 1" in problem.message


def test_tells_several_problems_at_once_in_the_order_of_the_file() -> None:
    problems = refused(
        "title: 3\nacceptance: [{id: A1, kind: tset}]\npriority: {reach: 1, impact: 1, "
        "confidence: 1, effrt: 1}\nchanges:\n  - {op: add_fil}\n  - {op: add_file, path: a, "
        "text: b, txt: c}\n  - 4\n  - {path: b}\nrecipe: {name: a, params: {x: {y: 1}}}\n"
    )

    assert [(each.path, each.line) for each in problems] == [
        ("title", 1),
        ("acceptance[0].kind", 2),
        ("priority.effort", 3),
        ("priority.effrt", 3),
        ("changes[0]", 5),
        ("changes[1].txt", 6),
        ("changes[2]", 7),
        ("changes[3]", 8),
        ("recipe.params.x", 9),
    ]
    hints = {each.path: each.hint for each in problems}
    assert hints["priority.effrt"] == "did you mean effort?"
    assert hints["changes[0]"] == "did you mean add_file?"
    assert hints["changes[1].txt"] == "did you mean text?"
    messages = {each.path: each.message for each in problems}
    assert messages["title"].endswith("should be text, got 3")
    assert (
        "should be text or a whole number or true or false or a list"
        in (messages["recipe.params.x"])
    )


@pytest.mark.parametrize("key", ["initiator", "trust", "source"])
def test_refuses_what_only_the_door_may_say(key: str) -> None:
    (problem,) = refused(f"title: x\n{key}: {{}}\n")

    assert problem.path == key
    assert "slipway sets it" in problem.hint


def test_does_not_take_a_field_by_its_internal_name() -> None:
    (problem,) = refused("title: x\nscope: {include: [a]}\n")

    assert (problem.path, problem.hint) == ("scope.include", "known are in, out")


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "empty", 0),
        ("# nothing", "empty", 0),
        ("title: a\n---\ntitle: b\n", "several_documents", 2),
        ("a: &x [1]\n", "alias", 1),
        ("a: 1\nb: *x\n", "alias", 2),
        ("title: !!python/object:os.system x", "tag", 1),
        ("title: !!str x", "tag", 1),
        ("title: [a\nb: c", "bad_yaml", 2),
        ("\ttitle: x", "bad_yaml", 1),
        ("a: 1\nb: x\x07", "bad_yaml", 2),
        ("a: 'b", "bad_yaml", 1),
        ("a: b: c", "bad_yaml", 1),
        ("a: .nan", "not_finite", 1),
        ("a: -.inf", "not_finite", 1),
        ("a: 1e999", "not_finite", 1),
        ("a: 9223372036854775808", "too_large", 1),
        ("? [a]\n: b", "bad_key", 1),
        ("- a", "model_type", 1),
        ("just text", "model_type", 1),
        ("a: " + "[" * 40, "too_deep", 1),
        ("- " * 30_000, "too_deep", 1),
        ("a: [" + "1," * 20_000 + "1]", "too_many_parts", 1),
        ("a: " + "x" * 70_000, "too_large", 0),
    ],
)  # fmt: skip
def test_refuses_what_is_not_one_plain_document(text: str, code: str, line: int) -> None:
    (problem,) = refused(text)

    assert (problem.code, problem.line) == (code, line)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"title": "a", "title": "b"}', "already on line 1"),
        ('{"title": NaN}', "expected a value, got 'NaN}'"),
        ('{"title": Infinity}', "expected a value"),
        ('{"title": "x",}', "expected a key in double quotes"),
        ('{"title" "x"}', "expected a colon"),
        ('{"title": "x" "goal": 1}', "expected a comma or }"),
        ('{"title": 01}', "expected a comma or }"),
        ('{"title": "x"} {}', "expected the end of the document"),
        ('{"title": "x', "expected a string that ends on its line"),
        ('{"title": "a\nb"}', "expected a string that ends on its line"),
        ('{"title": "\\x"}', "expected a string with valid escapes"),
        ('{"title": "\\ud83d"}', "both halves of a surrogate pair"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 99999999999999999999}', "does not fit 64 bits"),
        ("[" * 30_000, "nested deeper"),
        ("", "expected a value, got the end of the text"),
        ("{'title': 'x'}", "expected a key in double quotes"),
    ],
)
def test_refuses_what_is_not_json(text: str, reason: str) -> None:
    (problem,) = refused(text, "idea.json")

    assert reason in problem.message


def test_reads_json_with_lines() -> None:
    text = (
        '{\n "title": "\\ud83d\\ude00 \\/",\n "acceptance": [\n'
        '  {"id": "A1", "comand": -1.5e1}\n ]\n}'
    )

    (problem,) = refused(text, "idea.json")
    assert (problem.path, problem.line) == ("acceptance[0].comand", 4)
    assert read(text, "idea.json").find(("title",)) == (True, "😀 /")


def test_takes_text_that_begins_with_a_brace_for_json_unless_it_is_named_yaml() -> None:
    assert read("{a: b}", "idea.yaml").value == {"a": "b"}
    with pytest.raises(Refused):
        read("{a: b}", "-")


@settings(deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_reads_every_json_value_as_the_standard_library_does(value: object) -> None:
    text = json.dumps(value)

    assert read(text, "a.json").value == json.loads(text)


def test_not_utf8_is_told_with_its_line() -> None:
    (problem,) = refused(b"title: a\ngoal: \xff\n")

    assert (problem.code, problem.line) == ("not_utf8", 2)
    assert refused("title: \ud800")[0].code == "not_utf8"
    assert refused("title: a".encode("utf-16"))[0].code == "not_utf8"


def test_takes_a_byte_order_mark() -> None:
    assert parse(b"\xef\xbb\xbftitle: x", IdeaSpec, "idea.yaml").title == "x"


def test_a_document_that_was_never_text_has_no_lines() -> None:
    with pytest.raises(Refused) as caught:
        fit(Document({"title": "x", "gaol": "y"}), IdeaSpec, "the options")

    (problem,) = caught.value.problems
    assert problem.message == "the options: `gaol` is not a key that is known here"
    assert (problem.line, problem.hint) == (0, "did you mean goal?")


def test_echoes_little_of_the_input_and_nothing_invisible() -> None:
    hostile = "\x1b[31m\u202e" + "a" * 5_000

    (problem,) = refused(json.dumps({"title": hostile}), "idea.json")

    assert "\x1b" not in problem.message
    assert "\u202e" not in problem.message
    assert len(problem.message) < 250


def test_shows_at_most_twenty_problems() -> None:
    problems = refused("title: x\n" + "".join(f"k{at}: 1\n" for at in range(50)))

    assert len(problems) == 21
    assert "30 more problems" in problems[-1].message


def test_loads_a_file_and_tells_why_it_cannot(tmp_path: Path) -> None:
    file = tmp_path / "idea.yaml"
    file.write_text("title: x")

    assert load(file, IdeaSpec).title == load_yaml(file, IdeaSpec).title == "x"
    for path in (tmp_path, tmp_path / "none", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(Refused) as caught:
            load(path, IdeaSpec)
        assert caught.value.problems[0].code == "unreadable"
    file.write_bytes(b"a: b\n" * 20_000)
    with pytest.raises(Refused) as caught:
        load(file, IdeaSpec)
    assert caught.value.problems[0].code == "too_large"


HOSTILE = {
    "nested lists": "[" * 60_000,
    "nested maps": "{a: " * 15_000,
    "nested dashes": "- " * 30_000,
    "question marks": "? " * 30_000,
    "many numbers": "a: [" + "1," * 30_000 + "]",
    "many maps": "changes: [" + "{}," * 20_000 + "]",
    "many unknown keys": "".join(f"k{at}: 1\n" for at in range(9_000)),
    "many bad items": "title: x\nscope:\n  in:\n" + "  - {}\n" * 9_000,
    "many bad criteria": "acceptance:\n" + "- {id: A, x: y}\n" * 3_000,
    "billion laughs": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
    "long key": "a" * 60_000 + ": 1",
    "long text": "title: " + "a" * 60_000,
    "quotes": "'" * 65_000,
    "backslashes": '"' + "\\" * 60_001,
    "comment": "#" * 65_000,
    "colons": "a: " * 20_000,
    "random bytes": bytes(range(256)) * 200,
    "nulls": b"\0" * 60_000,
    "directives": "%TAG ! x\n" * 6_000,
    "block text": "title: |\n" + " a\n" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_refuses_hostile_text_quickly(name: str, suffix: str) -> None:
    limit = 2 if sys.gettrace() else 0.25  # 0.1 s on an idle machine; measuring coverage is slow
    before = time.process_time()

    problems = refused(HOSTILE[name], f"idea.{suffix}")  # type: ignore[arg-type]

    assert time.process_time() - before < limit
    assert all(problem.message.isprintable() for problem in problems)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("a.yaml", "a.json"):
        with suppress(Refused):
            assert read(text, name).lines
