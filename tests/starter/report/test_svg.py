"""Plots as SVG: places, gaps, escaped words."""

from xml.etree import ElementTree

import pytest

from starter.report.scale import share_scale, time_scale
from starter.report.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Plot, element

FLOOR = HEIGHT - BOTTOM
SVG = ElementTree.Element


@pytest.fixture
def plot() -> Plot:
    return Plot(time_scale(10), share_scale(1), x_name="time, s", y_name="share, %", about="a plot")


def drawn(plot: Plot) -> SVG:
    return ElementTree.fromstring(plot.svg())


def of(svg: SVG, kind: str) -> list[SVG]:
    return [each for each in svg.iter() if kind in each.get("class", "").split()]


def test_axes_are_named_and_the_plot_says_what_it_is(plot: Plot):
    svg = drawn(plot)

    assert [each.text for each in of(svg, "name")] == ["time, s", "share, %"]
    assert svg.findtext("title") == "a plot"
    assert svg.get("role") == "img"
    assert [each.text for each in of(svg, "y")] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_values_lie_where_the_scale_puts_them(plot: Plot):
    plot.line([(0, 0), (10, 1)], "new")

    points = of(drawn(plot), "line")[0].get("points")

    assert points == f"{LEFT:.1f},{FLOOR:.1f} {WIDTH - RIGHT:.1f},{TOP:.1f}"


def test_a_gap_interrupts_a_line_and_a_lonely_value_is_a_dot(plot: Plot):
    plot.line([(0, 0.1), (1, 0.2), (2, None), (3, 0.4), (4, None), (5, 0.5), (6, 0.6)], "new")

    svg = drawn(plot)

    assert len(of(svg, "line")) == 2
    assert len(of(svg, "dot")) == 1


def test_a_band_goes_there_along_the_top_and_back_along_the_bottom(plot: Plot):
    plot.band([(0, 0, 1), (10, 0, 1)], "new").band([(0, None, None)], "old")

    svg = drawn(plot)

    left, right = f"{LEFT:.1f}", f"{WIDTH - RIGHT:.1f}"
    top, floor = f"{TOP:.1f}", f"{FLOOR:.1f}"
    corners = f"{left},{top} {right},{top} {right},{floor} {left},{floor}"
    assert of(svg, "band")[0].get("points") == corners
    assert len(of(svg, "band")) == 1


def test_a_value_holds_until_the_next_one(plot: Plot):
    plot.steps([(0, 0.5), (5, 1), (10, 1)], "new").steps([], "new")

    path = of(drawn(plot), "edge")[0].get("d")

    middle, right, half = LEFT + (WIDTH - LEFT - RIGHT) / 2, WIDTH - RIGHT, (FLOOR + TOP) / 2
    assert path == (
        f"M{LEFT:.1f},{FLOOR:.1f} L{LEFT:.1f},{half:.1f} L{middle:.1f},{half:.1f} "
        f"L{middle:.1f},{TOP:.1f} L{right:.1f},{TOP:.1f} L{right:.1f},{TOP:.1f} "
        f"L{right:.1f},{TOP:.1f}"
    )


def test_numbers_of_moments_that_lie_together_move_apart(plot: Plot):
    plot.marks([(1, 5.0, "decided"), (2, 5.01, "traffic back"), (3, 9.0, "verified")])

    svg = drawn(plot)
    circles = [float(each.get("cx", "")) for each in svg.iter() if each.tag.endswith("circle")]

    assert circles[1] - circles[0] == pytest.approx(17)
    assert circles[2] - circles[1] > 100
    assert [group.findtext("title") for group in of(svg, "mark")] == [
        "decided", "traffic back", "verified",
    ]  # fmt: skip


def test_a_name_stands_above_its_limit_or_below_where_there_is_no_room(plot: Plot):
    plot.rule_name(0, 0.5, "half", "limit").rule_name(0, 1, "all", "limit")
    half, all_ = of(drawn(plot), "limit")

    assert float(half.get("y", "")) < (FLOOR + TOP) / 2
    assert float(all_.get("y", "")) > TOP


def test_a_word_that_would_leave_the_plot_is_left_out(plot: Plot):
    plot.label(0, 1, "100 %").label(9.9, 0.5, "50 %")

    words = of(drawn(plot), "word")

    assert [each.text for each in words] == ["100 %"]
    assert float(words[0].get("y", "")) > TOP


def test_texts_and_values_of_others_are_escaped():
    told = element("text", ("<script>&",), title='"><b>')

    assert told == '<text title="&#34;&gt;&lt;b&gt;">&lt;script&gt;&amp;</text>'
