"""The life of an idea on a real server, with twins of all capabilities."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.worker import Worker

from activities.agents import AttemptResult
from activities.planning import Planned
from activities.source import Composed, MergeResult
from domain.delivery import (
    Answer,
    FailureClass,
    Patience,
    Revise,
    Stage,
    StartDelivery,
    Steer,
    TaskState,
    Width,
)
from domain.errors import Problem
from domain.idea import Idea, Mode
from domain.plan import SkeletonTask
from domain.policy import Decision, PolicyOutcome
from domain.review import Verdict
from tests.fakes import World, gate_result, skeleton
from tests.workflows.scenario import QUICK, SPEC, WIDTH, answer_to, idea, until, waits_for
from workflows.deliver import DeliverIdea, DeliveryEnd
from workflows.implement import ImplementTask
from workflows.names import QUEUES

pytestmark = pytest.mark.server


@pytest.fixture
def start(temporal) -> Callable[..., Awaitable[WorkflowHandle[DeliverIdea, DeliveryEnd]]]:
    async def begin(the: Idea, patience: Patience = QUICK, width: Width = WIDTH):
        return await temporal.client.start_workflow(
            DeliverIdea.run,
            StartDelivery(idea=the, patience=patience, width=width),
            id=f"idea/{the.key}",
            task_queue="delivery",
        )

    return begin


@asynccontextmanager
async def serving(temporal, world: World, cached_workflows: int = 1_000) -> AsyncIterator[None]:
    """Serve all queues with the twins; without a cache each workflow task is a full replay."""
    workers = [
        Worker(
            temporal.client,
            task_queue=queue,
            workflows=[DeliverIdea, ImplementTask] if queue == "delivery" else [],
            activities=[] if queue == "delivery" else world.activities(),
            max_cached_workflows=cached_workflows,
        )
        for queue in QUEUES
    ]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield


async def test_carries_an_idea_to_a_tagged_merge(temporal, start):
    world = World()
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert (end.outcome.stage, end.tag) == (Stage.COMPLETED, "v1.3.0")
    assert [fact.stage for fact in world.told("stage_reached")] == [
        "Validating", "Planning", "Critiquing", "Scheduled", "Running", "Reviewing", "Integrating",
    ]  # fmt: skip
    assert [fact.outcome.stage for fact in world.told("idea_ended")] == [Stage.COMPLETED]


async def test_runs_tasks_by_dependency_and_width(temporal, start):
    tasks = [SkeletonTask(id=f"t{n}", title=f"Task {n}") for n in range(6)]
    last = SkeletonTask(id="last", title="Last", needs=tuple(task.id for task in tasks))
    world = World(skeleton(*tasks, last))
    async with serving(temporal, world):
        await (await start(idea(), width=Width(tasks=2))).result()

    assert world.worked[-1].task == "last"
    assert len(world.worked) == 7
    assert world.most_at_once <= 2


async def test_repairs_what_a_gate_finds(temporal, start):
    world = World()
    world.gates["tests"] = [gate_result("tests", Verdict.FAILED, "one test fails")]
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [
        (order.attempt, tuple(finding.text for finding in order.findings)) for order in world.worked
    ] == [(1, ()), (2, ("one test fails",))]
    assert f"{1:040d}" == world.worked[1].start_sha


async def test_does_a_task_again_after_a_conflict(temporal, start):
    world = World()
    world.compositions = [Composed(status="conflict", head_sha="x", tree="t", conflicts=("a.py",))]
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [order.start_sha for order in world.worked] == ["", ""]


async def test_waits_for_a_person_when_repairs_are_used_up(temporal, start):
    world = World(skeleton(SkeletonTask(id="one", title="One", attempts=1)))
    world.gates["tests"] = [gate_result("tests", Verdict.FAILED, "red")]
    async with serving(temporal, world):
        handle = await start(idea())
        board = await until(handle, waits_for("AwaitingInput"))
        told = await handle.execute_update(DeliverIdea.retry_task, Steer(actor="bob", task="one"))
        end = await handle.result()

    assert TaskState.FAILED is board.tasks[0].state
    assert told == "one starts again"
    assert Stage.COMPLETED is end.outcome.stage
    assert [fact.actor for fact in world.told("steered")] == ["bob"]
    assert [fact.attempt for fact in world.told("attempt_ended")] == [1, 2]


async def test_has_repaired_what_the_tasks_break_together(temporal, start):
    world = World()
    world.gates["tests"] = [
        gate_result("tests"),
        gate_result("tests", Verdict.FAILED, "red together"),
    ]
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [[finding.text for finding in order.findings] for order in world.worked] == [
        [],
        ["red together"],
    ]


async def test_waits_for_a_person_when_the_tasks_together_stay_red(temporal, start):
    world = World()
    red = gate_result("tests", Verdict.FAILED, "red together")
    world.gates["tests"] = [gate_result("tests"), red]
    async with serving(temporal, world):
        handle = await start(idea(), width=Width(review_rounds=0))
        board = await until(handle, waits_for("AwaitingInput"))
        told = await handle.execute_update(DeliverIdea.retry_task, Steer(actor="bob"))
        end = await handle.result()

    assert "red together" in board.waits[0].predicate
    assert told == "it is tried again"
    assert Stage.COMPLETED is end.outcome.stage


async def test_needs_no_cache_of_workflows(temporal, start):
    world = World(skeleton(*(SkeletonTask(id=f"t{n}", title=f"Task {n}") for n in range(3))))
    async with serving(temporal, world, cached_workflows=0):
        end = await (await start(idea())).result()

    assert Stage.COMPLETED is end.outcome.stage


async def test_skips_a_failed_task_and_what_needs_it(temporal, start):
    world = World(
        skeleton(
            SkeletonTask(id="bad", title="Bad", attempts=1),
            SkeletonTask(id="good", title="Good"),
            SkeletonTask(id="next", title="Next", needs=("bad",)),
        )
    )
    world.attempts["bad"] = [AttemptResult(status="no_change", reason="nothing to do")]
    async with serving(temporal, world):
        handle = await start(idea())
        await until(handle, waits_for("AwaitingInput"))
        told = await handle.execute_update(DeliverIdea.skip_task, Steer(actor="bob", task="bad"))
        end = await handle.result()

    assert told == "skipped: bad, next"
    assert Stage.COMPLETED is end.outcome.stage


async def test_refuses_to_skip_what_alone_covers_acceptance(temporal, start):
    world = World(skeleton(SkeletonTask(id="one", title="One", attempts=1, covers=("A1",))))
    world.attempts["one"] = [AttemptResult(status="no_change")]
    async with serving(temporal, world):
        handle = await start(idea())
        await until(handle, waits_for("AwaitingInput"))
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(DeliverIdea.skip_task, Steer(actor="bob", task="one"))
        await handle.execute_update(DeliverIdea.cancel_idea, Steer(actor="bob"))
        await handle.result()

    assert "only one covers A1" in str(refused.value.cause)


async def test_asks_the_planners_question_and_goes_on_with_the_answer(temporal, start):
    world = World()
    world.planned = [Planned(status="needs_input", question="Which one?", options=("x", "y"))]
    async with serving(temporal, world):
        handle = await start(idea())
        board = await until(handle, waits_for("AwaitingInput"))
        question = board.waits[0].subject
        await handle.execute_update(
            DeliverIdea.answer_question, Answer(question=question, text="x", actor="ann")
        )
        end = await handle.result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [(f.question, f.text) for f in world.told("input_given")] == [("plan-1-1", "x")]


async def test_takes_an_answer_to_an_agents_question_into_the_task(temporal, start):
    world = World()
    world.attempts["one"] = [AttemptResult(status="needs_input", questions=("Tabs?",))]
    async with serving(temporal, world):
        handle = await start(idea())
        board = await until(handle, waits_for("AwaitingInput"))
        answer = Answer(question=board.waits[0].subject, text="spaces", actor="ann")
        await handle.execute_update(DeliverIdea.answer_question, answer)
        end = await handle.result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [order.answers for order in world.worked] == [(), ("spaces",)]


async def test_refines_a_specification_that_can_not_be_planned(temporal, start):
    world = World()
    problem = Problem(code="cyclic", message="tasks a and b need each other")
    world.planned = [Planned(status="refused", problems=(problem,))]
    the = idea()
    async with serving(temporal, world):
        handle = await start(the)
        board = await until(handle, waits_for("AwaitingInput"))
        revised = Revise(idea=the.but(spec=SPEC.but(title="Better")), actor="ann")
        await handle.execute_update(DeliverIdea.revise_spec, revised)
        end = await handle.result()

    assert Stage.NEEDS_REFINEMENT is board.stage
    assert "need each other" in board.waits[0].predicate
    assert Stage.COMPLETED is end.outcome.stage
    assert [fact.idea.revision for fact in world.told("idea_revised")] == [2]


async def test_rejects_an_idea_without_edits(temporal, start):
    world = World()
    world.planned = [Planned(status="no_change", rationale="no edits")]
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert (end.outcome.stage, end.outcome.failure) == (Stage.REJECTED, FailureClass.NO_CHANGE)


async def test_a_dry_run_plans_and_stops(temporal, start):
    world = World()
    async with serving(temporal, world):
        end = await (await start(idea(mode=Mode.DRY_RUN))).result()

    assert Stage.SHADOW_COMPLETED is end.outcome.stage
    assert world.worked == []


REQUIRE = Decision(
    phase="merge",
    outcome=PolicyOutcome.REQUIRE,
    rules=("high risk",),
    reason="high risk needs a person",
    requirement_sha256="req",
)


async def test_waits_for_an_approval_and_merges_with_it(temporal, start):
    world = World()
    world.decisions["merge"] = [REQUIRE]
    async with serving(temporal, world):
        handle = await start(idea())
        envelope = await answer_to(handle, world)
        answered = await handle.execute_update(DeliverIdea.answer_approval, envelope)
        end = await handle.result()

    assert answered.state == "approved"
    assert Stage.COMPLETED is end.outcome.stage
    assert [fact.state for fact in world.told("question_closed")] == ["approved"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"nonce": "old"}, "stale_answer"),
        ({"subject_sha256": "other"}, "stale_answer"),
        ({"approval": "x/1/merge/9"}, "not_open"),
        ({"person": "ann"}, "not_eligible"),
        ({"decision": "perhaps"}, "not readable"),
    ],
)
async def test_refuses_answers_that_must_not_count(temporal, start, changes, why):
    world = World()
    world.decisions["merge"] = [REQUIRE]
    async with serving(temporal, world):
        handle = await start(idea())
        envelope = await answer_to(handle, world, **changes)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(DeliverIdea.answer_approval, envelope)
        await handle.execute_update(DeliverIdea.cancel_idea, Steer(actor="ann"))
        await handle.result()

    assert world.told("question_answered") == []
    assert refused.value.cause is not None
    texts = {
        "stale_answer": "something else",
        "not_open": "not open",
        "not_eligible": "has a part in this change",
    }
    assert texts.get(why, why) in str(refused.value.cause)


async def test_a_denial_ends_the_idea(temporal, start):
    world = World()
    world.decisions["merge"] = [REQUIRE]
    async with serving(temporal, world):
        handle = await start(idea())
        envelope = await answer_to(handle, world, decision="deny")
        await handle.execute_update(DeliverIdea.answer_approval, envelope)
        end = await handle.result()

    assert (end.outcome.stage, end.outcome.failure) == (Stage.REJECTED, FailureClass.POLICY_DENIED)


async def test_time_means_no_and_the_question_can_be_asked_again(temporal, start):
    world = World()
    world.decisions["merge"] = [REQUIRE, REQUIRE]
    async with serving(temporal, world):
        handle = await start(idea(), QUICK.but(answer_by=0.5))
        await until(handle, waits_for("AwaitingInput"))
        first = world.told("question_asked")[-1].question.approval
        await handle.execute_update(DeliverIdea.retry_task, Steer(actor="ann"))
        await until(handle, lambda _: len(world.told("question_asked")) == 2)
        await handle.execute_update(DeliverIdea.cancel_idea, Steer(actor="ann"))
        await handle.result()

    assert world.told("question_closed")[0].state == "expired"
    assert first != world.told("question_asked")[1].question.approval


async def test_policy_denies(temporal, start):
    world = World()
    world.decisions["start"] = [
        Decision(phase="start", outcome=PolicyOutcome.DENY, reason="strangers may not start")
    ]
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert (end.outcome.stage, end.outcome.reason) == (Stage.REJECTED, "strangers may not start")


async def test_pauses_and_resumes(temporal, start):
    world = World()
    world.hold = asyncio.Event()
    async with serving(temporal, world):
        handle = await start(idea())
        await world.working.wait()
        await handle.execute_update(DeliverIdea.pause, Steer(actor="bob", reason="look first"))
        world.hold.set()
        board = await until(handle, waits_for("Paused"))
        worked = len(world.worked)
        await handle.execute_update(DeliverIdea.resume, Steer(actor="bob"))
        end = await handle.result()

    assert (board.waits[0].flag, board.waits[0].owner) == ("Paused", "bob")
    assert worked == 1
    assert Stage.COMPLETED is end.outcome.stage


async def test_cancel_stops_the_agents_and_leaves_nothing(temporal, start):
    world = World()
    world.hold = asyncio.Event()
    the = idea()
    async with serving(temporal, world):
        handle = await start(the)
        await world.working.wait()
        told = await handle.execute_update(
            DeliverIdea.cancel_idea, Steer(actor="bob", reason="not wanted")
        )
        end = await handle.result()

    assert "1 running tasks stop" in told
    assert (end.outcome.stage, end.outcome.reason) == (Stage.CANCELLED, "not wanted")
    assert world.running == 0
    assert [the.key] == world.discarded
    assert TaskState.CANCELLED is world.told("task_moved")[-1].state


async def test_cancel_from_outside_cleans_up_too(temporal, start):
    world = World()
    world.hold = asyncio.Event()
    the = idea()
    async with serving(temporal, world):
        handle = await start(the)
        await world.working.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert [the.key] == world.discarded
    assert [fact.outcome.stage for fact in world.told("idea_ended")] == [Stage.CANCELLED]


async def test_draining_lets_running_tasks_finish(temporal, start):
    tasks = (
        SkeletonTask(id="one", title="One"),
        SkeletonTask(id="two", title="Two", needs=("one",)),
    )
    world = World(skeleton(*tasks))
    world.hold = asyncio.Event()
    async with serving(temporal, world):
        handle = await start(idea())
        await world.working.wait()
        await handle.execute_update(DeliverIdea.cancel_idea, Steer(actor="bob", mode="drain"))
        world.hold.set()
        end = await handle.result()

    assert Stage.CANCELLED is end.outcome.stage
    assert [order.task for order in world.worked] == ["one"]
    merged = [fact for fact in world.told("task_moved") if fact.state is TaskState.MERGED]
    assert [fact.task for fact in merged] == ["one"]


async def test_cancel_in_the_train_leaves_it(temporal, start):
    world = World()
    world.merges = [MergeResult(key="", round=1, status="left", reason="held back by the test")]
    the = idea()
    async with serving(temporal, world):
        handle = await start(the)
        await until(handle, waits_for("InTrain"))
        await handle.execute_update(DeliverIdea.cancel_idea, Steer(actor="bob"))
        end = await handle.result()

    assert [the.key] == world.left
    assert Stage.CANCELLED is end.outcome.stage


async def test_goes_another_round_when_the_base_has_moved_into_a_conflict(temporal, start):
    world = World()
    world.merges = [MergeResult(key="", round=1, status="conflict", reason="a.py")]
    async with serving(temporal, world):
        end = await (await start(idea())).result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [order.round for order in world.worked] == [1, 2]


async def test_asks_again_what_the_train_holds(temporal, start):
    world = World()
    held = gate_result("tests", Verdict.HELD, "base is red")
    world.merges = [MergeResult(key="", round=1, status="held", reason="held", gates=(held,))]
    world.decisions["merge"] = [
        Decision(phase="merge", outcome=PolicyOutcome.ALLOW),
        REQUIRE.but(self_approval=True),
    ]
    async with serving(temporal, world):
        handle = await start(idea())
        envelope = await answer_to(handle, world, person="ann")
        await handle.execute_update(DeliverIdea.answer_approval, envelope)
        end = await handle.result()

    assert Stage.COMPLETED is end.outcome.stage
    assert [fact.self_approved for fact in world.told("question_answered")] == [True]


async def test_refuses_messages_when_it_is_over(temporal, start):
    world = World()
    async with serving(temporal, world):
        handle = await start(idea())
        await handle.result()
        board = await handle.query(DeliverIdea.board)

    assert Stage.COMPLETED is board.stage
    assert board.waits == ()
