"""Quotes: what a customer is told."""

from parcels.tariff import calc


def quote(grams: int, pieces: int = 1) -> dict:
    """Return the offer for some parcels of the same weight."""
    if pieces < 1:
        raise ValueError("a quote is for one parcel or more")
    each = calc(grams)
    return {"grams": grams, "pieces": pieces, "each": each, "total": each * pieces}


def receipt(grams: int, pieces: int = 1) -> str:
    """Return the offer as a line of text."""
    offer = quote(grams, pieces)
    return f"{offer['pieces']} x {offer['each'] / 100:.2f} EUR = {offer['total'] / 100:.2f} EUR"
