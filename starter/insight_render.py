"""The figures of delivery for the terminal."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.insight import DAY_MS, Dora, Spread
from starter.words import duration


def dora_board(figures: Dora) -> RenderableType:
    """Show throughput, instability, and how repair went."""
    days = round((figures.until_ms - figures.since_ms) / DAY_MS)
    where = figures.repository or "all repositories"
    head = Text.assemble(
        (f"{figures.environment} of {where}", "bold"), (f"  last {days} days", "dim"),
    )  # fmt: skip
    if not figures.deployments:
        return Group(head, Text("  No deployment has ended in this time.", "dim"))
    return Group(head, Padding(_rates(figures), (0, 2)), Padding(_times(figures), (0, 2)))


def _rates(figures: Dora) -> Table:
    grid = Table.grid(padding=(0, 2))
    total, weekly = figures.deployments, figures.deployment_days_per_week
    often = f"{figures.deployments_per_day:.2g} a day, on {figures.deployment_days} days"
    grid.add_row("deployment frequency", often, _weekly(weekly))
    grid.add_row(
        "change fail rate", _percent(figures.change_fail_rate),
        Text(f"{figures.failed} of {total}; {_percent(figures.change_fail_rate_weighted)} by "
             "share of the traffic", "dim"),
    )  # fmt: skip
    grid.add_row(
        "rework rate", _percent(figures.rework_rate), Text(f"{figures.rework} of {total}", "dim")
    )
    return grid


def _weekly(days: float | None) -> Text:
    return Text("" if days is None else f"median {days:g} days of a week", "dim")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _times(figures: Dora) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "Median", "90 %", "Of"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found, unit in (
        ("lead time for changes", figures.lead_time, 60),
        ("  first commit → review", figures.coding, 60),
        ("  review begins after", figures.pickup, 60),
        ("  reviewed → merged", figures.review, 60),
        ("  merged → production", figures.deploying, 60),
        ("idea → production", figures.idea_to_production, 60),
        ("failed deployment recovery time", figures.recovery, 60),
        ("  detect", figures.detect, 1),
        ("  decide", figures.decide, 1),
        ("  mitigate", figures.mitigate, 1),
        ("  resolve", figures.resolve, 1),
    ):
        table.add_row(name, _time(found.median, unit), _time(found.p90, unit), _of(found))
    return table


def _time(value: float | None, unit: int) -> str:
    if value is None:
        return "–"
    return duration(value) if unit == 1 else _minutes(int(value))


def _minutes(minutes: int) -> str:
    if minutes < 60:
        return f"{minutes} min"
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes < 2_880 else f"{minutes // 1_440} days"
    )


def _of(found: Spread) -> str:
    return str(found.count) if found.count else ""
