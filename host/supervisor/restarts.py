"""Restarts: how long to wait before the next one, and when to give up."""

import random

WINDOW = 600.0  # seconds: restarts within it count, and that long in health forgets them
LONGEST = 60.0  # seconds between two restarts
CONFIG_ERROR = 78  # EX_CONFIG of sysexits(3): another try will not help


def recent(times: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return the restarts of the last ten minutes."""
    return tuple(at for at in times if now - at < WINDOW)


def pause(tries: int, spread: float) -> float:
    """Return the seconds before a restart; `spread` is 0 to 1, by chance.

    The first is at once, then min(60, 2^n) seconds, a fifth more or less, so that instances
    which died together do not come back together.
    """
    if tries == 0:
        return 0.0
    return min(LONGEST, 2.0 ** min(tries - 1, 10)) * (0.8 + 0.4 * spread)


def chance() -> float:
    return random.random()
