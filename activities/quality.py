"""Quality: find a repository's gates, run one of them on a commit and on its base."""

from collections.abc import Callable
from typing import Protocol

from temporalio import activity

from activities.heartbeat import beating
from domain.judging import JudgeCommit as JudgeCommit
from domain.judging import RunGate as RunGate
from domain.judging import SelectGates as SelectGates
from domain.review import GateResult, GateSet


class GateRunner(Protocol):
    """Measures commits; cancelling ends every process that it has started."""

    async def select(self, order: SelectGates) -> GateSet: ...

    async def judge(self, order: RunGate, progress: Callable[[str], None]) -> GateResult: ...


class Quality:
    """The judgement of the platform: safe to repeat, since what was measured is cached."""

    def __init__(self, gates: GateRunner) -> None:
        self._gates = gates

    @activity.defn
    async def select_gates(self, order: SelectGates) -> GateSet:
        """Return the gates of a base commit; raises `Rejected` for a bad `.slipway.yaml`."""
        async with beating():
            return await self._gates.select(order)

    @activity.defn
    async def run_gate(self, order: RunGate) -> GateResult:
        """Return one verdict; a red gate is a result, never an error."""
        async with beating() as beat:
            return await self._gates.judge(order, beat)
