"""Measure and print the table: `python -m bench [--only NAME] [--quick]`."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    commands,
    edge,
    evictions,
    graph_speed,
    idea_overhead,
    kills,
    long_plan,
    many_ideas,
)
from bench.ground import Load
from bench.row import Row

RESULTS = Path(__file__).with_name("results.json")
Measure = Callable[[Load], Awaitable[list[Row]]]
MEASURES: dict[str, Measure] = {
    "idea": idea_overhead.measure,
    "graph": graph_speed.measure,
    "many": many_ideas.measure,
    "plan": long_plan.measure,
    "commands": commands.measure,
    "kill": kills.measure,
    "evict": evictions.measure,
    "edge": edge.measure,
}


async def run(names: list[str], load: Load, console: Console) -> list[Row]:
    """Measure one after another, each on a server of its own."""
    task = asyncio.current_task()
    assert task is not None
    # What was started is ended by context managers, also when somebody stops us.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rows: list[Row] = []
    for name in names:
        console.print(f"[dim]measuring {name} ...[/dim]")
        measured = await MEASURES[name](load)
        for row in measured:
            console.print(f"{row.name}: {row.value:g} {row.unit}, ratio {row.ratio}, {row.goal}")
        if not load.quick:
            write(measured)
        rows += measured
    return rows


def table(rows: list[Row]) -> Table:
    shown = Table(title="slipway against its rivals and its goals")
    for head in ("name", "value", "rival", "ratio", "95 % interval", "runs", "goal", "met"):
        shown.add_column(head)
    for row in rows:
        shown.add_row(
            row.name,
            f"{row.value:g} {row.unit}",
            "" if row.rival_value is None else f"{row.rival_value:g} {row.unit}: {row.rival}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.low is None else f"{row.low:g} - {row.high:g}",
            str(row.runs),
            row.goal,
            "[green]yes[/green]" if row.met else "[red]no[/red]",
        )
    return shown


def write(rows: list[Row]) -> None:
    """Put the rows into the results; rows that were not measured now stay."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = {row["name"]: row for row in known}
    kept |= {row.name: row.model_dump(mode="json") for row in rows}
    RESULTS.write_text(json.dumps(list(kept.values()), indent=1) + "\n")


def main() -> int:
    """Return 0 when every measured goal is met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(MEASURES), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="few repetitions, nothing is written")
    arguments = parser.parse_args()
    # The sandbox imports workflow code for each run: from its bytecode, as on any user's machine.
    sys.dont_write_bytecode = False
    console = Console()
    names = arguments.only or list(MEASURES)
    rows = asyncio.run(run(names, Load(quick=arguments.quick), console))
    console.print(table(rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # A process that used a client may abort at interpreter exit (temporalio/sdk-python#300).
    os._exit(code)
