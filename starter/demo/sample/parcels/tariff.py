"""The tariff: prices by weight, in cents."""

STEPS = ((1_000, 499), (5_000, 799), (10_000, 1_099), (30_000, 1_899))


def calc(grams: int) -> int:
    """Return the price in cents of a parcel of this weight."""
    if grams <= 0:
        raise ValueError("a parcel weighs more than nothing")
    for limit, cents in STEPS:
        if grams <= limit:
            return cents
    raise ValueError("a parcel weighs at most 30 kg")
