"""How long a step was watched."""

from domain.tick import LONGEST, Tick, watched_ms


def tick(seq: int, ms: int) -> Tick:
    return Tick(rollout="r", step=0, seq=seq, at_ms=1_000 * seq, ms=ms, weight=500)


def test_a_step_was_watched_for_as_long_as_its_ticks():
    assert watched_ms((tick(0, 0), tick(1, 2_000), tick(2, 2_100)), 2) == 4_100


def test_a_tick_in_which_nobody_looked_counts_as_a_few():
    away = tick(1, 3_600_000)

    assert watched_ms((tick(0, 0), away, tick(2, 2_000)), 2) == LONGEST * 2_000 + 2_000


def test_nothing_was_watched_before_the_first_tick():
    assert watched_ms((), 2) == 0
