"""A merge train: its queue, which entries go together, and what their gates mean."""

from typing import Literal

from domain.change import Release
from domain.delivery import Patience
from domain.idea import ChangeKind
from domain.record import Record
from domain.repository import Repository
from domain.review import GateResult, GateSet, Verdict

LARGEST_BATCH = 5
_REMEMBERED = 50

Status = Literal["merged", "conflict", "red", "held", "refused", "left"]


class TrainEntry(Record):
    """One round of one idea in the queue of a merge train."""

    key: str
    round: int
    workflow_id: str
    repository: Repository
    base_sha: str
    head_sha: str
    tree: str
    title: str
    notes: str
    change: ChangeKind
    gates: GateSet
    gate_results: tuple[GateResult, ...] = ()
    approvals: tuple[str, ...] = ()
    subject_sha256: str = ""
    priority: int = 3
    entered_at_ms: int = 0


class Joined(Record):
    """Where an entry stands in the queue; 0: it is being worked on, or was answered."""

    train: str  # workflow id
    position: int


class LeaveTrain(Record):
    key: str
    round: int
    repository: Repository
    reason: str
    workflow_id: str = ""  # who asks, and is answered even if the train does not know the entry


class MergeResult(Record):
    """The train's answer to an idea (signal `merge_result`)."""

    key: str
    round: int
    status: Status
    reason: str
    release: Release | None = None
    conflicts: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    base_sha: str = ""  # where the base branch stood when the train judged


class Departure(Record):
    """Why an entry left the train; every one of them is kept for a while."""

    key: str
    round: int
    entered_at_ms: int
    status: Status
    reason: str
    at_ms: int


class TrainState(Record):
    """All that a train carries when it continues as new."""

    queue: tuple[TrainEntry, ...] = ()
    departures: tuple[Departure, ...] = ()
    merged: int = 0
    moved_at_ms: int = 0  # when the branch last moved, or the queue began to fill

    def joined(self, entry: TrainEntry, at_ms: int) -> "TrainState":
        """Return the state with `entry` in the queue; a repeated join changes nothing."""
        if self.position(entry.key, entry.round) or self.answered(entry):
            return self
        moved = self.moved_at_ms if self.queue else at_ms
        return self.but(queue=ordered((*self.queue, entry)), moved_at_ms=moved)

    def position(self, key: str, round_: int) -> int:
        """Return the place in the queue, counted from 1; 0: not in it."""
        for place, entry in enumerate(self.queue, start=1):
            if (entry.key, entry.round) == (key, round_):
                return place
        return 0

    def find(self, key: str, round_: int) -> TrainEntry | None:
        """Return the entry of this round that waits or rides."""
        return next((e for e in self.queue if (e.key, e.round) == (key, round_)), None)

    def has_left(self, key: str, round_: int) -> bool:
        """Return whether this round was answered, and is not back in the queue."""
        known = any((d.key, d.round) == (key, round_) for d in self.departures)
        return known and not self.position(key, round_)

    def answered(self, entry: TrainEntry) -> bool:
        """Return whether this very entry was answered (the same round may come again later)."""
        mine = (entry.key, entry.round, entry.entered_at_ms)
        return any((d.key, d.round, d.entered_at_ms) == mine for d in self.departures)

    def departed(self, entry: TrainEntry, result: MergeResult, at_ms: int) -> "TrainState":
        """Return the state without `entry`, with the reason why it left."""
        gone = Departure(
            key=entry.key,
            round=entry.round,
            entered_at_ms=entry.entered_at_ms,
            status=result.status,
            reason=result.reason,
            at_ms=at_ms,
        )
        merged = result.status == "merged"
        return self.but(
            queue=tuple(e for e in self.queue if (e.key, e.round) != (entry.key, entry.round)),
            departures=(*self.departures, gone)[-_REMEMBERED:],
            merged=self.merged + merged,
            moved_at_ms=at_ms if merged else self.moved_at_ms,
        )


class StartTrain(Record):
    """The start input of `IntegrateChanges`: one branch of one repository."""

    repository: Repository
    patience: Patience
    state: TrainState = TrainState()
    rides_per_run: int = 200  # after so many batches the train continues as new


class TrainView(Record):
    """What the query `queue` answers."""

    waiting: tuple[str, ...]
    riding: tuple[str, ...]
    doing: str
    departures: tuple[Departure, ...]
    merged: int
    still_for_ms: int  # since the branch last moved while somebody waited; 0: nobody waits


def ordered(entries: tuple[TrainEntry, ...]) -> tuple[TrainEntry, ...]:
    """Return entries by priority (1 first), then arrival."""
    return tuple(sorted(entries, key=lambda e: (e.priority, e.entered_at_ms, e.key, e.round)))


def next_batch(queue: tuple[TrainEntry, ...], base_moves: bool) -> tuple[TrainEntry, ...]:
    """Return who goes together: the first, and those right behind it with the same gates.

    Where the base branch does not move, each result lands on a branch of its own: one at a time.
    """
    size = LARGEST_BATCH if base_moves else 1
    batch = queue[:1]
    for entry in queue[1:]:
        if len(batch) == size or not _alike(entry, batch[0]):
            break
        batch = (*batch, entry)
    return batch


def _alike(one: TrainEntry, other: TrainEntry) -> bool:
    return (one.gates.digest, one.repository.update_base) == (
        other.gates.digest,
        other.repository.update_base,
    )


def verdict(entries: tuple[TrainEntry, ...], results: tuple[GateResult, ...]) -> Verdict:
    """Return what the gates of the combined result mean for all these entries together.

    A held gate that was held when the entry was let through says nothing new.
    """
    if any(result.verdict is Verdict.FAILED for result in results):
        return Verdict.FAILED
    held = {result.gate for result in results if result.verdict is Verdict.HELD}
    for entry in entries:
        if held - {r.gate for r in entry.gate_results if r.verdict is Verdict.HELD}:
            return Verdict.HELD
    return Verdict.PASSED


class Search(Record):
    """Looking for the first entry that makes a batch red.

    The first `green` entries together are known to be green, the first `red` to be red.
    """

    green: int = 0
    red: int

    @property
    def found(self) -> bool:
        return self.red - self.green <= 1

    @property
    def culprit(self) -> int:
        """The index of the entry that is to blame, once found."""
        return self.red - 1

    @property
    def probe(self) -> int:
        """How many entries to judge together next."""
        return (self.green + self.red) // 2

    def seen(self, count: int, failed: bool) -> "Search":
        """Return what is known after the first `count` entries were judged."""
        return self.but(red=count) if failed else self.but(green=count)


def why_red(results: tuple[GateResult, ...]) -> str:
    """Return one sentence about the gates that are not green."""
    bad = [result for result in results if result.verdict in (Verdict.FAILED, Verdict.HELD)]
    told = "; ".join(f"{result.gate} {result.verdict}: {result.reason}" for result in bad)
    return told[:1_000]


def markdown(view: TrainView) -> str:
    """Return the train as Markdown for the current details of its workflow."""
    parts = [f"**{view.doing}**, {view.merged} merged"]
    if view.riding:
        parts.append("Riding: " + ", ".join(f"`{key}`" for key in view.riding))
    if view.waiting:
        waiting = "\n".join(f"1. `{key}`" for key in view.waiting[:40])
        parts.append(f"Waiting ({len(view.waiting)}):\n\n{waiting}")
    if view.departures:
        rows = [
            f"| {d.key}/{d.round} | {d.status} | {_flat(d.reason)} |"
            for d in reversed(view.departures[-20:])
        ]
        parts.append("\n".join(["| Left | How | Why |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _flat(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return flat if len(flat) <= 200 else flat[:199] + "…"
