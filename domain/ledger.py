"""What the ledger and the effects exchange with whoever keeps the records."""

from domain.fact import Fact
from domain.idea import Idea
from domain.record import Record


class RegisterIdea(Record):
    """The row that makes an idea exist; `op` makes a second call of the same start a no-op."""

    idea: Idea
    workflow_id: str
    run_id: str
    op: str
    at_ms: int


class Registered(Record):
    """`accepted` is false when the key belongs to another specification."""

    accepted: bool
    reason: str = ""


class RecordFacts(Record):
    """Facts of one idea, in order, written in one transaction with their events."""

    key: str
    round: int
    op: str  # operation id: the same again is a no-op
    at_ms: int
    actor: str = "slipway"
    facts: tuple[Fact, ...]


class EffectRow(Record):
    """What the ledger knows of an effect; `done` carries what was read back."""

    op: str
    done: bool = False
    readback: str = ""
