"""What traffic was lately."""

import pytest

from domain.tick import Side
from domain.traffic import recent_traffic
from tests.rollouts import tick


def test_counts_both_sides_and_takes_the_share_of_the_control():
    ticks = (
        tick(0, control=Side(started=400, done=400, error=3), canary=Side(started=100, done=100)),
        tick(1, control=Side(started=399, done=399, error=0), canary=Side(started=101, done=99)),
    )

    rps, base = recent_traffic(ticks)

    assert rps == pytest.approx(1_000 / 20)
    assert base == pytest.approx(3.5 / 800)


def test_what_is_more_than_a_day_older_than_the_newest_is_no_news():
    old = tick(0, at_ms=1_000, control=Side(started=10**6, done=10**6, error=10**6))
    new = tick(1, at_ms=1_000 + 86_400_000, control=Side(started=9, done=9), canary=Side())

    assert recent_traffic((old, new)) == (0.9, 0.05)


def test_without_a_control_the_release_itself_is_the_base():
    alone = tick(control=Side(), canary=Side(started=20, done=19, error=1))

    assert recent_traffic((alone,)) == (2.0, 0.075)


@pytest.mark.parametrize(
    "ticks",
    [(), (tick(ms=0),), (tick(control=Side(started=3), canary=Side(started=1)),)],
)
def test_nothing_is_known_without_time_or_answers(ticks):
    assert recent_traffic(ticks) == (0.0, 0.0)
