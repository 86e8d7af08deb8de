"""What a person is asked, what an answer is, and what makes it count."""

from typing import Literal

from domain.record import Record

Phase = Literal["start", "plan", "merge", "deploy"]


class Question(Record):
    """A question to a person, bound to the digest of what is approved."""

    approval: str  # id, unique over all ideas: <key>/<round>/<phase>/<n>
    key: str
    round: int
    phase: Phase
    nonce: str
    subject: str  # canonical JSON of what is approved
    subject_sha256: str
    requirement_sha256: str
    text: str  # what the person reads
    rules: tuple[str, ...] = ()
    quorum: int = 1
    approvers: tuple[str, ...] = ()  # empty: any person but those excluded
    excluded: tuple[str, ...] = ()
    self_approval: bool = False
    asked_at_ms: int
    answer_by_ms: int
    use_by_ms: int


class Envelope(Record):
    """A signed envelope in the shape of DSSE; unsigned until sealing is configured."""

    payload: str  # canonical JSON
    payload_type: str = "application/vnd.slipway.answer+json"
    signatures: tuple[str, ...] = ()


class ApprovalAnswer(Record):
    """What the payload of an answer's envelope says."""

    approval: str
    workflow_id: str
    subject_sha256: str
    requirement_sha256: str
    person: str
    via: str
    decision: Literal["approve", "deny", "abstain", "withdraw"]
    reason: str = ""
    received_at_ms: int
    nonce: str


class Answered(Record):
    """What the one who answered is told."""

    approval: str
    state: Literal["open", "approved", "denied", "expired"]
    approvals: int = 0
    quorum: int = 1
    message: str = ""
