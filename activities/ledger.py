"""Ledger: put what happened on record, once per operation id."""

from typing import Protocol

from temporalio import activity

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


class Records(Protocol):
    async def register(self, order: RegisterIdea) -> Registered: ...
    async def append(self, order: RecordFacts) -> None: ...


class Ledger:
    def __init__(self, records: Records) -> None:
        self._records = records

    @activity.defn
    async def register_idea(self, order: RegisterIdea) -> Registered:
        return await self._records.register(order)

    @activity.defn
    async def record_facts(self, order: RecordFacts) -> None:
        await self._records.append(order)
