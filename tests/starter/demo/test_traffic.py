"""What customers ask for: the same for each seed, and such that the third idea hurts a fifth."""

from itertools import islice
from urllib.parse import parse_qs, urlsplit

from starter.demo.traffic import CLIENTS, Ask, asks

MANY = 20_000


def grams(ask: Ask) -> int:
    return int(parse_qs(urlsplit(ask.path).query)["grams"][0])


def test_a_seed_always_asks_the_same():
    first, again, other = (list(islice(asks(seed, 150), 50)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_requests_come_at_the_rate_on_average():
    seconds = sum(ask.gap for ask in islice(asks(1, 150), MANY))

    assert 0.97 < MANY / 150 / seconds < 1.03


def test_a_fifth_of_the_weights_is_between_two_rows_of_the_table():
    exact = sum(grams(ask) % 10 > 0 for ask in islice(asks(1, 150), MANY))

    assert 0.19 < exact / MANY < 0.21


def test_every_weight_is_one_that_has_a_price():
    weights = [grams(ask) for ask in islice(asks(1, 150), MANY)]

    assert min(weights) >= 100
    assert max(weights) <= 30_000


def test_all_customers_ask():
    assert len({ask.client for ask in islice(asks(1, 150), MANY)}) == CLIENTS
