"""What a report shows: all that is on record of one rollout."""

from domain.record import Record
from domain.record_view import EventView
from domain.rollout_view import RolloutRecord
from domain.tick import Tick


class ReportView(Record):
    """A report follows from this alone; `made_ms` is when it was asked for."""

    record: RolloutRecord
    title: str  # of the idea
    ticks: tuple[Tick, ...] = ()
    events: tuple[EventView, ...] = ()  # entries of the audit chain about it
    made_ms: int
    version: str = ""  # of slipway
