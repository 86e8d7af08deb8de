"""The board of a rollout under way, for the terminal: traffic, counts, evidence, time, waits."""

import math

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.deployment import FULL
from domain.rollout_view import RolloutRecord
from domain.timeline import percent
from domain.verdict import ClassEvidence, Verdict
from starter.release_render import state_text
from starter.release_watch import Look, Progress
from starter.words import duration

_WIDTH = 32  # cells of a bar
_NEW, _OLD = "bright_blue", "grey62"
_NAMES = {"error": "bad answers", "slow": "slow answers"}
_TOO_LARGE = 7  # decimal exponent from which a number is told as a power


def board(look: Look, now_ms: int) -> RenderableType:
    """Show a rollout as it is now."""
    record = look.record
    parts: list[RenderableType] = [_headline(record)]
    if look.progress:
        parts += [_time(look.progress, now_ms), Text(""), _traffic(record, look.progress.weight)]
    if look.verdict and look.verdict.classes:
        parts += [Text(""), _evidence(look.verdict)]
    if look.verdict:
        parts += [Text(""), _sentence(look.verdict)]
    if look.waits:
        parts.append(Text(f"  ⏳ waits for {look.waits}", "yellow"))
    return Group(*parts)


def _headline(record: RolloutRecord) -> RenderableType:
    name = record.tag or record.sha[:12]
    first = Text.assemble((name, "bold"), " → ", (record.target, "bold"), "  ", (record.key, "dim"))
    why = f"  {record.reason}" if record.reason else ""
    return Group(first, Text.assemble("  ", state_text(record.state), (why, "dim")))


def _time(progress: Progress, now_ms: int) -> RenderableType:
    """Say which step it is, and how long it takes at least."""
    over, hold = progress.over_s(now_ms), progress.hold_s
    bakes = progress.number == progress.of
    name = "bake, the last step" if bakes else f"step {progress.number} of {progress.of}"
    text = Text(f"  {name}")
    if not hold:
        return text
    left = duration(progress.left_s(now_ms))
    text.append("  ").append_text(_bar(min(1.0, over / hold), "cyan", 16))
    text.append(f"  {duration(min(over, hold))} of {duration(hold)}", "dim")
    text.append(f", at least {left} to the end", "dim")
    return text.append("  waits for evidence" if over > hold else "", "yellow")


def _traffic(record: RolloutRecord, weight: int) -> RenderableType:
    anchor = record.plan.anchor if record.plan else None
    grid = Table.grid(padding=(0, 2))
    rows = [("new", record.tag or record.sha[:12], weight, _NEW)]
    if anchor:
        rows.append(("before", anchor.tag or anchor.sha[:12], FULL - weight, _OLD))
    for word, name, share, style in rows:
        grid.add_row(
            Text(word, "dim"), Text(name, style), _bar(share / FULL, style), percent(share)
        )
    return _inset(grid)


def _evidence(verdict: Verdict) -> RenderableType:
    """Show each class: both sides, and how near the evidence is to its limit."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "New", "Before", "Evidence against it", "fails at"):
        table.add_column(name, justify="right" if name in ("New", "Before", "fails at") else "left")
    for found in verdict.classes:
        style = "bold red" if found.failed else "red" if _part(found) > 0.5 else "green"
        table.add_row(
            Text(_NAMES.get(found.name, found.name), "bold red" if found.failed else ""),
            _share(found.canary_bad, found.canary_total),
            _share(found.control_bad, found.control_total),
            Text.assemble(_bar(_part(found), style, 20), "  ", e_value(_robust(found))),
            e_value(found.threshold),
        )
    return _inset(table)


def against(found: ClassEvidence) -> str:
    """Say in words how much speaks against a release."""
    return f"{e_value(_robust(found))} of {e_value(found.threshold)}"


def e_value(log_e: float) -> str:
    """Return the e-value of its natural logarithm, short enough for a table."""
    exponent = log_e / math.log(10)
    if exponent >= _TOO_LARGE:
        return f"1e{exponent:.0f}"
    return f"{10**exponent:,.0f}" if exponent > 1 else f"{10**exponent:.2g}"


def _robust(found: ClassEvidence) -> float:
    return min(found.log_e, found.log_e_robust)


def _part(found: ClassEvidence) -> float:
    """Return how far the evidence has come on its way from 1 to the limit, by its logarithm."""
    return min(1.0, max(0.0, _robust(found) / found.threshold)) if found.threshold > 0 else 0.0


def _share(bad: int, all_: int) -> Text:
    if not all_:
        return Text("–", "dim")
    return Text.assemble(f"{100 * bad / all_:.3g} %", (f"  {bad:,} of {all_:,}", "dim"))


def _sentence(verdict: Verdict) -> RenderableType:
    styles = {"pass": "green", "fail": "bold red", "watching": ""}
    style = styles.get(verdict.verdict, "yellow")
    return Padding(Text(verdict.reason, style), (0, 0, 0, 2))


def _bar(part: float, style: str, width: int = _WIDTH) -> Text:
    full = round(part * width)
    return Text.assemble(("█" * full, style), ("░" * (width - full), "grey42"))


def _inset(part: RenderableType) -> RenderableType:
    return Padding(part, (0, 0, 0, 2))
