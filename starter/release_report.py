"""Writing the report of a rollout to a file."""

import time
from importlib.metadata import version
from pathlib import Path

from config.settings import Settings
from domain.errors import Misconfigured
from domain.record import Record
from domain.rollout_view import RolloutRecord
from starter.files import write_whole
from starter.lookup import open_reads
from starter.reads import Reads
from starter.release_lookup import meant
from starter.release_watch import about
from starter.report import ReportView, render_report


class Written(Record):
    """Where the report of a rollout lies."""

    rollout: str
    target: str
    state: str
    file: str


async def report_view(reads: Reads, rollout: str) -> ReportView:
    """Return what the report of a rollout shows; raises `Rejected` (`unknown_rollout`)."""
    record: RolloutRecord = await reads.rollout(rollout)
    idea = await reads.find(record.key)
    events = await reads.events_after(record.key)
    return ReportView(
        record=record,
        title=idea.title if idea else "",
        ticks=await reads.ticks(rollout),
        events=tuple(event for event in events if about(event, record)),
        made_ms=time.time_ns() // 1_000_000,
        version=version("slipway"),
    )


async def write_report(chosen: Settings, given: str, file: Path | None = None) -> Written:
    """Write the report of a rollout, by default to `<home>/reports/<rollout>.html`.

    `given` is what `slipway release` commands take. Raises `Misconfigured` where the file cannot
    be written.
    """
    async with open_reads(chosen) as reads:
        line = await meant(reads, given)
        view = await report_view(reads, line.rollout)
    file = file or chosen.home / "reports" / f"{line.rollout}.html"
    try:
        write_whole(file, render_report(view))
    except OSError as error:
        raise Misconfigured(
            f"The report cannot be written to {file}: {error.strerror}",
            code="no_file",
            path=str(file),
            hint="Name another one with -o.",
        ) from error
    return Written(
        rollout=line.rollout, target=line.target, state=line.state, file=str(file.absolute())
    )
