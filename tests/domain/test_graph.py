"""The task graph: what may start, in which order, whatever ends first."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Rejected
from domain.graph import TaskGraph, cycle, topological
from domain.plan import SkeletonTask


def task(id: str, *needs: str, weight: int = 1) -> SkeletonTask:
    return SkeletonTask(id=id, title=id, needs=needs, weight=weight)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[SkeletonTask, ...]:
    size = draw(st.integers(1, 12))
    names = draw(st.permutations([f"t{at}" for at in range(size)]))
    tasks = []
    for at, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else []
        tasks.append(task(name, *needs, weight=draw(st.integers(1, 5))))
    return tuple(draw(st.permutations(tasks)))


def test_what_needs_nothing_is_ready_longest_remaining_path_first() -> None:
    graph = TaskGraph(
        (task("short"), task("long"), task("after", "long", weight=5), task("also", weight=6))
    )

    assert graph.ready() == ("also", "long", "short")


def test_a_task_becomes_ready_when_all_its_needs_are_finished() -> None:
    graph = TaskGraph((task("a"), task("b"), task("c", "a", "b")))
    graph.start("a")
    graph.start("b")
    assert graph.ready() == ()
    assert graph.blocked() == (("c", ("a", "b")),)

    graph.finish("a")
    assert graph.blocked() == (("c", ("b",)),)
    graph.finish("b")

    assert graph.ready() == ("c",)
    assert graph.blocked() == ()
    assert not graph.is_done()
    graph.start("c")
    graph.finish("c")
    assert graph.is_done()


def test_a_failed_task_can_start_again() -> None:
    graph = TaskGraph((task("a"), task("b", "a")))
    graph.start("a")

    graph.reopen("a")

    assert graph.ready() == ("a",)


def test_skipping_gives_up_all_that_needs_it() -> None:
    graph = TaskGraph(
        (task("a"), task("z", "a"), task("c", "z", "other"), task("d", "c"), task("other"))
    )
    graph.start("a")

    assert graph.skip("a") == ("a", "z", "c", "d")
    assert graph.ready() == ("other",)
    graph.start("other")
    graph.finish("other")
    assert graph.is_done()


def test_skipping_passes_over_what_is_skipped_already() -> None:
    graph = TaskGraph((task("a"), task("b", "a"), task("c", "a", "b")))

    assert graph.skip("b") == ("b", "c")
    assert graph.skip("a") == ("a",)


def test_a_skipped_task_does_not_come_back_when_its_needs_are_finished() -> None:
    graph = TaskGraph((task("a"), task("b", "a")))
    graph.skip("b")
    graph.start("a")
    graph.finish("a")

    assert graph.ready() == ()
    assert graph.is_done()


@pytest.mark.parametrize("verb", ["start", "finish", "reopen", "skip"])
def test_refuses_steps_that_make_no_sense(verb: str) -> None:
    graph = TaskGraph((task("a"), task("b", "a")))
    graph.start("a")
    graph.finish("a")

    for name in ("a", "nobody"):
        with pytest.raises(Rejected, match=f"cannot {verb}"):
            getattr(graph, verb)(name)


@pytest.mark.parametrize(
    ("tasks", "code"),
    [
        ((task("a"), task("a")), "duplicate_task"),
        ((task("a", "b"),), "unknown_task"),
        ((task("a", "a"),), "cyclic"),
        ((task("a", "b"), task("b", "c"), task("c", "a"), task("d")), "cyclic"),
    ],
)
def test_refuses_what_is_no_graph(tasks: tuple[SkeletonTask, ...], code: str) -> None:
    with pytest.raises(Rejected) as caught:
        TaskGraph(tasks)

    assert caught.value.problem.code == code


def test_spells_one_cycle() -> None:
    needs = {"x": ("a",), "a": ("b",), "b": ("c", "free"), "c": ("a",), "free": ()}

    assert cycle(needs) == "a -> b -> c -> a"
    assert cycle({"a": (), "b": ("a",)}) == ""


def test_orders_by_needs_and_else_as_given() -> None:
    needs: dict[str, tuple[str, ...]] = {"z": (), "y": ("a",), "a": (), "b": ("z",)}

    assert topological(needs) == ("z", "a", "y", "b")


@settings(deadline=None)
@given(graphs(), st.data())
def test_any_order_of_completion_is_legal_and_repeatable(
    tasks: tuple[SkeletonTask, ...], data: st.DataObject
) -> None:
    """Run with random ends and failures; a twin that hears the same must answer the same."""
    graph, twin = TaskGraph(tasks), TaskGraph(tuple(reversed(tasks)))
    needs = {each.id: set(each.needs) for each in tasks}
    running: list[str] = []
    finished: set[str] = set()
    skipped: set[str] = set()
    while not graph.is_done():
        ready = graph.ready()
        assert ready == twin.ready()
        assert all(needs[name] <= finished for name in ready)
        assert set(ready).isdisjoint(skipped | finished | set(running))
        if ready and (not running or data.draw(st.booleans())):
            graph.start(ready[0])
            twin.start(ready[0])
            running.append(ready[0])
            continue
        name = running.pop(data.draw(st.integers(0, len(running) - 1)))
        verb = data.draw(st.sampled_from(["finish", "finish", "reopen", "skip"]))
        assert getattr(graph, verb)(name) == getattr(twin, verb)(name)
        if verb == "finish":
            finished.add(name)
        if verb == "skip":
            skipped = {each for each in needs if each not in finished} - set(graph.ready())
            skipped -= set(running) | {each for each, _ in graph.blocked()}

    assert finished | skipped == set(needs)


@settings(deadline=None)
@given(graphs())
def test_the_first_is_on_a_longest_remaining_path(tasks: tuple[SkeletonTask, ...]) -> None:
    weight = {each.id: each.weight for each in tasks}
    followers = {name: [each.id for each in tasks if name in each.needs] for name in weight}

    def rest(name: str) -> int:
        return weight[name] + max((rest(each) for each in followers[name]), default=0)

    ready = TaskGraph(tasks).ready()
    assert list(ready) == sorted(ready, key=lambda name: (-rest(name), name))


def test_a_thousand_tasks_take_little_time() -> None:
    tasks = tuple(
        task(f"t{at:04}", *(f"t{need:04}" for need in range(max(0, at - 10), at - 5)))
        for at in range(1_000)
    )
    before = time.process_time()

    graph = TaskGraph(tasks)
    while ready := graph.ready():
        graph.start(ready[0])
        graph.finish(ready[0])

    assert graph.is_done()
    assert time.process_time() - before < 0.5  # 0.03 s on an idle machine
