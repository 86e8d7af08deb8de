"""One reading of a metric: what is asked for, what came, and why it cannot be used."""

import math
import re
from typing import NamedTuple

from domain.deployment import Instance
from domain.service import MetricSource

PLACEHOLDERS = ("instance", "address", "version", "sha")
_PLAIN = re.compile(r"[A-Za-z0-9._:@+/\[\]-]*")  # means itself in PromQL, in a URL, in a shell


class CannotRead(Exception):
    """Why there is no number, as the end of a sentence that begins with the metric's name."""


class Reading(NamedTuple):
    value: float
    unit: str = ""


def filled(text: str, instance: Instance) -> str:
    """Put an instance in for the placeholders of a query or an address.

    Raises `CannotRead` for a word, as a version may be, that would change what is asked.
    """
    for name in PLACEHOLDERS:
        word = str(getattr(instance, name))
        if f"{{{name}}}" in text and not _PLAIN.fullmatch(word):
            raise CannotRead(f"cannot ask for the {name} {word!r}: it is no plain word")
        text = text.replace(f"{{{name}}}", word)
    return text


def sound(value: object, unit: object = "") -> Reading:
    """Return a number that can be compared; raises `CannotRead` for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CannotRead(f"is no number but {str(value)[:80]!r}")
    try:
        number = float(value)
    except OverflowError as error:
        raise CannotRead("is a number too large to compare") from error
    if not math.isfinite(number):
        raise CannotRead(f"is {number}")
    if number < 0:
        raise CannotRead(f"is negative ({number:g}), and only ratios can be compared")
    if not isinstance(unit, str):
        raise CannotRead(f"has a unit that is no word: {str(unit)[:80]!r}")
    return Reading(number, unit)


def same_unit(source: MetricSource, readings: tuple[Reading, ...]) -> None:
    """Raise `CannotRead` where the unit is another than declared, or not the same everywhere."""
    units = sorted({reading.unit for reading in readings if reading.unit})
    if source.unit and any(unit != source.unit for unit in units):
        raise CannotRead(f"is in {', '.join(units)}, declared is {source.unit}")
    if len(units) > 1:
        raise CannotRead(f"is in {' and in '.join(units)}, so it cannot be compared")
