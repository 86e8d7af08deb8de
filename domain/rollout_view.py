"""A rollout as records keep it and doors show it."""

from domain.record import Record
from domain.rollout import RolloutState


class RolloutLine(Record):
    """One rollout in a list, and what budgets and figures are computed from."""

    rollout: str
    key: str  # the idea
    round: int
    target: str
    repository: str = ""  # its id
    service: str = ""
    environment: str = ""
    sha: str = ""
    tag: str = ""
    state: RolloutState
    step: int = 0
    weight: int = 0  # basis points
    reason: str = ""
    first: bool = False
    exposure: float = 0  # largest share of the traffic, 0 to 1
    bad_since_ms: int = 0  # end of the first tick with bad answers
    created_at_ms: int
    started_at_ms: int | None = None  # its first share of the traffic
    updated_at_ms: int
    ended_at_ms: int | None = None


class WeightChange(Record):
    """One order to move traffic: what was intended, and what was read back."""

    rollout: str
    op: str
    weights: dict[str, int]  # basis points by instance
    expected_generation: int
    generation: int | None = None  # None: begun, and nobody knows yet whether it happened
    begun_at_ms: int
    done_at_ms: int | None = None
