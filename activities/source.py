"""Source: what we do to git; each method is one effect, checked before and read back after."""

from typing import Literal, Protocol

from domain.change import Release
from domain.delivery import Patience
from domain.idea import ChangeKind
from domain.ledger import EffectRow as EffectRow
from domain.record import Record
from domain.repository import Repository, RepositoryFacts
from domain.review import GateResult, GateSet


class OpenRound(Record):
    """Import the base into the object store and start the idea branch at it."""

    key: str
    round: int
    repository: Repository


class RoundOpened(Record):
    base_sha: str  # where the base branch stands; the idea branch starts here
    head_sha: str  # where the idea branch stands (not the base after a crash or a re-plan)
    facts: RepositoryFacts


class ReadHead(Record):
    """Where the idea branch stands now."""

    key: str
    round: int
    repository: Repository


class Head(Record):
    base_sha: str
    head_sha: str
    tree: str


class ComposeTask(Record):
    """Put a task's commit onto the idea branch; `parent_sha` is what the commit was made on."""

    key: str
    round: int
    task: str
    attempt: int
    repository: Repository
    sha: str
    parent_sha: str
    title: str
    at_ms: int  # commit date, so that a retry yields the same commit


class Composed(Record):
    status: Literal["merged", "conflict"]
    head_sha: str
    tree: str
    conflicts: tuple[str, ...] = ()
    rebased: bool = False  # the branch had moved since the task began


class MeasureChange(Record):
    repository: Repository
    base_sha: str
    sha: str


class DiscardIdea(Record):
    """Remove what an idea left in the store: branches and task refs (never the user's)."""

    key: str
    repository: Repository


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


class JoinTrain(Record):
    entry: TrainEntry
    patience: Patience


class Joined(Record):
    train: str  # workflow id
    position: int


class LeaveTrain(Record):
    key: str
    round: int
    repository: Repository
    reason: str


class MergeResult(Record):
    """The train's answer to an idea (signal `merge_result`)."""

    key: str
    round: int
    status: Literal["merged", "conflict", "red", "held", "refused", "left"]
    reason: str
    release: Release | None = None
    conflicts: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    base_sha: str = ""  # where the base branch stood when the train judged


class Effects(Protocol):
    """The one way into every effect: reads the switch, checks answers, writes the intent."""

    async def begin(
        self,
        op: str,
        *,
        key: str,
        kind: str,
        scopes: tuple[str, ...],
        subject_sha256: str,
        intent: str,
        approvals: tuple[str, ...] = (),
    ) -> EffectRow:
        """Write the intent row in the transaction that checks switches and consumes approvals.

        Raises `Rejected` with code `switched_off`, `not_approved` or `already_consumed`.
        """
        ...

    async def finish(self, op: str, readback: str) -> None:
        """Record what was read back after the write."""
        ...
