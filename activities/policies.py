"""Policies: what the policy says today about an idea at one phase."""

from typing import Protocol

from temporalio import activity

from domain.policy import Decision, Facts
from domain.record import Record
from domain.repository import Repository


class DecidePhase(Record):
    """`base_sha` is where the repository's own, only tightening, layer is read from."""

    facts: Facts
    repository: Repository
    base_sha: str = ""
    approvals_asked: tuple[str, ...] = ()


class Rules(Protocol):
    async def decide(self, order: DecidePhase) -> Decision: ...


class Policies:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @activity.defn
    async def decide_phase(self, order: DecidePhase) -> Decision:
        return await self._rules.decide(order)
