"""ULIDs: ids that sort by time (github.com/ulid/spec)."""

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32


def ulid(at_ms: int, random: int) -> str:
    """Return the ULID of a time in milliseconds since the epoch and 80 random bits."""
    number = (at_ms << 80) | (random & ((1 << 80) - 1))
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


def ulid_ms(text: str) -> int:
    """Return the time of a ULID in milliseconds since the epoch; raises ValueError for others."""
    if len(text) != 26 or not set(text) <= set(_DIGITS):
        raise ValueError(f"{text!r} is no ULID")
    number = 0
    for digit in text[:10]:
        number = number << 5 | _DIGITS.index(digit)
    return number
