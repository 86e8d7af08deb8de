"""The queue of a merge train, its batches, and the search for who made one red."""

from hypothesis import given
from hypothesis import strategies as st

from domain.idea import ChangeKind
from domain.repository import Repository
from domain.review import GateResult, GateSet, Verdict
from domain.train import (
    MergeResult,
    Search,
    TrainEntry,
    TrainState,
    TrainView,
    markdown,
    next_batch,
    ordered,
    verdict,
    why_red,
)

REPO = Repository(id="r-1", name="r", location="/r", base="refs/heads/main")


def entry(key: str, priority: int = 3, at: int = 0, gates: str = "g", **more: object) -> TrainEntry:
    return TrainEntry.model_validate({
        "key": key, "round": 1, "workflow_id": f"idea/{key}", "repository": REPO,
        "base_sha": "b", "head_sha": "h", "tree": "t", "title": key, "notes": "",
        "change": ChangeKind.FIX, "priority": priority, "entered_at_ms": at,
        "gates": GateSet(project="other", gates=(), digest=gates), **more,
    })  # fmt: skip


def result(gate: str, says: Verdict) -> GateResult:
    return GateResult(gate=gate, kind="tests", verdict=says, reason=f"because {gate}")


def left(who: TrainEntry, status: str) -> MergeResult:
    return MergeResult.model_validate(
        {"key": who.key, "round": who.round, "status": status, "reason": "why | <so>"}
    )


def test_priority_comes_before_arrival() -> None:
    late, early, urgent = entry("late", at=2), entry("early", at=1), entry("urgent", 1, at=3)
    assert ordered((late, early, urgent)) == (urgent, early, late)


def test_joining_twice_is_joining_once() -> None:
    a, b = entry("a"), entry("b", 1, at=5)
    state = TrainState().joined(a, 10).joined(b, 20).joined(a, 30)
    assert [e.key for e in state.queue] == ["b", "a"]
    assert (state.position("a", 1), state.position("b", 1), state.position("c", 1)) == (2, 1, 0)
    assert state.moved_at_ms == 10


def test_a_late_repeat_of_an_answered_join_is_ignored_but_a_new_one_counts() -> None:
    a = entry("a", at=1)
    state = TrainState().joined(a, 1).departed(a, left(a, "held"), 2)
    assert state.queue == ()
    assert state.joined(a, 3) == state
    assert state.joined(a.but(entered_at_ms=4), 4).position("a", 1) == 1


def test_who_waits_is_found_and_who_left_is_remembered() -> None:
    a, b = entry("a"), entry("b")
    state = TrainState().joined(a, 1).joined(b, 1)
    assert state.find("b", 1) == b
    assert state.find("b", 2) is None
    gone = state.departed(a, left(a, "left"), 2)
    assert (gone.has_left("a", 1), gone.has_left("b", 1), gone.has_left("c", 1)) == (
        True, False, False,
    )  # fmt: skip
    assert not gone.joined(a.but(entered_at_ms=9), 3).has_left("a", 1)


def test_each_departure_keeps_its_reason_and_a_merge_moves_the_branch() -> None:
    a, b = entry("a"), entry("b")
    state = TrainState().joined(a, 1).joined(b, 1)
    state = state.departed(a, left(a, "merged"), 7).departed(b, left(b, "left"), 9)
    assert (state.merged, state.moved_at_ms) == (1, 7)
    assert [(d.key, d.status, d.reason) for d in state.departures] == [
        ("a", "merged", "why | <so>"),
        ("b", "left", "why | <so>"),
    ]


def test_only_the_last_departures_are_kept() -> None:
    state = TrainState()
    for number in range(60):
        who = entry(f"k{number}")
        state = state.departed(who, left(who, "left"), 0)
    assert len(state.departures) == 50


def test_a_batch_has_equal_gates_and_at_most_five_entries() -> None:
    same = tuple(entry(f"k{n}") for n in range(7))
    assert next_batch(same, base_moves=True) == same[:5]
    assert next_batch(same, base_moves=False) == same[:1]
    mixed = (same[0], entry("other", gates="h"), same[1])
    assert next_batch(mixed, base_moves=True) == same[:1]
    assert next_batch((), base_moves=True) == ()


def test_a_held_gate_counts_only_when_it_is_news() -> None:
    held, green = result("x", Verdict.HELD), result("y", Verdict.PASSED)
    known = entry("a", gate_results=(held,))
    assert verdict((known,), (held, green)) is Verdict.PASSED
    assert verdict((known, entry("b")), (held, green)) is Verdict.HELD
    assert verdict((known,), (held, result("y", Verdict.FAILED))) is Verdict.FAILED
    assert verdict((known,), ()) is Verdict.PASSED


def test_why_red_names_each_gate_that_is_not_green() -> None:
    results = (result("x", Verdict.FAILED), result("y", Verdict.PASSED), result("z", Verdict.HELD))
    assert why_red(results) == "x failed: because x; z held: because z"


@given(st.integers(1, 40), st.data())
def test_the_search_finds_the_first_culprit_with_few_probes(size: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(0, size - 1))
    search, probes = Search(red=size), 0
    while not search.found:
        assert search.green < search.probe < search.red
        search, probes = search.seen(search.probe, failed=search.probe > culprit), probes + 1
    assert search.culprit == culprit
    assert probes <= (size - 1).bit_length()


def test_the_details_show_queue_and_reasons() -> None:
    who = entry("a")
    state = TrainState().departed(who, left(who, "red").but(reason="long " * 100), 1)
    state = state.departed(who, left(who, "left"), 1)
    view = TrainView(
        waiting=("b/1",), riding=("c/1",), doing="judging", departures=state.departures,
        merged=3, still_for_ms=5,
    )  # fmt: skip
    text = markdown(view)
    assert "**judging**, 3 merged" in text
    assert "Riding: `c/1`" in text
    assert "1. `b/1`" in text
    assert "| a/1 | left | why \\| &lt;so> |" in text
    assert "…" in text
    empty = view.but(waiting=(), riding=(), departures=())
    assert markdown(empty) == "**judging**, 3 merged"
