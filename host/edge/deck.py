"""Deck: choose by weight so that the shares are right, and nobody can tell who is next."""

from collections.abc import Sequence
from random import Random

CARDS = 100  # of a deck, on average


class Deck:
    """Deals indexes of `weights`; any hundred draws in a row hold each share to about a card.

    Within a deck the order is random, so no client that comes at a regular pace meets one side
    more often. What a share owes in fractions of a card is carried into the next deck, from a
    random beginning, so that the smallest weights come neither early nor late.
    """

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        """`weights` are basis points or any other whole numbers; one of them is positive."""
        self._unit = sum(weights)
        self._weights = tuple(weights)
        self._random = random
        self._owed = [random.randrange(self._unit) if weight else 0 for weight in weights]
        self._cards: list[int] = []

    def draw(self) -> int:
        """Return an index: one of the cards that are left, each as likely as the others."""
        cards = self._cards
        while not cards:
            self._deal()
        at = int(self._random.random() * len(cards))
        card, cards[at] = cards[at], cards[-1]
        cards.pop()
        return card

    def _deal(self) -> None:
        for index, weight in enumerate(self._weights):
            whole, self._owed[index] = divmod(self._owed[index] + weight * CARDS, self._unit)
            self._cards += [index] * whole
