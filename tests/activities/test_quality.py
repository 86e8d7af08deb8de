"""Quality as an activity: one record in, one out, with heartbeats."""

from collections.abc import Callable
from datetime import timedelta

from temporalio.testing import ActivityEnvironment

from activities.quality import Quality, RunGate, SelectGates
from domain.repository import Repository
from domain.review import GateResult, GateSet, GateSpec, Verdict

REPOSITORY = Repository(id="r-1", name="r", location="/r", base="refs/heads/main")


class OneGate:
    """Gates that pass, and say so while they work."""

    async def select(self, order: SelectGates) -> GateSet:
        return GateSet(project="other", gates=(GateSpec(name=order.base_sha, kind="tests"),))

    async def judge(self, order: RunGate, progress: Callable[[str], None]) -> GateResult:
        progress("tests on abc")
        return GateResult(gate=order.gate.name, kind="tests", verdict=Verdict.PASSED, reason="ok")


def surroundings() -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = environment.info.__class__(
        **{**environment.info.__dict__, "heartbeat_timeout": timedelta(seconds=30)}
    )
    return environment


async def test_selects_gates() -> None:
    order = SelectGates(repository=REPOSITORY, base_sha="abc")

    found = await surroundings().run(Quality(OneGate()).select_gates, order)

    assert [gate.name for gate in found.gates] == ["abc"]


async def test_runs_a_gate_and_heartbeats_its_progress() -> None:
    environment = surroundings()
    beats: list[tuple[object, ...]] = []
    environment.on_heartbeat = lambda *details: beats.append(details)
    order = RunGate(
        key="k", round=1, where="task", repository=REPOSITORY, base_sha="a", sha="b",
        gate=GateSpec(name="tests", kind="tests"), gate_set="d",
    )  # fmt: skip

    result = await environment.run(Quality(OneGate()).run_gate, order)

    assert result.verdict == Verdict.PASSED
    assert ("tests on abc",) in beats
