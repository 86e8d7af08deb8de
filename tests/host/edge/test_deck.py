"""The deck holds each share closely, in an order that nobody can foresee."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from host.edge.deck import Deck

WEIGHTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=8).filter(any)


@given(WEIGHTS, st.integers(0, 2**32), st.integers(1, 2_000))
def test_every_share_is_right_to_within_a_deck(weights: list[int], seed: int, draws: int):
    deck = Deck(weights, Random(seed))
    seen = [0] * len(weights)

    for _ in range(draws):
        seen[deck.draw()] += 1

    for count, weight in zip(seen, weights, strict=True):
        share = weight / sum(weights)
        slack = 3 + 100 * min(share, 1 - share)  # at most one deck is dealt in part
        assert abs(count - draws * share) <= slack
        assert weight or not count


def test_the_smallest_share_comes_neither_early_nor_late():
    first = []
    for seed in range(300):
        deck = Deck((9_990, 10), Random(seed))
        first.append(next(at for at in range(3_000) if deck.draw() == 1))

    assert 400 < sum(first) / len(first) < 600  # uniform over the thousand of its share


def test_no_pace_meets_one_side_more_often():
    for pace in range(2, 12):
        deck = Deck((8_000, 2_000), Random(pace))
        drawn = [deck.draw() for _ in range(pace * 2_000)]
        for phase in range(pace):
            share = sum(drawn[phase::pace]) / 2_000
            assert abs(share - 0.2) < 0.04
