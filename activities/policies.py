"""Policies: what the policy says today about an idea at one phase."""

from typing import Protocol

from temporalio import activity

from activities.heartbeat import beating
from domain.policy import DecidePhase as DecidePhase
from domain.policy import Decision


class Rules(Protocol):
    async def decide(self, order: DecidePhase) -> Decision: ...


class Policies:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @activity.defn
    async def decide_phase(self, order: DecidePhase) -> Decision:
        async with beating():
            return await self._rules.decide(order)
