"""`slipway release promote|hold|rollback|retry` on a real server, with twins of the workflows."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from config.settings import Settings
from domain.delivery import Steer
from domain.deployment import Place
from domain.errors import Rejected
from domain.rollout import Undo
from domain.rollout_fact import RolloutMoved, RolloutPlanned, RolloutUndone
from starter import entry
from starter.codes import Exit
from tests.facts import idea
from tests.rollouts import FIRST, SECOND, served
from tests.starter.rollouts_told import NEW, OLD, S, Teller, first, passed, result, second
from tests.starter.rollouts_told import chosen as chosen
from workflows.names import DELIVERY, deploy_id, idea_id, rollback_id
from workflows.undo import StartRollback

pytestmark = pytest.mark.server

Said = tuple[int, str, str]
Say = Callable[..., Awaitable[Said]]


@workflow.defn(name="DeployRelease", sandboxed=False)
class Rollout:
    """Answers each message in words, refuses to be held twice, ends when it is undone."""

    def __init__(self) -> None:
        self._over = self._held = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._over)

    @workflow.update
    async def promote_rollout(self, steer: Steer) -> str:
        return f"promoted by {steer.via}: {steer.reason}"

    @workflow.update
    async def hold_rollout(self, steer: Steer) -> str:
        self._held = True
        return "held at 5 %"

    @hold_rollout.validator
    def _check(self, steer: Steer) -> None:
        if self._held:
            raise Rejected("it is held already")

    @workflow.update
    async def roll_back(self, steer: Steer) -> str:
        self._over = True
        return "undoing"


@workflow.defn(name="RollBackRelease", sandboxed=False)
class WayBack:
    """Undoes at once; the reason tells how it ends."""

    @workflow.run
    async def run(self, start: StartRollback) -> Undo:
        if "breaks" in start.reason:
            raise Rejected("no instance of the release before becomes ready", code="never_ready")
        anchor = start.order.anchor
        return Undo(
            rollout=start.order.rollout,
            verified="badly" not in start.reason,
            reason="the traffic is back",
            anchor_sha=anchor.sha if anchor else "",
            checks=(f"by {start.by.actor if start.by else 'nobody'}",),
        )


@workflow.defn(name="DeliverIdea", sandboxed=False)
class Idea:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def retry_task(self, steer: Steer) -> str:
        return f"again: {steer.task or 'the question'}"


@pytest_asyncio.fixture(loop_scope="session")
async def server(
    temporal: WorkflowEnvironment, chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WorkflowEnvironment]:
    target = temporal.client.service_client.config.target_host
    monkeypatch.setenv("TEMPORAL_ADDRESS", target)
    async with Worker(
        temporal.client,
        task_queue=DELIVERY,
        workflows=[Rollout, WayBack, Idea],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield temporal


@pytest.fixture
def say(chosen: Settings, capsys: pytest.CaptureFixture[str]) -> Say:
    async def say(*line: str) -> Said:
        code = await asyncio.to_thread(entry.run, ["release", *line])
        said = capsys.readouterr()
        return code, said.out, said.err

    return say


@pytest.fixture
def place() -> Place:
    """A target of its own for each test: workflow ids are the server's."""
    repository = idea().repository.but(id=f"shop-{uuid4().hex[:8]}")
    return Place(repository=repository, service="web", environment="production")


@pytest_asyncio.fixture
async def teller(chosen: Settings) -> AsyncIterator[Teller]:
    teller = Teller(chosen)
    yield teller
    await teller.close()


async def tell_open(teller: Teller, place: Place) -> None:
    """Tell of a release that passed, and of a newer one that has a share of the traffic."""
    await teller.begin()
    await teller.tell(RolloutPlanned(plan=first(place)), passed(first(place)))
    await teller.database.rollouts.set_passed(served(FIRST, OLD, place.target))
    await teller.tell(
        RolloutPlanned(plan=second(place)),
        RolloutMoved(rollout=SECOND, state=S.SHIFTING, weight=500),
    )


async def tell_passed(teller: Teller, place: Place) -> None:
    """Tell of two releases that have passed; the newer one is served."""
    await tell_open(teller, place)
    await teller.tell(passed(second(place)))
    now = served(SECOND, NEW, place.target).but(tag="v1.1.0")
    await teller.database.rollouts.set_current(now)
    await teller.database.rollouts.set_passed(now)


async def running(server: WorkflowEnvironment, place: Place) -> WorkflowHandle[Rollout, None]:
    return await server.client.start_workflow(
        Rollout.run, id=deploy_id(place.target), task_queue=DELIVERY
    )


async def test_messages_reach_the_open_rollout_and_are_answered(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    await tell_open(teller, place)
    await running(server, place)

    promoted = await say("promote", "web", "-r", "looks fine")
    held = await say("hold", SECOND, "--json")
    again = await say("hold", "web/production")
    undone = await say("rollback", "web")

    assert promoted == (Exit.DONE, f"{place.target}: promoted by cli: looks fine\n", "")
    assert json.loads(held[1])["message"] == "held at 5 %"
    assert (again[0], "it is held already" in again[2]) == (Exit.INVALID, True)
    assert (undone[0], undone[1]) == (Exit.DONE, f"{place.target}: undoing\n")
    assert f"slipway release watch {SECOND}" in undone[2]


async def test_what_has_ended_can_not_be_promoted(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    await tell_passed(teller, place)

    code, _, err = await say("promote", "web")

    assert code == Exit.INVALID
    assert "the last one, v1.1.0, ended as passed" in err


async def test_what_has_passed_is_undone_by_a_way_back_of_its_own(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    await tell_passed(teller, place)

    code, out, _ = await say("rollback", "web", "--reason", "slow", "--wait", "--json")

    told = json.loads(out)
    assert code == Exit.DONE
    assert (told["rollout"], told["undo"]["anchor_sha"]) == (SECOND, OLD)
    assert told["message"] == "undoing v1.1.0: all traffic goes to v1.0.0"
    handle = server.client.get_workflow_handle(rollback_id(place.target))
    assert (await handle.describe()).workflow_type == "RollBackRelease"


async def test_an_undo_that_is_not_proven_ends_with_3_and_a_broken_one_says_why(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    await tell_passed(teller, place)

    unproven = await say("rollback", "web", "-r", "badly", "--wait")
    broken = await say("rollback", "web", "-r", "it breaks", "--wait")

    assert (unproven[0], "but that is not proven" in unproven[1]) == (Exit.ENDED, True)
    assert broken[0] == Exit.INVALID
    assert "no instance of the release before becomes ready" in broken[2]


async def test_a_rollout_whose_workflow_is_lost_is_undone_all_the_same(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    await tell_open(teller, place)

    code, out, _ = await say("rollback", "web", "--wait")

    assert code == Exit.DONE
    assert "v1.1.0 is undone, and that is proven" in out


async def test_waiting_for_an_open_rollout_ends_with_its_own_undo(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    await tell_open(teller, place)
    handle = await running(server, place)

    asked = asyncio.create_task(say("rollback", "web", "--wait", "--json"))
    await handle.result()
    undo = Undo(rollout=SECOND, verified=True, reason="all is well")
    await teller.tell(RolloutUndone(undo=undo), result(second(place), S.UNDONE))
    code, out, _ = await asked

    assert code == Exit.DONE
    assert json.loads(out)["undo"]["reason"] == "all is well"


async def test_an_idea_whose_rollout_is_held_tries_again(
    server: WorkflowEnvironment, teller: Teller, say: Say, place: Place
):
    key = f"idea-{uuid4().hex[:8]}"
    await teller.begin(key)
    plan = second(place).but(key=key)
    await teller.tell(RolloutPlanned(plan=plan), result(plan, S.HELD), key=key)
    await server.client.start_workflow(Idea.run, id=idea_id(key), task_queue=DELIVERY)

    code, out, _ = await say("retry", "web")

    assert (code, out) == (Exit.DONE, f"{place.target}: again: the question\n")
    await server.client.get_workflow_handle(idea_id(key)).terminate()
