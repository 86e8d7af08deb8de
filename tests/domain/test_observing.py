"""Two looks at counters become a tick."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.deployment import BUCKETS_MS, FULL, Counts, Instance, Observation
from domain.observing import answered, as_past, past_of, tick_between
from domain.tick import Side, Tick
from tests.domain.ticks import setup

EDGE = 10  # index of the limit of slow answers
SETUP = setup(slow_ms=BUCKETS_MS[EDGE])


def histogram(fast: int = 0, at_limit: int = 0, slow: int = 0) -> tuple[int, ...]:
    """Return answers by bucket; one at the limit is not slow."""
    buckets = [0] * (len(BUCKETS_MS) + 1)
    buckets[0], buckets[EDGE], buckets[EDGE + 1] = fast, at_limit, slow
    return tuple(buckets)


def look(*counts: Counts, at_ms: int = 0, **more: Any) -> Observation:
    return Observation(target="t", at_ms=at_ms, generation=3, counts=counts, **more)


def between(before: Observation | None, after: Observation, **more: Any) -> Tick:
    told: dict[str, Any] = {"step": 1, "seq": 2, "weight": 500, "setup": SETUP} | more
    return tick_between(before, after, rollout="new", **told)


def counts(instance: str, **more: Any) -> Counts:
    return Counts(instance=instance, epoch="a", **more)


def test_a_tick_has_what_happened_between_two_looks() -> None:
    before = look(
        counts("old.0", started=100, done={"2xx": 90, "5xx": 10}, bad_clients=4),
        counts("new.0", started=10, done={"2xx": 10}),
        at_ms=1_000,
    )
    after = look(
        counts("old.0", started=190, done={"2xx": 170, "5xx": 14}, bad_clients=6),
        counts("new.0", started=20, done={"2xx": 13, "5xx": 4, "4xx": 2}, bad_clients=1),
        at_ms=3_000,
    )

    tick = between(before, after)

    assert tick.control == Side(started=90, done=84, error=2, errors=4)
    assert tick.canary == Side(started=10, done=9, error=1, errors=4)
    assert (tick.step, tick.seq, tick.weight, tick.generation) == (1, 2, 500, 3)
    assert (tick.at_ms, tick.ms) == (3_000, 2_000)
    assert Observation.model_validate_json(tick.cursor) == after


def test_what_another_instance_took_speaks_only_against_the_new_release() -> None:
    told: dict[str, Any] = {"started": 50, "done": {"2xx": 9, "5xx": 1, "connect": 40}}
    away = {"passed_on": 38, "bad_clients": 41}

    tick = between(look(), look(counts("old.0", **told, **away), counts("new.0", **told, **away)))

    assert tick.control == Side(started=50, done=12, error=3, errors=3)
    assert tick.canary == Side(started=50, done=50, error=41, errors=41)


def test_what_was_passed_on_is_no_error_where_none_would_have_been() -> None:
    blind = SETUP.but(errors=("5xx",))
    away = counts("old.0", started=5, done={"5xx": 1, "connect": 4}, passed_on=4)

    tick = between(look(), look(away), setup=blind)

    assert tick.control == Side(started=5, done=1, error=1, errors=1)


def test_the_first_look_opens_a_step_at_zero() -> None:
    tick = between(None, look(counts("new.0", started=7, done={"5xx": 7}), at_ms=5_000))

    assert (tick.control, tick.canary, tick.ms, tick.at_ms) == (Side(), Side(), 0, 5_000)


def test_instances_of_one_side_are_added() -> None:
    after = look(*(counts(f"new.{at}", started=2, done={"2xx": 1}) for at in range(3)))

    assert between(look(), after).canary == Side(started=6, done=3)


def test_a_counter_that_began_anew_counts_from_zero() -> None:
    before = look(counts("new.0", started=100, done={"2xx": 100}))
    after = look(Counts(instance="new.0", epoch="b", started=5, done={"2xx": 5}))

    assert between(before, after).canary == Side(started=5, done=5)


def test_an_instance_that_is_gone_adds_nothing() -> None:
    before = look(counts("new.0", started=100), counts("new.1", started=9, done={"2xx": 9}))

    assert between(before, look(counts("new.1", started=9, done={"2xx": 9}))).canary == Side()


def test_a_clock_that_steps_back_gives_a_tick_without_length() -> None:
    assert between(look(at_ms=9_000), look(at_ms=2_000)).ms == 0


def test_clients_that_went_away_got_no_answer() -> None:
    after = look(counts("new.0", started=5, done={"2xx": 3, "aborted": 2}))

    assert between(look(), after).canary == Side(started=5, done=3)


def test_a_driver_that_knows_no_clients_counts_each_answer() -> None:
    after = look(counts("new.0", started=5, done={"2xx": 2, "5xx": 3}))

    assert between(look(), after).canary.error == 3


def test_classes_that_are_not_counted_by_client_count_each() -> None:
    strict = SETUP.but(errors=("4xx", "5xx"))
    after = look(counts("new.0", done={"4xx": 5, "5xx": 3}, bad_clients=1))

    side = between(look(), after, setup=strict).canary

    assert (side.error, side.errors) == (6, 8)


def test_a_client_counts_no_more_often_than_the_chosen_classes() -> None:
    narrow = SETUP.but(errors=("5xx",))
    after = look(counts("new.0", done={"5xx": 1, "connect": 9}, bad_clients=7))

    assert between(look(), after, setup=narrow).canary.error == 1


def test_answers_above_the_limit_are_slow() -> None:
    after = look(counts("new.0", started=9, done={"2xx": 9}, histogram=histogram(2, 3, 4)))

    side = between(look(), after).canary

    assert (side.slow, side.timed) == (4, 9)


def test_a_request_is_slow_once_when_it_becomes_known() -> None:
    hanging = look(counts("new.0", started=5, overdue=5, histogram=histogram()))
    answered = look(counts("new.0", started=5, done={"2xx": 5}, histogram=histogram(0, 0, 5)))

    first, second = between(look(), hanging).canary, between(hanging, answered).canary

    assert (first.slow, first.timed, first.done) == (5, 5, 0)
    assert (second.slow, second.timed, second.done) == (0, 0, 5)


def test_without_a_limit_or_a_histogram_nothing_is_slow() -> None:
    timed = look(counts("new.0", done={"2xx": 4}, histogram=histogram(0, 0, 4), overdue=1))
    blind = look(counts("new.0", done={"2xx": 4}, overdue=1))

    for after, chosen in ((timed, setup()), (blind, SETUP)):
        side = between(look(), after, setup=chosen).canary
        assert (side.slow, side.timed) == (0, 0)


def instance(name: str, **more: Any) -> Instance:
    return Instance(instance=name, target="t", digest="d", **more)


def test_the_worst_probe_of_the_new_release_counts() -> None:
    seen = look(
        instances=(
            instance("new.0", failures=1),
            instance("new.1", failures=2),
            instance("old.0", failures=9, state="crash_loop"),
        )
    )

    tick = between(look(), seen, metrics={"cpu": (1.0, 2.0)})

    assert (tick.down, tick.crash_loop, tick.metrics) == (2, False, {"cpu": (1.0, 2.0)})


def test_whoever_calls_an_instance_down_is_believed() -> None:
    tick = between(look(), look(instances=(instance("new.0", state="down"),)))

    assert tick.down == SETUP.probe_failures


def test_a_crash_loop_is_told() -> None:
    assert between(look(), look(instances=(instance("new.0", state="crash_loop"),))).crash_loop


numbers = st.integers(0, 1_000)
any_counts = st.builds(
    Counts,
    instance=st.sampled_from(["new.0", "new.1", "old.0", "old.1"]),
    epoch=st.sampled_from(["a", "b"]),
    started=numbers,
    done=st.dictionaries(st.sampled_from(["2xx", "4xx", "5xx", "reset", "aborted"]), numbers),
    bad_clients=numbers,
    histogram=st.builds(histogram, numbers, numbers, numbers) | st.just(()),
    overdue=numbers,
)
any_look = st.builds(
    lambda counts, at: look(*counts, at_ms=at),
    st.lists(any_counts, max_size=4, unique_by=lambda counts: counts.instance),
    st.integers(0, 10_000),
)


@settings(max_examples=200, deadline=None)
@given(any_look, any_look, st.sampled_from([("5xx",), ("4xx", "5xx", "reset")]))
def test_no_increase_is_negative_whatever_counters_do(
    before: Observation, after: Observation, errors: tuple[str, ...]
) -> None:
    tick = between(before, after, setup=SETUP.but(errors=errors))

    for side in (tick.control, tick.canary):
        assert min(dict(side).values()) >= 0
        assert side.error <= side.errors
    assert tick.ms >= 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(numbers, min_size=6, max_size=6), min_size=1, max_size=6))
def test_ticks_add_up_to_what_was_counted(rises: list[list[int]]) -> None:
    looks, sums = [look()], [0] * 6
    for rise in rises:
        sums = [a + b for a, b in zip(sums, rise, strict=True)]
        good, bad, clients, fast, slow, waiting = sums
        looks.append(
            look(
                counts(
                    "new.0",
                    started=good + bad + waiting,
                    done={"2xx": good, "5xx": bad},
                    bad_clients=clients,
                    histogram=histogram(fast, 0, slow),
                )
            )
        )
    ticks = [between(a, b) for a, b in pairwise(looks)]

    assert sum(tick.canary.done for tick in ticks) == sums[0] + sums[1]
    assert sum(tick.canary.errors for tick in ticks) == sums[1]
    assert sum(tick.canary.slow for tick in ticks) == sums[4]
    assert sum(tick.canary.timed for tick in ticks) == sums[3] + sums[4]


def test_what_a_release_did_alone_is_a_control_of_the_past():
    alone = Side(started=9, done=9, error=1, errors=1)
    ticks = (
        Tick(rollout="R", step=0, seq=1, at_ms=1, ms=1, weight=2_000, canary=alone, control=alone),
        Tick(rollout="R", step=2, seq=0, at_ms=2, ms=0, weight=FULL),  # opens the step
        Tick(rollout="R", step=2, seq=1, at_ms=3, ms=1, weight=FULL, canary=alone),
    )
    (past,) = as_past(ticks)

    assert (past.control, past.canary, past.weight) == (alone, Side(), 0)


def _switch() -> Tick:
    """The look that opens a bake: all that each instance has answered so far."""
    before = counts("old.0", started=70, done={"2xx": 66, "5xx": 4}, bad_clients=2)
    others = counts("older.0", done={"2xx": 900}), counts("new.0", done={"2xx": 5})
    return between(None, look(before, *others, at_ms=9))


def _alone(done: int) -> tuple[Tick, ...]:
    side = Side(started=done, done=done)
    return (Tick(rollout="old", step=2, seq=1, at_ms=3, ms=1, weight=FULL, canary=side),)


def test_the_past_of_a_release_is_its_own_bake_where_that_had_traffic():
    past = past_of("old", _alone(50), (_switch(),), SETUP)

    assert past == as_past(_alone(50))


def test_the_past_of_a_release_without_users_at_first_is_all_that_it_answered_since():
    (past,) = past_of("old", _alone(49), (_switch(),), SETUP)

    assert past.control == Side(started=70, done=70, error=2, errors=4)
    assert (past.canary, past.weight, past.at_ms) == (Side(), 0, 9)


def test_the_past_of_a_release_is_what_is_known_of_it():
    forgot = between(None, look(counts("old.0", done={"2xx": 3})))

    assert answered(past_of("old", _alone(49), (forgot,), SETUP)) == 49
    assert past_of("old", (), (), SETUP) == ()
