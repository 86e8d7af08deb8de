"""Ledger: put what happened on record, once per operation id."""

from typing import Protocol

from temporalio import activity

from activities.heartbeat import beating
from domain.fact import Fact
from domain.ledger import RecordFacts as RecordFacts
from domain.ledger import Registered as Registered
from domain.ledger import RegisterIdea as RegisterIdea


class Records(Protocol):
    async def register(self, order: RegisterIdea) -> Registered: ...
    async def append(self, order: RecordFacts) -> None: ...


class Listener(Protocol):
    def told(self, facts: tuple[Fact, ...]) -> None:
        """Hear of facts that are on record."""
        ...


class Ledger:
    def __init__(self, records: Records, listener: Listener | None = None) -> None:
        self._records = records
        self._listener = listener

    @activity.defn
    async def register_idea(self, order: RegisterIdea) -> Registered:
        async with beating():
            return await self._records.register(order)

    @activity.defn
    async def record_facts(self, order: RecordFacts) -> None:
        async with beating():
            await self._records.append(order)
        if self._listener is not None:
            self._listener.told(order.facts)
