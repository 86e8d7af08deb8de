"""What the tests of releases share: a world whose merges are commits, and workers for all."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.source import (
    Composed,
    ComposeTask,
    JoinTrain,
    MeasureChange,
    MergeResult,
    OpenRound,
    RoundOpened,
)
from domain.change import Change, FileChange, Release
from domain.idea import RecipeRef, Repair
from domain.ledger import RecordFacts
from domain.rollout_fact import RolloutPlanned
from domain.service import Analysis, Environment, Service, Step, Strategy
from tests.fakes import BASE, World
from tests.fleet import Town
from workflows.deliver import DeliverIdea
from workflows.deploy import DeployRelease
from workflows.implement import ImplementTask
from workflows.monitor import WatchRelease
from workflows.names import DELIVERY, DEPLOYMENTS, QUEUES
from workflows.retire import RetireRelease
from workflows.undo import RollBackRelease

SERVICE = Service(
    run=("serve", "--port", "{port}"),
    strategy=Strategy(
        steps=(Step(weight=20, hold=0.6), Step(weight=100, hold=0)),
        hold_cap=5,
        bake=0.6,
        keep_old=0,
    ),
    analysis=Analysis(tick=0.1),
    environments={"production": Environment(port=8080)},
)
WORKFLOWS = [
    DeliverIdea, ImplementTask, DeployRelease, WatchRelease, RollBackRelease, RetireRelease,
]  # fmt: skip
REPAIR = Repair(kind="forward", recipe=RecipeRef(name="mend"))


class Forge(World):
    """A world whose merges are commits in the town's history."""

    def __init__(self, town: Town) -> None:
        super().__init__()
        self.town = town
        self.entries: list[Any] = []
        self.composed: list[ComposeTask] = []

    @activity.defn
    async def record_facts(self, order: RecordFacts) -> None:
        await super().record_facts(order)
        for fact in order.facts:
            if isinstance(fact, RolloutPlanned):
                self.town.memory.plans[fact.plan.rollout] = fact.plan

    @activity.defn
    async def open_round(self, order: OpenRound) -> RoundOpened:
        opened = await super().open_round(order)
        return opened.but(facts=opened.facts.but(services=True))

    @activity.defn
    async def compose_task(self, order: ComposeTask) -> Composed:
        self.composed.append(order)
        return Composed(status="merged", head_sha=order.sha, tree="t" * 40)

    @activity.defn
    async def measure_change(self, order: MeasureChange) -> Change:
        files = () if order.sha == order.base_sha else (FileChange(path="a.py", kind="modified"),)
        return Change(
            base_sha=order.base_sha, sha=order.sha, tree="t" * 40, patch_id="patch",
            files=files, file_count=len(files),
        )  # fmt: skip

    def _merged(self, order: JoinTrain) -> MergeResult:
        entry, commits = order.entry, self.town.line.commits
        self.entries.append(entry)
        before, sha = commits[-1], f"{len(commits):x}" * 40
        commits.append(sha)
        release = Release(
            round=entry.round, sha=sha, tree="t" * 40, branch="main", tag=f"v{len(commits)}",
            base_moved=True, parent_sha=before,
        )  # fmt: skip
        return MergeResult(
            key=entry.key, round=entry.round, status="merged", reason="", release=release
        )


@asynccontextmanager
async def serving(client: Client, world: Forge) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for queue in QUEUES:
            activities = world.town if queue == DEPLOYMENTS else world
            await stack.enter_async_context(
                Worker(
                    client,
                    task_queue=queue,
                    workflows=WORKFLOWS if queue == DELIVERY else [],
                    activities=[] if queue == DELIVERY else activities.activities(),
                )
            )
        yield


def new_world() -> Forge:
    """Return a world with one commit and nothing installed."""
    town = Town(SERVICE)
    town.line.commits = [BASE]
    return Forge(town)
