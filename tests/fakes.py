"""Twins of the capabilities: they keep everything in memory and need nothing outside."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.agents import AttemptResult, ImplementTask
from activities.planning import PlanIdea, Planned
from activities.policies import DecidePhase
from activities.quality import RunGate, SelectGates
from activities.source import (
    Composed,
    ComposeTask,
    DiscardIdea,
    Head,
    Joined,
    JoinTrain,
    LeaveTrain,
    MeasureChange,
    MergeResult,
    OpenRound,
    ReadHead,
    RoundOpened,
)
from domain.change import Change, Release
from domain.delivery import Stage
from domain.fact import Fact
from domain.ledger import RecordFacts, Registered, RegisterIdea
from domain.plan import Skeleton, SkeletonTask
from domain.policy import Decision, PolicyOutcome
from domain.record import ArtifactRef
from domain.repository import RepositoryFacts
from domain.review import Counts, EvidenceLevel, GateResult, GateSet, GateSpec, Verdict
from domain.stages import legal, stage_after

BASE = "b" * 40
GATES = GateSet(
    project="python",
    gates=(
        GateSpec(name="setup", kind="setup", timeout_seconds=5),
        GateSpec(name="tests", kind="tests", timeout_seconds=5),
    ),
    digest="gates",
)


def skeleton(*tasks: SkeletonTask) -> Skeleton:
    """Return a plan of these tasks, or of one."""
    chosen = tasks or (SkeletonTask(id="one", title="One task"),)
    ref = ArtifactRef(sha256="p" * 64, size=1)
    return Skeleton(plan=ref, plan_id="p1", version=1, created_by="test", tasks=chosen)


def gate_result(gate: str, verdict: Verdict = Verdict.PASSED, reason: str = "fine") -> GateResult:
    return GateResult(
        gate=gate,
        kind=gate,
        verdict=verdict,
        reason=reason,
        level=EvidenceLevel.IDS,
        base=Counts(collected=3, passed=3),
        after=Counts(collected=3, passed=3),
    )


class World:
    """All capabilities in one; tests change the attributes to make it behave otherwise."""

    def __init__(self, plan: Skeleton | None = None) -> None:
        self.plan = plan or skeleton()
        self.planned: list[Planned] = []  # answers of the planner before the plan
        self.facts: list[Fact] = []
        self.stages: dict[str, Stage] = {}  # by the key of the idea
        self.operations: list[str] = []
        self.decisions: dict[str, list[Decision]] = {}
        self.attempts: dict[str, list[AttemptResult]] = {}  # task -> results before a change
        self.gates: dict[str, list[GateResult]] = {}  # gate -> results before a pass
        self.compositions: list[Composed] = []
        self.merges: list[MergeResult] = []
        self.worked: list[ImplementTask] = []
        self.discarded: list[str] = []
        self.left: list[str] = []
        self.hold: asyncio.Event | None = None  # agents wait for it, if set
        self.working = asyncio.Event()
        self.running = 0
        self.most_at_once = 0

    def activities(self) -> list[Callable[..., Any]]:
        names = (name for name in dir(self) if name[0] != "_")
        members = (getattr(self, name) for name in names)
        return [each for each in members if hasattr(each, "__temporal_activity_definition")]

    def told(self, kind: str) -> list[Any]:
        """Return the recorded facts of one kind, in order."""
        return [fact for fact in self.facts if fact.kind == kind]

    @activity.defn
    async def register_idea(self, order: RegisterIdea) -> Registered:
        self.stages[order.idea.key] = Stage.REGISTERED
        return Registered(accepted=True)

    @activity.defn
    async def record_facts(self, order: RecordFacts) -> None:
        if order.op not in self.operations:  # the same again is no news, as in the real ledger
            self.operations.append(order.op)
            for fact in order.facts:
                self._reach(order.key, fact)
            self.facts += order.facts

    def _reach(self, key: str, fact: Fact) -> None:
        """Refuse what the real ledger would refuse."""
        now = self.stages.get(key, Stage.REGISTERED)
        to = stage_after(fact, now)
        if not legal(now, to):
            message = f"{key} cannot go from {now} to {to}"
            raise ApplicationError(message, type="Rejected", non_retryable=True)
        self.stages[key] = to

    @activity.defn
    async def open_round(self, order: OpenRound) -> RoundOpened:
        facts = RepositoryFacts(base_sha=BASE, bare=True, base_moves=True)
        return RoundOpened(base_sha=BASE, head_sha=BASE, facts=facts)

    @activity.defn
    async def read_head(self, order: ReadHead) -> Head:
        sha = f"{len(self.worked):040d}" if self.worked else BASE
        return Head(base_sha=BASE, head_sha=sha, tree="t" * 40)

    @activity.defn
    async def compose_task(self, order: ComposeTask) -> Composed:
        if self.compositions:
            return self.compositions.pop(0)
        return Composed(status="merged", head_sha=order.sha, tree="t" * 40)

    @activity.defn
    async def measure_change(self, order: MeasureChange) -> Change:
        return Change(base_sha=order.base_sha, sha=order.sha, tree="t" * 40, patch_id="patch")

    @activity.defn
    async def discard_idea(self, order: DiscardIdea) -> None:
        self.discarded.append(order.key)

    @activity.defn
    async def join_train(self, order: JoinTrain) -> Joined:
        entry = order.entry
        result = self._merged(order) if not self.merges else self.merges.pop(0)
        if result.status != "left":
            handle = activity.client().get_workflow_handle(entry.workflow_id)
            await handle.signal("merge_result", result.but(key=entry.key, round=entry.round))
        return Joined(train="train/x/main", position=1)

    @activity.defn
    async def leave_train(self, order: LeaveTrain) -> None:
        self.left.append(order.key)
        handle = activity.client().get_workflow_handle(f"idea/{order.key}")
        result = MergeResult(key=order.key, round=order.round, status="left", reason=order.reason)
        await handle.signal("merge_result", result)

    @activity.defn
    async def select_gates(self, order: SelectGates) -> GateSet:
        return GATES

    @activity.defn
    async def run_gate(self, order: RunGate) -> GateResult:
        waiting = self.gates.get(order.gate.name)
        return waiting.pop(0) if waiting else gate_result(order.gate.name)

    @activity.defn
    async def plan_idea(self, order: PlanIdea) -> Planned:
        if self.planned:
            return self.planned.pop(0)
        return Planned(status="planned", skeleton=self.plan, backends=("builtin",))

    @activity.defn
    async def implement_task(self, order: ImplementTask) -> AttemptResult:
        self.worked.append(order)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        self.working.set()
        try:
            await self._held()
        finally:
            self.running -= 1
        waiting = self.attempts.get(order.task)
        if waiting:
            return waiting.pop(0)
        sha = f"{len(self.worked):040d}"
        change = Change(base_sha=order.base_sha, sha=sha, tree="t" * 40)
        return AttemptResult(status="changed", change=change, backend="builtin")

    @activity.defn
    async def decide_phase(self, order: DecidePhase) -> Decision:
        waiting = self.decisions.get(order.facts.phase)
        if waiting:
            return waiting.pop(0)
        return Decision(phase=order.facts.phase, outcome=PolicyOutcome.ALLOW)

    async def _held(self) -> None:
        """Work until the test lets go, heartbeating so that a cancel arrives."""
        while self.hold is not None and not self.hold.is_set():
            activity.heartbeat()
            try:
                await asyncio.wait_for(self.hold.wait(), 0.1)
            except TimeoutError:
                continue

    def _merged(self, order: JoinTrain) -> MergeResult:
        entry = order.entry
        release = Release(
            round=entry.round,
            sha="c" * 40,
            tree="t" * 40,
            branch="main",
            tag="v1.3.0",
            base_moved=True,
        )
        return MergeResult(
            key=entry.key, round=entry.round, status="merged", reason="", release=release
        )
