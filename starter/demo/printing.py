"""Printing: the demo on the terminal, few lines while it runs, and what it came to at the end."""

import sys
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from domain.deployment import FULL
from domain.record_view import EventView, GateView, IdeaRecord
from domain.rollout import RolloutState
from domain.rollout_view import RolloutRecord
from domain.service import Analysis, Strategy
from domain.service_steps import steps_of
from domain.timeline import percent
from starter.demo.account import Check
from starter.demo.repository import declared, log_of
from starter.demo.told import Chapter, Moment, Told
from starter.following import View
from starter.live import Board
from starter.render import board
from starter.telling import note, show
from starter.words import clock

_KINDS = (
    "plan_made", "release_made", "rollout_planned", "rollout_moved", "verdict_given",
    "rollout_undone", "rollout_ended", "quarantine_cured", "idea_ended",
)  # fmt: skip
_STAGES = ("Planning", "Running", "Reviewing", "Integrating", "Remediating")


class Calm:
    """Only the lines that carry the story, where nothing can be redrawn."""

    def update(self, record: IdeaRecord, events: tuple[EventView, ...]) -> None:
        """Tell what is new."""
        for event in events:
            if event.kind in _KINDS or event.body.get("stage") in _STAGES:
                note(f"   {clock(event.at_ms)}  {event.text}")

    def close(self) -> None:
        """Nothing to put back."""


def calm() -> View:
    """Return the view that fits the terminal."""
    return Board() if sys.stderr.isatty() else Calm()


def intro(rate: float) -> str:
    """Say what is going to be shown, and that its times are shortened."""
    service = declared()
    here = f"{rate:g} requests/s; {_way(service.strategy, service.analysis)}"
    return (
        "A small service gets three ideas. The second is released under load and passes. The\n"
        "third passes all gates and hurts customers: it is found out, taken back, and mended.\n"
        "\nShortened for this demo:\n"
        f"  {here}\n"
        "What holds where a service says nothing:\n"
        f"  {_way(Strategy(), Analysis())}"
    )


def _way(strategy: Strategy, analysis: Analysis) -> str:
    steps = steps_of(strategy)
    shares = ", ".join(f"{step.weight:g}" for step in steps)
    holds = " or ".join(_span(hold) for hold in sorted({step.hold for step in steps} - {0.0}))
    return (
        f"{shares} % of the traffic, {holds} each, then {_span(strategy.bake)} of watching; "
        f"a look every {_span(analysis.tick)}"
    )


def _span(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


def tell_chapter(chapter: Chapter, *, whole: bool) -> None:
    """Show an idea that has ended, and its releases; `whole`: with all its tasks and gates."""
    idea = chapter.idea
    head = board(idea if whole else idea.but(tasks=(), gates=(), releases=()))
    show("", head, *(_round(idea, each) for each in chapter.rollouts), "")


def _round(idea: IdeaRecord, rollout: RolloutRecord) -> RenderableType:
    """Show one round of an idea: what was merged, and what became of its release."""
    gates = [g for g in idea.gates if (g.round, g.where) == (rollout.round, "train")]
    passed = sum(gate.verdict == "passed" for gate in gates)
    style = "green" if rollout.state is RolloutState.PASSED else "bold red"
    grid = _grid(2)
    grid.add_row(
        Text(f"  {rollout.tag}", "bold"),
        f"{passed} of {len(gates)} gates passed{_tests(gates)}; merged, tagged",
    )
    grid.add_row(
        "",
        Text.assemble(
            (rollout.state.replace("_", " "), style),
            f" at {_shares(rollout)} of the traffic: {rollout.reason}",
        ),
    )
    return grid


def _shares(rollout: RolloutRecord) -> str:
    """Return the shares of the traffic that it had, one after the other."""
    steps = rollout.plan.steps if rollout.plan else ()
    had = [step.weight for step in steps if step.weight <= round(rollout.exposure * FULL)]
    return ", ".join(percent(weight) for weight in had)


def _tests(gates: list[GateView]) -> str:
    counts = [(gate.counts.base, gate.counts.after) for gate in gates if gate.name == "tests"]
    told = [(base.passed, after.passed) for base, after in counts if base and after]
    return f", {told[0][0]} → {told[0][1]} tests" if told else ""


def outro(told: Told) -> None:
    """Show what happened and when, what was checked, and where to look."""
    show("What is in the repository now:", log_of(Path(told.repository)))
    if told.moments:
        show("\nWhat happened to the third idea:", _moments(told.moments))
    if told.checks:
        show("\nWhat was checked:", _checks(told.checks))
    if told.account:
        quick, slow = told.account.p50_ms, told.account.p99_ms
        show(f"    Half of all answers came within {quick:.1f} ms, 99 % within {slow:.1f} ms.")
    _where_to_look(told)


def _moments(moments: tuple[Moment, ...]) -> RenderableType:
    grid, begin = _grid(3), moments[0].at_ms
    for moment in moments:
        after = f"+{(moment.at_ms - begin) / 1_000:.1f} s"
        grid.add_row(f"  {clock(moment.at_ms)}", Text(after, "dim", justify="right"), moment.what)
    return grid


def _checks(checks: tuple[Check, ...]) -> RenderableType:
    grid = _grid(2)
    for check in checks:
        mark = Text("  ✔", "green") if check.holds else Text("  ✘", "bold red")
        grid.add_row(mark, Group(check.text, *(Text(f"· {each}", "dim") for each in check.notes)))
    return grid


def _grid(columns: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        grid.add_column(overflow="fold")
    return grid


def _where_to_look(told: Told) -> None:
    """Print what can be opened and copied, so nothing of it is wrapped."""
    last = told.chapters[-1].idea
    lines = [("the report", report) for report in told.reports[:1]]
    lines += [("others", " ".join(told.reports[1:]))] if told.reports[1:] else []
    lines += [
        ("Temporal UI", last.ui_url or "the Temporal web UI"),
        ("on record", f"slipway release show {last.key}"),
        ("the gates", f"slipway idea show {last.key}"),
        ("the change", f"git -C {told.repository} show --stat HEAD"),
        ("the service", f"curl '{told.url}/price?grams=753'"),
        ("the audit", "slipway audit verify"),
    ]
    print("\nLook at the third idea:")
    for name, where in lines:
        print(f"  {name:<14} {where}")
    print(
        "\nEverything goes on running; `slipway down` stops the server and the workers, and\n"
        "`slipway down --services` the service too."
    )
