"""The typed client on a real server, with a twin of `DeliverIdea` that echoes."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.approval import Answered, Envelope
from domain.delivery import FAST, Answer, Revise, StartDelivery, Steer
from domain.errors import Rejected, Unavailable
from domain.idea import Idea
from starter import client as client_module
from starter.client import Deliveries
from tests.facts import idea
from workflows.names import DELIVERY

pytestmark = pytest.mark.server


@workflow.defn(name="DeliverIdea", sandboxed=False)
class Twin:
    """Answers every message in words, refuses a second pause, ends when cancelled."""

    def __init__(self) -> None:
        self._over = False
        self._paused = False

    @workflow.run
    async def run(self, start: StartDelivery) -> None:
        await workflow.wait_condition(lambda: self._over)
        if start.idea.spec.title == "Break":
            raise Rejected("it broke", code="broken")

    @workflow.update
    async def pause(self, steer: Steer) -> str:
        self._paused = True
        return f"paused by {steer.actor}"

    @pause.validator
    def _check(self, steer: Steer) -> None:
        if self._paused:
            raise Rejected("it is paused already")

    @workflow.update
    async def cancel_idea(self, steer: Steer) -> str:
        self._over = True
        return f"over: {steer.mode}"

    @workflow.update
    async def answer_question(self, answer: Answer) -> str:
        return f"{answer.question}: {answer.text}"

    @workflow.update
    async def revise_spec(self, revise: Revise) -> str:
        return f"revised by {revise.actor}"

    @workflow.update
    async def answer_approval(self, envelope: Envelope) -> Answered:
        return Answered(approval=envelope.payload, state="approved", approvals=1)


@pytest_asyncio.fixture(loop_scope="session")
async def deliveries(temporal: WorkflowEnvironment) -> AsyncIterator[Deliveries]:
    async with Worker(
        temporal.client,
        task_queue=DELIVERY,
        workflows=[Twin],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield Deliveries(temporal.client, FAST)


def fresh(**changes: object) -> Idea:
    return idea(key=f"idea-{uuid4().hex[:8]}").but(**changes)


async def begun(deliveries: Deliveries) -> str:
    one = fresh()
    assert await deliveries.start(StartDelivery(idea=one, patience=FAST))
    return one.key


STEER = Steer(actor="ada")


async def test_an_idea_starts_once_and_its_digest_is_remembered(deliveries: Deliveries):
    start = StartDelivery(idea=fresh(), patience=FAST)

    first, second = await deliveries.start(start), await deliveries.start(start)

    assert (first, second) == (True, False)
    assert await deliveries.digest_of(start.idea.key) == start.idea.spec_digest
    await deliveries.steer(start.idea.key, "cancel_idea", STEER)


async def test_an_ended_idea_does_not_start_again(deliveries: Deliveries):
    start = StartDelivery(idea=fresh(), patience=FAST)
    await deliveries.start(start)
    await deliveries.steer(start.idea.key, "cancel_idea", STEER)

    assert not await deliveries.start(start)


async def test_two_starts_at_once_make_one_idea(deliveries: Deliveries):
    start = StartDelivery(idea=fresh(), patience=FAST)

    started = await asyncio.gather(*(deliveries.start(start) for _ in range(5)))

    assert sum(started) == 1
    await deliveries.steer(start.idea.key, "cancel_idea", STEER)


async def test_what_is_searched_for_is_set_at_the_start(
    deliveries: Deliveries, temporal: WorkflowEnvironment
):
    key = await begun(deliveries)

    told = await temporal.client.get_workflow_handle(f"idea/{key}").describe()

    found = {pair.key.name: pair.value for pair in told.typed_search_attributes}
    assert found["SlipwayIdea"] == key
    assert found["SlipwayInitiator"] == "ada"
    assert await told.static_summary() == "Add a health endpoint"
    await deliveries.steer(key, "cancel_idea", STEER)


async def test_messages_arrive_and_are_answered(deliveries: Deliveries):
    key = await begun(deliveries)

    paused = await deliveries.steer(key, "pause", STEER)
    answered = await deliveries.answer_question(key, Answer(question="q1", text="yes", actor="ada"))
    revised = await deliveries.revise(key, Revise(idea=fresh(), actor="ada"))
    voted = await deliveries.answer_approval(key, Envelope(payload="{}"))
    over = await deliveries.steer(key, "cancel_idea", STEER.but(mode="drain"))

    assert [paused, answered, revised, over] == [
        "paused by ada", "q1: yes", "revised by ada", "over: drain",
    ]  # fmt: skip
    assert (voted.state, voted.approval) == ("approved", "{}")


async def test_a_refusal_is_told_in_the_words_of_the_idea(deliveries: Deliveries):
    key = await begun(deliveries)
    await deliveries.steer(key, "pause", STEER)

    with pytest.raises(Rejected, match="it is paused already"):
        await deliveries.steer(key, "pause", STEER)
    await deliveries.steer(key, "cancel_idea", STEER)


async def test_an_idea_that_does_not_run_is_no_fault_of_the_server(deliveries: Deliveries):
    with pytest.raises(Rejected, match="does not run") as caught:
        await deliveries.steer("none", "pause", STEER)

    assert caught.value.problem.code == "not_open"


async def test_a_workflow_that_broke_says_why(deliveries: Deliveries):
    one = fresh()
    start = StartDelivery(idea=one.but(spec=one.spec.but(title="Break")), patience=FAST)
    await deliveries.start(start)
    running = await deliveries.failure_of(one.key)
    await deliveries.steer(one.key, "cancel_idea", STEER)

    with_reason = await until_broken(deliveries, one.key)

    assert (running, "it broke" in with_reason) == ("", True)


async def until_broken(deliveries: Deliveries, key: str) -> str:
    for _ in range(200):
        if broken := await deliveries.failure_of(key):
            return broken
        await asyncio.sleep(0.02)
    return ""


async def test_without_a_worker_a_message_does_not_wait_for_ever(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
):
    from datetime import timedelta

    monkeypatch.setattr(client_module, "_UPDATE", timedelta(seconds=0.3))
    deliveries = Deliveries(temporal.client, FAST)
    one = fresh()
    await deliveries.start(StartDelivery(idea=one, patience=FAST))

    with pytest.raises(Unavailable, match="No worker has answered") as caught:
        await deliveries.steer(one.key, "pause", STEER)

    assert caught.value.problem.code == "no_worker"
    await temporal.client.get_workflow_handle(f"idea/{one.key}").terminate()
