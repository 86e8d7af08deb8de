"""Traffic: what the customers of the sample service ask for, and when; the same for each seed."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

CLIENTS = 200
EXACT = 5  # every fifth customer has scales that tell single grams; the others tell tens of them
_RECEIPTS = 0.15  # of all requests
_ABROAD = 0.25  # of all prices
_HEAVIEST = 30_000


class Ask(NamedTuple):
    """One request, and how many seconds after the one before it comes."""

    gap: float
    client: str
    path: str


def asks(seed: int, rate: float) -> Iterator[Ask]:
    """Yield requests without end, `rate` per second on average; they come as people do (Poisson).

    Parcels are mostly light: their weights fall off exponentially.
    """
    random = Random(seed)
    while True:
        number = random.randrange(CLIENTS)
        gap = random.expovariate(rate)
        yield Ask(gap, _address(number), _path(random, _grams(random, number)))


def _address(number: int) -> str:
    """Return an address of the network that is meant for examples (RFC 5737)."""
    return f"198.51.100.{number + 1}"


def _grams(random: Random, number: int) -> int:
    grams = min(_HEAVIEST, 100 + int(random.expovariate(1 / 3_000)))
    tens = grams - grams % 10
    if number % EXACT:
        return tens
    return min(tens + random.randrange(1, 10), _HEAVIEST - 1)


def _path(random: Random, grams: int) -> str:
    if random.random() < _RECEIPTS:
        return f"/receipt?grams={grams}&pieces={random.randint(1, 4)}"
    zone = f"&zone={random.randint(1, 3)}" if random.random() < _ABROAD else ""
    return f"/price?grams={grams}{zone}"
