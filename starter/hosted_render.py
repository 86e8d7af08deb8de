"""Tables of what runs on this machine."""

import time

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from starter.running_services import Seen, ServiceLine
from starter.words import duration

_STATES = {
    "ready": "green", "starting": "cyan", "down": "bold red", "crash_loop": "bold red",
    "stopping": "yellow", "gone": "dim",
}  # fmt: skip


def services_table(seen: Seen) -> RenderableType:
    """Show each instance below its target."""
    host = seen.host
    edge = f"edge {host.edge_pid}" if host.edge_pid else Text("the edge is away", style="bold red")
    head = Text.assemble(f"supervisor {host.pid}, ", edge, style="dim")
    if not seen.services:
        return Group("no service runs here", head)
    parts: list[RenderableType] = []
    for target in dict.fromkeys(line.instance.target for line in seen.services):
        address = host.targets.get(target, "not reached from outside")
        parts.append(Text.assemble((target, "bold"), "  ", (address, "underline")))
        parts.append(_table([line for line in seen.services if line.instance.target == target]))
    return Group(*parts, head)


def _table(lines: list[ServiceLine]) -> RenderableType:
    table = Table(box=None, pad_edge=True, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("instance", "version", "traffic", "state", "for", "restarts", "process", "why"):
        right = column in ("traffic", "restarts", "process")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for line in lines:
        table.add_row(*_cells(line))
    return table


def _cells(line: ServiceLine) -> tuple[str | Text, ...]:
    each = line.instance
    share = "?" if line.weight is None else f"{line.weight / 100:g} %"
    seconds = max(0.0, time.time() - each.since_ms / 1000)
    return (
        each.instance,
        each.version or each.sha[:12],
        share,
        Text(each.state, style=_STATES.get(each.state, "")),
        duration(seconds) if seconds >= 60 else f"{seconds:.0f} s",
        str(each.restarts),
        str(each.pid or "–"),
        Text(each.reason, style="dim"),
    )
