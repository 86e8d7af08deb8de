"""Twins of the capabilities that do nothing, and ideas that need nothing done."""

from uuid import uuid4

from temporalio import activity

from activities.agents import AttemptResult, ImplementTask
from activities.source import Head, ReadHead
from domain.change import Change
from domain.delivery import FAST, StartDelivery, Width
from domain.idea import Acceptance, Idea, IdeaSpec, Initiator, Metric, Trust
from domain.ledger import RecordFacts
from domain.plan import SkeletonTask
from domain.repository import Repository
from tests.fakes import BASE, World

SHA = "1" * 40
SPEC = IdeaSpec(
    title="A small change",
    goal="Something is better.",
    acceptance=(Acceptance(id="A1", given="a", when="b", then="c", kind="manual"),),
    success_metrics=(
        Metric(name="tests", query="tests.failed", comparator="no_worse_than_baseline"),
    ),
)

ONE = (SkeletonTask(id="only", title="Only"),)

# One task, two beside each other, one that needs both.
DIAMOND = (
    SkeletonTask(id="first", title="First"),
    SkeletonTask(id="left", title="Left", needs=("first",)),
    SkeletonTask(id="right", title="Right", needs=("first",)),
    SkeletonTask(id="last", title="Last", needs=("left", "right")),
)


class NoOps(World):
    """Answers at once and remembers nothing."""

    @activity.defn
    async def record_facts(self, order: RecordFacts) -> None:
        return

    @activity.defn
    async def read_head(self, order: ReadHead) -> Head:
        return Head(base_sha=BASE, head_sha=SHA, tree="t" * 40)

    @activity.defn
    async def implement_task(self, order: ImplementTask) -> AttemptResult:
        change = Change(base_sha=order.base_sha, sha=SHA, tree="t" * 40)
        return AttemptResult(status="changed", change=change, backend="builtin")


def start_order(width: int = 8) -> StartDelivery:
    """Return the start of an idea under a key of its own."""
    idea = Idea(
        key=f"bench-{uuid4().hex[:12]}",
        spec_digest="d",
        spec=SPEC,
        repository=Repository(id="r-1", name="r", location="/nowhere", base="refs/heads/main"),
        initiator=Initiator(id="ann", trust=Trust.OWNER),
    )
    return StartDelivery(idea=idea, patience=FAST, width=Width(tasks=width))
