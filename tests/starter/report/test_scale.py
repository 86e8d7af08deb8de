"""Axes: round numbers, units that fit, places between 0 and 1."""

import math

import pytest

from starter.report.scale import (
    Scale,
    milliseconds_scale,
    number_scale,
    power_scale,
    power_text,
    share_scale,
    time_scale,
)


def texts(scale: Scale) -> list[str]:
    return [tick.text for tick in scale.ticks]


@pytest.mark.parametrize(
    ("seconds", "unit", "ticks"),
    [
        (0, "s", ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (6, "s", ["0", "1", "2", "3", "4", "5", "6"]),
        (100, "s", ["0", "15", "30", "45", "60", "75", "90"]),
        (1_270, "min", ["0", "5", "10", "15", "20"]),
        (3 * 3_600, "min", ["0", "30", "60", "90", "120", "150", "180"]),
        (10 * 3_600, "h", ["0", "2", "4", "6", "8", "10"]),
        (7 * 86_400, "days", ["0", "1", "2", "3", "4", "5", "6", "7"]),
    ],
)
def test_time_has_the_unit_that_fits_and_at_most_nine_numbers(
    seconds: float, unit: str, ticks: list[str]
):
    scale = time_scale(seconds)

    assert (scale.unit, texts(scale)) == (unit, ticks)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (1, ["0 %", "25 %", "50 %", "75 %", "100 %"]),
        (0.056, ["0 %", "2 %", "4 %", "6 %"]),
        (0.0, ["0 %", "0.025 %", "0.05 %", "0.075 %", "0.1 %"]),
    ],
)
def test_shares_begin_at_nothing_and_reach_beyond_the_largest(most: float, ticks: list[str]):
    scale = share_scale(most)

    assert texts(scale) == ticks
    assert (scale.low, scale.high >= most) == (0, True)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (25, 37, ["25", "30", "35", "40"]),
        (3, 40, ["0", "10", "20", "30", "40"]),
        (5, 5, ["4", "6"]),
        (0, 0, ["0", "0.25"]),
        (-3, 5, ["-4", "-2", "0", "2", "4", "6"]),
    ],
)
def test_plain_numbers_are_held_between_round_ones(low: float, high: float, ticks: list[str]):
    scale = number_scale(low, high)

    assert texts(scale) == ticks
    assert scale.low <= low <= high <= scale.high


def test_powers_of_ten_have_few_ticks_however_large_they_are():
    small, large = power_scale(-0.3, 2.5), power_scale(-0.3, 41)

    assert texts(small) == ["1", "10", "100", "1,000"]
    assert small.low == -0.3
    assert texts(large) == ["1", "10⁷", "10¹⁴", "10²¹", "10²⁸", "10³⁵", "10⁴²"]


@pytest.mark.parametrize(
    ("exponent", "text"),
    [(0, "1"), (4, "10,000"), (5, "10⁵"), (-2, "0.01"), (-5, "10⁻⁵"), (12, "10¹²")],
)
def test_powers_are_written_as_people_write_them(exponent: int, text: str):
    assert power_text(exponent) == text


def test_durations_are_logarithmic_with_ones_twos_and_fives():
    near, far = milliseconds_scale(18, 90), milliseconds_scale(0.5, 4_000)

    assert texts(near) == ["10", "20", "50", "100"]
    assert texts(far) == ["0.1", "1", "10", "100", "1,000", "10,000"]
    assert near.at(math.log10(10)) == 0
    assert near.at(math.log10(100)) == 1


def test_what_lies_outside_is_drawn_at_the_border():
    scale = Scale(0, 10, ())

    assert [scale.at(each) for each in (-1, 0, 5, 11, math.nan)] == [0, 0, 0.5, 1, 0]
    assert Scale(3, 3, ()).at(3) == 0
