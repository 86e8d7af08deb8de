"""The report as one page: everything in it, nothing fetched, every text escaped."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from domain.rollout import ENDED, PlannedStep
from domain.timeline import percent
from domain.verdict import ClassEvidence, Verdict
from starter.report.bins import Bin, bins, share
from starter.report.evidence import grows_from, traces
from starter.report.plots import figures
from starter.report.scale import power_text
from starter.report.story import anchor_of, day, headline, name_of, timeline, utc
from starter.report.view import ReportView
from starter.words import duration


@dataclass(frozen=True)
class StepRow:
    """One step of traffic, and what the judge said of it."""

    name: str
    traffic: str
    hold: str
    verdict: str = ""
    label: str = ""
    reason: str = ""
    at: str = ""


def render_report(view: ReportView) -> str:
    """Return the report of a rollout as one HTML document that needs nothing else."""
    record = view.record
    heard = traces(record.plan, view.ticks) if record.plan else ()
    grows_ms = grows_from(heard)
    events = timeline(view, grows_ms)
    return _template().render(
        view=view,
        record=record,
        plan=record.plan,
        name=name_of(record),
        anchor=anchor_of(record),
        headline=headline(view, grows_ms),
        timeline=events,
        facts=tuple(_facts(view)),
        figures=figures(view, events, heard),
        steps=tuple(_steps(view)),
        verdict=_last(view),
        rows=bins(view.ticks),
        open=record.state not in ENDED,
        style=_style(),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        clock=utc, day=day, percent=percent, times=times, evidence=e_value, bad=_bad,
        number="{:,}".format,
        error_share=_error_share,
    )  # fmt: skip
    environment.globals.update(share_of=_share)
    return environment.from_string(_text("page.html"))


def _text(name: str) -> str:
    return files("starter.report").joinpath(name).read_text(encoding="utf-8")


def _style() -> Markup:
    return Markup(_text("style.css"))


def _facts(view: ReportView) -> Iterable[tuple[str, str]]:
    """Say in numbers what the release was, and whom it met."""
    record = view.record
    yield "Release", name_of(record)
    yield "Commit", record.sha[:12]
    yield "Before it", anchor_of(record) or "nothing"
    yield "Idea", f"{record.key}, round {record.round}"
    yield "Largest share", percent(round(record.exposure * 10_000))
    done = sum(tick.canary.done for tick in view.ticks)
    bad = sum(tick.canary.errors for tick in view.ticks)
    yield "Answers of the new release", f"{done:,}"
    yield "Bad ones among them", f"{bad:,}"


def _steps(view: ReportView) -> Iterable[StepRow]:
    """Return a row for each planned step, the last one for the time with all the traffic."""
    plan = view.record.plan
    if plan is None:
        return
    for number, step in enumerate(plan.steps, start=1):
        hold = f"at least {duration(step.hold_s)}" if step.hold_s else "not watched by itself"
        yield _row(view, step.index, f"{number}", percent(step.weight), hold)
    bake = f"at least {duration(plan.bake_s)}"
    yield _row(view, len(plan.steps), "bake", percent(_whole(plan.steps)), bake)


def _whole(steps: tuple[PlannedStep, ...]) -> int:
    return steps[-1].weight if steps else 10_000


def _row(view: ReportView, index: int, name: str, traffic: str, hold: str) -> StepRow:
    told = next((each for each in reversed(view.record.verdicts) if each.step == index), None)
    if told is None:
        return StepRow(name, traffic, hold)
    verdict = told.verdict
    return StepRow(
        name,
        traffic,
        hold,
        verdict=verdict.verdict.replace("_", " "),
        label=verdict.label.replace("_", " "),
        reason=verdict.reason,
        at=utc(told.at_ms),
    )


def _last(view: ReportView) -> Verdict | None:
    """Return the verdict that the table of counts is about: the one that ended the rollout."""
    result = view.record.result
    if result and result.verdict:
        return result.verdict
    return view.record.verdicts[-1].verdict if view.record.verdicts else None


def times(ratio: float) -> str:
    """Return how many times one share is of another."""
    if math.isinf(ratio):
        return "any"
    return f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.2g} ×"


def e_value(log_e: float) -> str:
    """Return the e-value of its natural logarithm, as people write it."""
    exponent = log_e / math.log(10)
    if not -3 < exponent < 6:
        return power_text(round(exponent))
    return f"{10**exponent:,.0f}" if exponent >= 2 else f"{10**exponent:.3g}"


def _share(bad: int, all_: int) -> str:
    return f"{100 * bad / all_:.3g} %" if all_ else "–"


def _error_share(each: Bin, side: str) -> str:
    found = share(each.canary if side == "canary" else each.control)
    return "–" if found is None else f"{100 * found:.3g} %"


def _bad(found: ClassEvidence) -> str:
    return {"error": "bad answers", "slow": "slow answers"}.get(found.name, found.name)
