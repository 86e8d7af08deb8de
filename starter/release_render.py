"""Tables and boards of releases for the terminal; texts of others are shown as they are."""

import time
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.release_plan import ForeseenRelease, Traffic
from domain.rollout import PlannedStep, Quarantined, Undo
from domain.rollout_view import RolloutLine, RolloutRecord
from domain.timeline import percent
from domain.verdict import Verdict
from starter.releases import ReleasesForeseen, ServicesChecked
from starter.words import clock, duration

_STATES = {
    "passed": "bold green", "undone": "bold red", "restored_unverified": "bold red",
    "undoing": "red", "failed": "bold red", "held": "yellow", "waiting": "yellow",
    "superseded": "dim",
}  # fmt: skip
_MARKS = {
    "passed": "✔", "undone": "↩", "restored_unverified": "↩", "undoing": "↩", "failed": "✘",
    "held": "✋", "waiting": "⏳", "superseded": "–",
}  # fmt: skip
_VERDICTS = {
    "pass": "green", "fail": "bold red", "inconclusive": "yellow", "no_data": "yellow",
    "watching": "cyan",
}  # fmt: skip


def state_text(state: str) -> Text:
    """Return a state in its colour."""
    return Text(state.replace("_", " "), style=_STATES.get(state, "cyan"))


def _mark(state: str) -> Text:
    return Text(_MARKS.get(state, "▶"), style=_STATES.get(state, "cyan"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _inset(part: RenderableType) -> RenderableType:
    return Padding(part, (0, 0, 0, 2))


def rollouts_table(lines: Iterable[RolloutLine]) -> RenderableType:
    """List rollouts, newest first."""
    table = _table("", "Target", "Release", "State", "Traffic", "Since", "Why")
    table.columns[1].no_wrap = True
    for line in lines:
        table.add_row(
            _mark(line.state), Text.assemble(line.target, "\n", (line.rollout, "dim")),
            line.tag or line.sha[:12], state_text(line.state), percent(line.weight),
            clock(line.created_at_ms), Text(line.reason, "dim"),
        )  # fmt: skip
    return table if table.row_count else Text("No rollouts.", style="dim")


def barred_table(items: Iterable[Quarantined]) -> RenderableType:
    """List merges that were undone, and what mends them."""
    table = _table("Merge", "Idea", "Mended by", "Since", "Why")
    for item in items:
        cure = f"{item.cure_kind} {item.cure[:12]}" if item.cure else "nothing yet"
        table.add_row(item.sha[:12], item.key, cure, clock(item.at_ms), Text(item.reason, "dim"))
    return table if table.row_count else Text("No merge was ever undone here.", style="dim")


def rollout_board(record: RolloutRecord) -> RenderableType:
    """Show one rollout: where it is, its steps, what the judge said, how it was undone."""
    parts: list[RenderableType] = [_headline(record)]
    if record.plan and record.plan.steps:
        parts.append(_inset(_steps(record)))
    verdict = record.verdicts[-1].verdict if record.verdicts else None
    if verdict and verdict.classes:
        parts.append(_inset(_evidence(verdict)))
    if verdict and verdict.gauges:
        parts.append(_inset(_gauges(verdict)))
    if record.undo:
        parts.append(_undo(record.undo, record.bad_since_ms))
    if record.barred:
        parts.append(_inset(_barred(record)))
    parts.append(_inset(_moves(record)))
    return Group(*parts)


def _headline(record: RolloutRecord) -> RenderableType:
    what = record.tag or record.sha[:12]
    first = Text.assemble(
        (what, "bold"), " → ", (record.target, "bold"), (f"  {record.rollout}", "dim")
    )
    seconds = ((record.ended_at_ms or time.time_ns() // 1_000_000) - record.created_at_ms) / 1_000
    second = Text.assemble(
        "  ", _mark(record.state), " ", state_text(record.state),
        f"  {percent(record.weight)} of the traffic", (f"  {duration(max(0, seconds))}", "dim"),
        (f"  {record.reason}" if record.reason else "", ""),
    )  # fmt: skip
    return Group(first, second, Text(f"  of idea {record.key}", "dim"))


def _steps(record: RolloutRecord) -> RenderableType:
    """Show each step with when it began and what the judge said last of it."""
    table = _table("Step", "Traffic", "Watched for", "Since", "Sees", "Verdict", "")
    verdicts, begun = record.last_verdicts, _begun(record)
    steps = record.plan.steps if record.plan else ()
    for step in steps:
        at = begun.get(step.index)
        verdict = verdicts.get(step.index)
        table.add_row(
            str(step.index + 1), percent(step.weight), _hold(step), clock(at) if at else "",
            _ratio(step), _verdict_text(verdict), Text(verdict.reason if verdict else "", "dim"),
        )  # fmt: skip
    bake = verdicts.get(len(steps))
    if bake and record.plan:
        table.add_row(
            "bake", "100 %", _span(record.plan.bake_s), "", "", _verdict_text(bake),
            Text(bake.reason, "dim"),
        )  # fmt: skip
    return table


def _begun(record: RolloutRecord) -> dict[int, int]:
    """Return when traffic first had the share of each step."""
    first: dict[int, int] = {}
    for move in record.moves:
        if move.weight:
            first.setdefault(move.step, move.at_ms)
    return first


def _verdict_text(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    word = verdict.verdict.replace("_", " ")
    return Text(word, style=_VERDICTS.get(verdict.verdict, "cyan"))


def verdict_board(verdict: Verdict) -> RenderableType:
    """Show one verdict with its evidence."""
    word = Text.assemble(_verdict_text(verdict), f"  {verdict.reason}")
    parts: list[RenderableType] = [word]
    if verdict.classes:
        parts.append(_inset(_evidence(verdict)))
    if verdict.gauges:
        parts.append(_inset(_gauges(verdict)))
    return Group(*parts)


def _evidence(verdict: Verdict) -> RenderableType:
    table = _table("Bad answers", "Stable", "New", "Ratio (95 %)", "Evidence", "Sees from")
    for found in verdict.classes:
        low, high = found.interval
        style = "bold red" if found.failed else ""
        table.add_row(
            Text(found.name, style),
            f"{found.control_bad:,} of {found.control_total:,}",
            f"{found.canary_bad:,} of {found.canary_total:,}",
            f"{_times(low)} to {_times(high)}",
            f"{min(found.log_e, found.log_e_robust):.1f} of {found.threshold:.1f}",
            _times(found.mde),
        )
    return table


def _gauges(verdict: Verdict) -> RenderableType:
    table = _table("Metric", "", "Change", "")
    for found in verdict.gauges:
        style = {"ok": "green", "worse": "bold red"}.get(found.state, "yellow")
        table.add_row(
            found.name, Text(found.state, style), f"{found.change:+.1%}", Text(found.reason, "dim")
        )
    return table


def _times(ratio: float) -> str:
    return "no bound" if ratio == float("inf") else f"{ratio:.3g} times"


def _undo(undo: Undo, bad_since_ms: int) -> RenderableType:
    seen = ("verified", "green") if undo.verified else ("not verified", "bold red")
    parts = [Text.assemble("  undone, ", seen, (f"  {undo.reason}", "dim"))]
    moments = (
        ("first bad answers", bad_since_ms),
        ("decided", undo.decided_ms),
        ("traffic back", undo.restored_ms),
        ("verified", undo.verified_ms),
    )
    known = [(name, at) for name, at in moments if at]
    for at, (name, moment) in enumerate(known):
        after = f"  {duration((moment - known[at - 1][1]) / 1_000)} later" if at else ""
        parts.append(Text.assemble(f"    {clock(moment)}  {name}", (after, "dim")))
    parts += [Text(f"    ✔ {check}", "dim") for check in undo.checks]
    return Group(*parts)


def _barred(record: RolloutRecord) -> RenderableType:
    table = _table("Barred", "Mended by")
    for item in record.barred:
        cure = (
            f"{item.cure_kind.replace('_', ' ')} {item.cure[:12]}" if item.cure else "nothing yet"
        )
        table.add_row(item.sha[:12], Text(cure, "green" if item.cure else "yellow"))
    return table


def _moves(record: RolloutRecord) -> RenderableType:
    table = _table("When", "State", "Traffic", "")
    told = [(move.at_ms, state_text(move.state), percent(move.weight), move.reason)
            for move in record.moves]  # fmt: skip
    told += [
        (hook.at_ms, Text(f"hook {hook.hook}", "green" if hook.ok else "red"), "", hook.reason)
        for hook in record.hooks
    ]
    for at_ms, what, share, why in sorted(told, key=lambda row: row[0]):
        table.add_row(clock(at_ms), what, share, Text(why, "dim"))
    return table


def checked_table(checked: ServicesChecked) -> RenderableType:
    """Show where each service of a file would be deployed, and in which steps."""
    if not checked.releases:
        return Text(f"{checked.file} declares no services", "yellow")
    table = _table("Service", "Where", "Strategy", "Steps", "Takes")
    notes: list[RenderableType] = []
    for told in checked.releases:
        where = f"{told.environment}\n{told.driver} {told.address}".strip()
        table.add_row(told.service, where, told.kind.replace("_", "-"), _way(told), _takes(told))
        notes += [
            Text(f"  {told.service}/{told.environment}: {note}", "yellow") for note in told.notes
        ]
    return Group(table, *notes)


def _way(told: ForeseenRelease) -> str:
    steps = [
        percent(step.weight) + (f" for {_span(step.hold_s)}" if step.hold_s else "")
        for step in told.steps
    ]
    return f"{' → '.join(steps)}, then watched for {_span(told.bake_s)}"


def _takes(told: ForeseenRelease) -> str:
    usual, most = _span(told.seconds), _span(told.longest_s)
    return usual if usual == most else f"{usual}\nat most {most}"


def foreseen_board(foreseen: ReleasesForeseen) -> RenderableType:
    """Show what a release of a commit would do: steps, times, what each step can see."""
    parts: list[RenderableType] = [
        Text.assemble((foreseen.ref, "bold"), (f"  {foreseen.sha[:12]}", "dim"))
    ]
    for told in foreseen.releases:
        parts += [_foreseen_head(told), _inset(_foreseen_steps(told))]
        if told.later:
            parts += [Text("  those that follow:", "dim")]
            parts += [_inset(_steps_table(told.later, told.traffic))]
        parts += [Text(f"  {note}", "yellow") for note in told.notes]
    parts += [Text(f"{target}: not touched, nothing to do", "dim") for target in foreseen.untouched]
    return Group(*parts)


def _foreseen_head(told: ForeseenRelease) -> RenderableType:
    back = f", comes back to {told.anchor}" if told.anchor else ""
    place = f"  {told.driver} {told.address}, {told.kind.replace('_', '-')}{back}"
    return Text.assemble((told.target, "bold"), (place, "dim"), "\n  ", _traffic(told.traffic))


def _traffic(traffic: Traffic) -> Text:
    if not traffic.rps:
        return Text(
            "its traffic is not known yet: --rps and --base-rate say what to reckon with", "yellow"
        )
    return Text(
        f"at {traffic.rps:.3g} requests per second, of which {traffic.base_rate:.2%} are bad", "dim"
    )


def _foreseen_steps(told: ForeseenRelease) -> RenderableType:
    table = _steps_table(told.steps, told.traffic)
    table.add_row("bake", "100 %", _span(told.bake_s), _span(told.seconds), "")
    if told.longest_s > told.seconds:
        table.add_row("", "", "at most", _span(told.longest_s),
                      Text("where steps wait for evidence", "dim"))  # fmt: skip
    return table


def _steps_table(steps: tuple[PlannedStep, ...], traffic: Traffic) -> Table:
    table = _table("Step", "Traffic", "Watched for", "Over after", "Smallest regression it sees")
    over = 0.0
    for step in steps:
        over += step.hold_s
        table.add_row(
            str(step.index + 1), percent(step.weight), _hold(step), _span(over),
            _smallest(step, traffic),
        )  # fmt: skip
    return table


def _span(seconds: float) -> str:
    """Return a length of time that somebody has chosen, without what is zero of it."""
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{rest:g} s"
    hours, minutes = divmod(int(minutes), 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number:g} {unit}" for number, unit in parts if number)


def _hold(step: PlannedStep) -> str:
    return _span(step.hold_s) if step.hold_s else "–"


def _ratio(step: PlannedStep) -> str:
    return ", ".join(_times(ratio) for ratio in step.mde.values())


def _smallest(step: PlannedStep, traffic: Traffic) -> Text:
    """Say from which share of bad answers on a step would notice it."""
    ratio = step.mde.get("error")
    if ratio is None:
        return Text("–" if not step.hold_s else "not known", "dim")
    if ratio == float("inf"):
        return Text("none: too few requests", "yellow")
    return Text(f"{traffic.base_rate:.2%} → {traffic.base_rate * ratio:.2%} ({ratio:.3g} times)")
