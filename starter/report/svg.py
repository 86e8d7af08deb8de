"""Plots as inline SVG: lines, bands and rules over a common axis of time, without any script."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeVar

from markupsafe import Markup, escape

from starter.report.scale import Scale

WIDTH, HEIGHT = 960, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 46, 40
_GAP = 17  # between two numbered marks that would lie upon each other

Point = tuple[float, float | None]  # None: nothing is known here, the line is interrupted
Span = tuple[float, float | None, float | None]
T = TypeVar("T", bound=tuple[Any, ...])


def element(name: str, content: Iterable[str] = (), **attributes: object) -> Markup:
    """Return an element; texts and values are escaped unless they are markup already."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
    )
    inner = Markup("").join(escape(part) for part in content)
    return Markup(f"<{name}{told}>{inner}</{name}>")


def _short(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


class Plot:
    """One plot; what is added later lies above what was added before."""

    def __init__(self, x: Scale, y: Scale, *, x_name: str, y_name: str, about: str) -> None:
        """`about` says in one sentence what is seen, for those who do not see it."""
        self._x, self._y = x, y
        self._about = about
        self._parts: list[Markup] = [*self._grid(), *self._names(x_name, y_name)]

    def band(self, spans: Sequence[Span], kind: str) -> "Plot":
        """Add the area between two lines, as an interval."""
        for run in _runs(spans):
            there = [f"{self._place(x, high)}" for x, _, high in run]
            back = [f"{self._place(x, low)}" for x, low, _ in reversed(run)]
            self._draw("polygon", points=" ".join(there + back), class_=f"band {kind}")
        return self

    def line(self, points: Sequence[Point], kind: str) -> "Plot":
        """Add a line; a lonely point becomes a dot."""
        for run in _runs(points):
            if len(run) == 1:
                self._dot(run[0][0], run[0][1], kind)
            else:
                path = " ".join(self._place(x, y) for x, y in run)
                self._draw("polyline", points=path, class_=f"line {kind}")
        return self

    def steps(self, points: Sequence[tuple[float, float]], kind: str) -> "Plot":
        """Add an area below a value that holds until the next one."""
        if not points:
            return self
        path = [f"M{self._place(points[0][0], self._y.low)}"]
        for (x, y), (until, _) in zip(points, (*points[1:], points[-1]), strict=True):
            path += [f"L{self._place(x, y)}", f"L{self._place(until, y)}"]
        self._draw("path", d=" ".join(path), class_=f"edge {kind}")
        path.append(f"L{self._place(points[-1][0], self._y.low)}Z")
        self._draw("path", d=" ".join(path), class_=f"area {kind}")
        return self

    def dots(self, points: Sequence[tuple[float, float, str]], kind: str) -> "Plot":
        """Add dots that say something when they are pointed at."""
        for x, y, text in points:
            self._dot(x, y, kind, text)
        return self

    def rule_name(self, x: float, y: float, text: str, kind: str) -> "Plot":
        """Add the name of a limit, at its left end: above, or below where there is no room."""
        left, top = self._left(x) + 6, self._top(y)
        top = top - 6 if top - 6 > TOP + 8 else top + 15
        self._draw("text", (text,), x=left, y=top, class_=f"name {kind}")
        return self

    def label(self, x: float, y: float, text: str) -> "Plot":
        """Add a word beside a value."""
        left, top = self._left(x) + 5, self._top(y) - 5
        top = top if top > TOP + 6 else top + 20
        if left > WIDTH - RIGHT - 40:
            return self
        self._draw("text", (text,), x=left, y=top, class_="word")
        return self

    def marks(self, moments: Sequence[tuple[int, float, str]]) -> "Plot":
        """Add numbered vertical lines; numbers that would overlap move apart."""
        last = -_GAP * 1.0
        for number, x, text in moments:
            left = self._left(x)
            last = min(max(left, last + _GAP), WIDTH - 8.0)
            self._draw(
                "g",
                (
                    element("title", (text,)),
                    element("path", d=f"M{left:.1f} {HEIGHT - BOTTOM}V{TOP}L{last:.1f} {TOP - 9}"),
                    element("circle", cx=last, cy=TOP - 17.0, r=8),
                    element("text", (str(number),), x=last, y=TOP - 13.0),
                ),
                class_="mark",
            )
        return self

    def svg(self) -> Markup:
        """Return the plot."""
        return element(
            "svg",
            (element("title", (self._about,)), *self._parts),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            class_="plot",
        )

    def _grid(self) -> Iterable[Markup]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for tick in self._y.ticks:
            top = self._top(tick.value)
            yield element("path", d=f"M{LEFT} {top:.1f}H{right}", class_="grid")
            yield element("text", (tick.text,), x=LEFT - 8, y=top + 4, class_="tick y")
        for tick in self._x.ticks:
            left = self._left(tick.value)
            yield element("path", d=f"M{left:.1f} {bottom}v5", class_="axis")
            yield element("text", (tick.text,), x=left, y=bottom + 18, class_="tick x")
        yield element("path", d=f"M{LEFT} {bottom}H{right}", class_="axis")

    def _names(self, x_name: str, y_name: str) -> Iterable[Markup]:
        yield element("text", (x_name,), x=WIDTH - RIGHT, y=HEIGHT - 5, class_="name x")
        yield element("text", (y_name,), x=0, y=12, class_="name")

    def _dot(self, x: float, y: float | None, kind: str, text: str = "") -> None:
        if y is not None:
            title = (element("title", (text,)),) if text else ()
            self._draw(
                "circle", title, cx=self._left(x), cy=self._top(y), r=2.5, class_=f"dot {kind}"
            )

    def _draw(self, name: str, content: Iterable[str] = (), **attributes: object) -> None:
        self._parts.append(element(name, content, **attributes))

    def _place(self, x: float, y: float | None) -> str:
        return f"{self._left(x):.1f},{self._top(y or 0.0):.1f}"

    def _left(self, x: float) -> float:
        return LEFT + self._x.at(x) * (WIDTH - LEFT - RIGHT)

    def _top(self, y: float) -> float:
        return HEIGHT - BOTTOM - self._y.at(y) * (HEIGHT - TOP - BOTTOM)


def _runs(points: Sequence[T]) -> list[list[T]]:
    """Return the stretches of points without a gap."""
    return [list(run) for known, run in groupby(points, lambda p: None not in p) if known]
