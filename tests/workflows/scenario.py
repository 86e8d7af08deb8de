"""What the tests of deliveries share: a small idea, waiting for its board, answering it."""

import asyncio
import json
from collections.abc import Callable
from uuid import uuid4

from temporalio.client import WorkflowHandle

from domain.approval import Envelope
from domain.board import Board
from domain.delivery import Patience, Width
from domain.idea import Acceptance, Idea, IdeaSpec, Initiator, Metric, Trust
from domain.repository import Repository
from tests.fakes import World
from workflows.deliver import DeliverIdea

SPEC = IdeaSpec(
    title="A small change",
    goal="Something is better.",
    acceptance=(Acceptance(id="A1", given="a", when="b", then="c", kind="manual"),),
    success_metrics=(
        Metric(name="tests", query="tests.failed", comparator="no_worse_than_baseline"),
    ),
)
WIDTH = Width()
QUICK = Patience(
    heartbeat=2,
    workflow_task=5,
    retry_first=0.05,
    retry_max=0.2,
    answer_by=60,
    use_by=60,
    train_idle=0.3,
)


def idea(**changes: object) -> Idea:
    return Idea(
        key=f"small-{uuid4().hex[:8]}",
        spec_digest="d",
        spec=SPEC,
        repository=Repository(id="r-1", name="r", location="/nowhere", base="refs/heads/main"),
        initiator=Initiator(id="ann", trust=Trust.OWNER),
    ).but(**changes)


async def until(handle: WorkflowHandle, seen: Callable[[Board], bool]) -> Board:
    """Return the board once it shows what is waited for."""
    async with asyncio.timeout(20):
        while True:
            board = await handle.query(DeliverIdea.board)
            if seen(board):
                return board


def waits_for(flag: str) -> Callable[[Board], bool]:
    return lambda board: any(wait.flag == flag for wait in board.waits)


async def answer_to(handle: WorkflowHandle, world: World, **changes: object) -> Envelope:
    """Return an answer to the question that is open now."""
    asks = waits_for("AwaitingApproval")
    await until(handle, lambda board: asks(board) and bool(world.told("question_asked")))
    question = world.told("question_asked")[-1].question
    answer = {
        "approval": question.approval,
        "workflow_id": handle.id,
        "subject_sha256": question.subject_sha256,
        "requirement_sha256": question.requirement_sha256,
        "person": "bob",
        "via": "cli",
        "decision": "approve",
        "received_at_ms": 1,
        "nonce": question.nonce,
    }
    return Envelope(payload=json.dumps(answer | changes))
