"""The audit chain: canonical bytes, and every way of breaking it is found."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.audit import (
    GENESIS,
    Chain,
    Head,
    Stored,
    Text,
    canonical,
    commitment,
    readable,
    verify,
)
from domain.errors import Rejected
from domain.record import digest

CALM = settings(deadline=None)  # a busy machine is no failure
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a_1"), inner),
    max_leaves=6,
)


def chain_of(*bodies: object, keys: tuple[str, ...] = ("one", "two")) -> list[Stored]:
    """Write one entry for each body, the ideas taking turns."""
    written: list[Stored] = []
    ideas: dict[str, Head] = {}
    for number, body in enumerate(bodies):
        key = keys[number % len(keys)]
        own = ideas.get(key, Head(size=0, sha256=GENESIS))
        columns = {"seq": number + 1, "key": key, "idea_seq": own.size + 1}
        links = {
            "prev": written[-1].sha256 if written else GENESIS,
            "idea_prev": own.sha256,
            "texts": {"reason": commitment("salt", f"because {number}")},
        }
        data = canonical({**columns, **links, "body": body})
        text = Text(field="reason", salt="salt", text=f"because {number}")
        written.append(
            Stored(seq=number + 1, data=data, sha256=digest(data), columns=columns, texts=(text,))
        )
        ideas[key] = Head(size=own.size + 1, sha256=digest(data))
    return written


def codes(entries: list[Stored], head: Head | None = None) -> set[str]:
    return {problem.code for problem in verify(entries, head).problems}


def end_of(entries: list[Stored]) -> Head:
    return Head(size=len(entries), sha256=entries[-1].sha256)


@CALM
@given(PLAIN)
def test_canonical_bytes_are_the_same_for_the_same_value(value):
    data = canonical(value)

    assert canonical(json.loads(data)) == data


def test_canonical_bytes_do_not_depend_on_order_or_composition():
    assert canonical({"b": 1, "a": "e\u0301"}) == '{"a":"é","b":1}'.encode()


@pytest.mark.parametrize("value", [1.0, 2**53, {"A": 1}, {1: 1}, {"": 1}, object(), {"a": {1}}])
def test_what_has_no_single_form_is_refused(value):
    with pytest.raises(Rejected) as refused:
        canonical(value)

    assert refused.value.problem.code == "not_canonical"


@CALM
@given(ANY_TEXT)
def test_any_text_becomes_one_that_databases_hold(text):
    shown = readable(text)

    assert "\0" not in shown
    assert shown.encode("utf-8").decode("utf-8") == shown


@CALM
@given(st.lists(PLAIN, max_size=6))
def test_a_chain_as_written_is_consistent(bodies):
    report = verify(chain_of(*bodies))

    assert (report.status, report.size, report.problems) == ("unanchored", len(bodies), ())


@CALM
@given(st.lists(PLAIN, min_size=1, max_size=5), st.data())
def test_one_changed_byte_is_found(bodies, data):
    entries = chain_of(*bodies)
    place = data.draw(st.integers(0, len(entries) - 1))
    changed = bytearray(entries[place].data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    entries[place] = entries[place].but(data=bytes(changed))

    assert "entry_changed" in codes(entries)


@CALM
@given(st.lists(PLAIN, min_size=2, max_size=5), st.data())
def test_an_edit_with_a_new_hash_is_found_by_its_successor_or_the_anchor(bodies, data):
    entries = chain_of(*bodies)
    head = end_of(entries)
    place = data.draw(st.integers(0, len(entries) - 1))
    entry = json.loads(entries[place].data)
    forged = canonical(entry | {"body": "forged"})
    entries[place] = entries[place].but(data=forged, sha256=digest(forged))

    assert codes(entries, head)


@CALM
@given(st.integers(0, 3))
def test_a_deletion_is_found(place):
    entries = chain_of(1, 2, 3, 4)
    head = end_of(entries)
    del entries[place]

    assert codes(entries, head)


def test_a_deletion_in_the_middle_is_found_without_an_anchor():
    entries = chain_of(1, 2, 3, 4)
    del entries[1]

    assert {"entry_missing", "chain_broken", "idea_broken"} == codes(entries)


def test_an_insertion_is_found():
    entries = chain_of(1, 2, 3, 4)
    entries.insert(2, entries[1])

    assert "entry_missing" in codes(entries)


def test_a_swap_is_found():
    entries = chain_of(1, 2, 3, 4)
    entries[1], entries[2] = entries[2], entries[1]

    assert "chain_broken" in codes(entries)


def test_truncation_is_found_by_an_anchor_only():
    entries = chain_of(1, 2, 3, 4)
    head = end_of(entries)

    assert codes(entries[:3]) == set()
    assert codes(entries[:3], head) == {"head_missing"}
    assert verify(entries[:3], head).status == "broken"


def test_a_chain_may_have_grown_since_it_was_anchored():
    entries = chain_of(1, 2, 3, 4)

    assert verify(entries, end_of(entries[:2])).status == "anchored"


def test_a_rewritten_chain_is_found_by_an_anchor_only():
    head = end_of(chain_of(1, 2, 3, 4))
    rewritten = chain_of(1, 2, "other", 4)

    assert verify(rewritten).status == "unanchored"
    assert codes(rewritten, head) == {"head_missing"}


def test_an_omitted_idea_leaves_a_trace_in_its_own_numbers():
    entries = chain_of(1, 2, 3)
    moved = json.loads(entries[2].data) | {"idea_seq": 3}
    data = canonical(moved)
    entries[2] = entries[2].but(data=data, sha256=digest(data), columns={})

    assert codes(entries) == {"idea_broken"}


def test_a_changed_column_is_found():
    entries = chain_of(1, 2)
    entries[1] = entries[1].but(columns={"key": "other"})

    assert codes(entries) == {"column_changed"}


def test_a_changed_text_is_found_and_a_redacted_one_is_counted():
    entries = chain_of(1, 2)
    changed = Text(field="reason", salt="salt", text="another")
    gone = Text(field="reason", salt="salt", text=None)

    assert codes([entries[0].but(texts=(changed,)), entries[1]]) == {"text_changed"}
    assert verify([entries[0].but(texts=(gone,)), entries[1]]).redacted == 1


def test_a_missing_text_is_found_unless_texts_are_not_at_hand():
    entries = chain_of(1, 2)

    assert codes([entries[0].but(texts=()), entries[1]]) == {"text_missing"}
    assert codes([entry.but(texts=None) for entry in entries]) == set()


@pytest.mark.parametrize("data", [b"\xff", b"[]", b"{"])
def test_bytes_that_are_no_entry_are_found(data):
    entry = Stored(seq=1, data=data, sha256=digest(data), texts=())

    assert "entry_missing" in codes([entry])


def test_an_empty_chain_is_consistent():
    report = Chain().report()

    assert (report.status, report.size, report.sha256) == ("unanchored", 0, GENESIS)
