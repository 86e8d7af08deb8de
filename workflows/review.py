"""Run the gates of a repository on a commit, all at once, and say what they mean together."""

import asyncio

from temporalio import workflow

from activities.quality import JudgeCommit, Quality, RunGate
from domain.delivery import Patience
from domain.plan import SkeletonTask
from domain.review import GateBrief, GateResult, GateSet, GateSpec
from workflows.options import gate as gate_options

ACCEPTANCE = "accept-"


async def run_gates(
    order: JudgeCommit, gates: tuple[GateBrief, ...], patience: Patience
) -> tuple[GateResult, ...]:
    """Return one result per gate, in the order of the gates.

    Set-up goes first, since the others need what it builds.
    """
    first = [gate for gate in gates if gate.kind == "setup"]
    rest = [gate for gate in gates if gate.kind != "setup"]
    results = [await _run(order, gate, patience) for gate in first]
    results += await asyncio.gather(*(_run(order, gate, patience) for gate in rest))
    return tuple(results)


async def _run(order: JudgeCommit, gate: GateBrief, patience: Patience) -> GateResult:
    return await workflow.execute_activity_method(
        Quality.run_gate,
        RunGate.model_validate({**dict(order), "gate": _spec(gate)}),
        **gate_options(
            patience,
            gate.timeout_seconds,
            f"{gate.name} on {order.sha[:10]}" + (f" ({order.task})" if order.task else ""),
        ),
    )


def briefs(gates: GateSet) -> tuple[GateBrief, ...]:
    """Return the gates as a child workflow carries them."""
    return tuple(
        GateBrief(name=gate.name, kind=gate.kind, timeout_seconds=gate.timeout_seconds)
        for gate in gates.gates
    )


def of_revert(gates: GateSet, *, exact: bool) -> GateSet:
    """Return the gates of a revert: it takes the idea's criteria back with the idea.

    One that is byte for byte what was before may remove tests, and be of any size.
    """
    exempt = ("census", "churn") if exact else ()
    kept = (
        gate
        for gate in gates.gates
        if not gate.name.startswith(ACCEPTANCE) and gate.kind not in exempt
    )
    return gates.but(gates=tuple(kept))


def task_briefs(
    gates: GateSet, task: SkeletonTask, tasks: tuple[SkeletonTask, ...]
) -> tuple[GateBrief, ...]:
    """Return the gates of one task.

    An acceptance criterion can be met only by all tasks that cover it together, so it is judged
    in a task only where that task covers it alone; the review judges all of them.
    """
    others = {id_ for other in tasks if other.id != task.id for id_ in other.covers}
    alone = [f"{ACCEPTANCE}{id_}" for id_ in task.covers if id_ not in others]
    return tuple(
        gate for gate in briefs(gates) if not gate.name.startswith(ACCEPTANCE) or gate.name in alone
    )


def _spec(brief: GateBrief) -> GateSpec:
    return GateSpec.model_validate(brief.model_dump())
