"""The plots of a report: traffic, errors, evidence, latency and metrics over one axis of time."""

import math
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from domain.deployment import BUCKETS_MS, FULL
from domain.tick import Side, Tick
from domain.verdict import JudgeSetup
from starter.report.bins import Bin, bins, interval, latencies, quantile, share
from starter.report.evidence import Trace
from starter.report.scale import (
    Scale,
    milliseconds_scale,
    number_scale,
    power_scale,
    power_text,
    share_scale,
    time_scale,
)
from starter.report.story import Event, anchor_of, name_of
from starter.report.svg import Plot
from starter.report.view import ReportView

Key = tuple[str, str]  # style, words


@dataclass(frozen=True)
class Figure:
    """A plot with the words around it."""

    title: str
    about: str
    keys: tuple[Key, ...] = ()
    svg: Markup | None = None


def figures(
    view: ReportView, events: tuple[Event, ...], heard: tuple[Trace, ...]
) -> tuple[Figure, ...]:
    """Return the plots of a rollout; none when it never had traffic.

    `events` are marked in each, `heard` is the evidence over time.
    """
    shown = bins(view.ticks)
    if not shown:
        return ()
    draw = _Drawing(view, shown, events)
    return (draw.traffic(), draw.errors(), *draw.evidence(heard), draw.latency(), *draw.metrics())


class _Drawing:
    """All plots of one report share the axis of time and the numbered moments."""

    def __init__(self, view: ReportView, shown: tuple[Bin, ...], events: tuple[Event, ...]) -> None:
        self._view = view
        self._events = events
        self._bins = shown
        self._begin = min(shown[0].begin_ms, *self._change_times(), shown[-1].end_ms)
        self._end = self._end_ms()
        self._x = time_scale((self._end - self._begin) / 1_000)
        self._new = name_of(view.record)
        self._old = anchor_of(view.record) or "the release before"

    def _change_times(self) -> tuple[int, ...]:
        return tuple(each.done_at_ms for each in self._view.record.weights if each.done_at_ms)

    def _end_ms(self) -> int:
        """Return the end of the axis: a long proof of the undo must not press the rest together."""
        last = max(self._bins[-1].end_ms, *self._change_times(), 0)
        later = [event.at_ms for event in self._events if event.at_ms > last]
        room = last + (last - self._begin) * 0.6
        return int(max([last, *(at for at in later if at <= room)]) + (last - self._begin) * 0.03)

    def _at(self, ms: float) -> float:
        return (ms - self._begin) / 1_000

    def _plot(self, y: Scale, y_name: str, about: str) -> Plot:
        unit = self._x.unit
        return Plot(
            self._x, y, x_name=f"time since the first traffic, {unit}", y_name=y_name, about=about
        )

    def _finished(self, plot: Plot) -> Markup:
        seen = [event for event in self._events if self._inside(event)]
        return plot.marks([(e.number, self._at(e.at_ms), e.name) for e in seen]).svg()

    def _inside(self, event: Event) -> bool:
        return self._begin <= event.at_ms <= self._end

    # Traffic ----------------------------------------------------------------------------

    def traffic(self) -> Figure:
        """Return how much of the traffic the new release was to have, and how much it had."""
        weights = self._weights()
        about = f"Share of the traffic that {self._new} had, over time"
        plot = self._plot(share_scale(1), "share of the requests, %", about)
        plot.steps([(self._at(at), weight / FULL) for at, weight in weights], "new")
        plot.line([(self._at(each.middle_ms), _part(each)) for each in self._bins], "had")
        for at, weight in weights:
            if weight:
                plot.label(self._at(at), weight / FULL, f"{weight / 100:g} %")
        keys = (("new", f"ordered for {self._new}"), ("had", "what it got"))
        return Figure(
            "Traffic",
            "The share that was ordered, and the one that came of it.",
            keys,
            self._finished(plot),
        )

    def _weights(self) -> list[tuple[float, int]]:
        """Return since when the new release had which weight, until the end of the axis."""
        record = self._view.record
        prefix = f"{record.rollout}."
        told = [
            (float(change.done_at_ms), sum(
                weight for name, weight in change.weights.items() if name.startswith(prefix)
            ))
            for change in record.weights
            if change.done_at_ms
        ]  # fmt: skip
        known = told or [(float(each.begin_ms), each.weight) for each in self._bins]
        return [*known, (float(self._end), known[-1][1])]

    # Errors -----------------------------------------------------------------------------

    def errors(self) -> Figure:
        """Return the share of bad answers of both sides, with intervals."""
        sides = [
            ("old", [each.control for each in self._bins]),
            ("new", [each.canary for each in self._bins]),
        ]
        about = f"Share of bad answers of {self._new} and of {self._old}, over time"
        plot = self._plot(share_scale(_highest(sides)), "bad answers, % of all", about)
        places = [self._at(each.middle_ms) for each in self._bins]
        for kind, did in sides:
            spans = zip(places, map(interval, did), strict=True)
            plot.band([(x, low, high) for x, (low, high) in spans], kind)
        for kind, did in sides:
            plot.line(list(zip(places, map(share, did), strict=True)), kind)
        words = ", ".join(self._setup().errors) or "none are counted"
        return Figure(
            "Errors",
            f"Bad answers ({words}); the areas are exact intervals at 95 %, each for itself.",
            self._sides(),
            self._finished(plot),
        )

    def _setup(self) -> JudgeSetup:
        plan = self._view.record.plan
        return plan.setup if plan else JudgeSetup(classes=())

    def _sides(self) -> tuple[Key, ...]:
        return (("new", self._new), ("old", f"{self._old}, at the same time"))

    # Evidence ---------------------------------------------------------------------------

    def evidence(self, found: tuple[Trace, ...]) -> tuple[Figure, ...]:
        """Return what was held against the release, with the limit at which it fails."""
        if not found:
            return ()
        moments = [moment for trace in found for moment in trace.moments]
        low = min(0.0, *(each.robust for each in moments))
        high = max(max(each.whole, each.limit) for each in moments)
        about = f"Evidence that {self._new} is worse, over time, and the limit at which it fails"
        y = power_scale(max(low, -3.0), high * 1.05)
        plot = self._plot(y, "evidence that it is worse (e-value, log scale)", about)
        for trace in found:
            self._hold_against(plot, trace)
        named: dict[float, Trace] = {}
        for trace in found:
            named.setdefault(trace.last.limit, trace)
        for trace in named.values():
            at, most = self._at(trace.moments[0].at_ms), trace.last.limit
            plot.rule_name(at, most, f"fails at {_power(most)}", "limit")
        limit = 10 ** found[0].last.limit
        names = dict.fromkeys(trace.name for trace in found)
        keys = tuple((_CLASS.get(name, "new"), _BAD.get(name, name)) for name in names)
        return (
            Figure(
                "Evidence",
                f"Above {limit:,.0f} it fails, if that holds without its worst tick too (the "
                "thick line); the chance of a false alarm in the whole rollout is at most "
                f"{self._setup().analysis.alpha * 100:g} %.",
                (*keys, ("limit", "limit")),
                self._finished(plot),
            ),
        )

    def _hold_against(self, plot: Plot, trace: Trace) -> None:
        kind = _CLASS.get(trace.name, "new")
        first, last = trace.moments[0], trace.last
        limit = [(self._at(each.at_ms), each.limit) for each in (first, last)]
        plot.line(limit, "limit")
        plot.line([(self._at(each.at_ms), each.whole) for each in trace.moments], f"thin {kind}")
        plot.line([(self._at(each.at_ms), each.robust) for each in trace.moments], kind)

    # Latency ----------------------------------------------------------------------------

    def latency(self) -> Figure:
        """Return the median and the 95th percentile of both sides, if the driver counts them."""
        counted = latencies(self._view.ticks, self._bins, self._view.record.rollout)
        if not counted:
            return Figure("Latency", "The driver counts no latencies, so there is nothing to plot.")
        lines = [
            (side, part, [quantile(pair[side], BUCKETS_MS, part) for pair in counted])
            for side in (0, 1)
            for part in (0.5, 0.95)
        ]
        known = [value for *_, values in lines for value in values if value is not None]
        slow = self._setup().slow_ms
        y = milliseconds_scale(min(known), max([*known, slow * 1.3]))
        about = f"Latency of {self._new} and of {self._old}, over time"
        plot = self._plot(y, "time to answer, ms (log scale)", about)
        for side, part, values in lines:
            kind = ("old", "new")[side] if part > 0.5 else f"thin {('old', 'new')[side]}"
            points = zip(self._bins, values, strict=True)
            plot.line([(self._at(e.middle_ms), v and math.log10(v)) for e, v in points], kind)
        if slow:
            places = [(0.0, math.log10(slow)), (self._at(self._end), math.log10(slow))]
            plot.line(places, "limit")
            plot.rule_name(0.0, math.log10(slow), f"slow above {slow:g} ms", "limit")
        return Figure(
            "Latency",
            "Thick: 95 of 100 answers came within this time; thin: half of them.",
            self._sides(),
            self._finished(plot),
        )

    # Metrics ----------------------------------------------------------------------------

    def metrics(self) -> tuple[Figure, ...]:
        """Return a plot for each number that the driver does not count."""
        return tuple(
            self._metric(source.name, source.unit)
            for source in self._setup().analysis.metrics
            if any(source.name in tick.metrics for tick in self._view.ticks)
        )

    def _metric(self, name: str, unit: str) -> Figure:
        ticks = _thinned([tick for tick in self._view.ticks if name in tick.metrics])
        values = [v for tick in ticks for v in tick.metrics[name] if math.isfinite(v)]
        words = f"{name}, {unit}" if unit else name
        low, high = min(values, default=0.0), max(values, default=1.0)
        plot = self._plot(number_scale(low, high), words, f"{name} of both sides, over time")
        for side, kind in ((0, "old"), (1, "new")):
            plot.line([(self._at(t.at_ms), _finite(t.metrics[name][side])) for t in ticks], kind)
        return Figure(f"Metric {name}", "", self._sides(), self._finished(plot))


_CLASS = {"error": "new", "slow": "slow"}
_BAD = {"error": "bad answers", "slow": "slow answers"}


def _highest(sides: list[tuple[str, list[Side]]]) -> float:
    """Return how high the plot of errors must be; wide intervals may be cut off."""
    did = [side for _, both in sides for side in both]
    most = max(share(side) or 0.0 for side in did)
    highs = [high for _, high in map(interval, did) if high is not None]
    if not most:
        return median(highs) if highs else 1.0
    return min(1.0, max(most, *(min(high, 3 * most) for high in highs)))


def _part(each: Bin) -> float | None:
    whole = each.canary.started + each.control.started
    return each.canary.started / whole if whole else None


def _power(exponent: float) -> str:
    return f"{10**exponent:,.0f}" if exponent < 6 else power_text(round(exponent))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _thinned(ticks: list[Tick]) -> list[Tick]:
    return ticks[:: max(1, len(ticks) // 240)]
