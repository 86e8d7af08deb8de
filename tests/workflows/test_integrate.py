"""The merge train on a real server, with real repositories and gates that read the commit."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.quality import RunGate
from activities.source import JoinTrain
from domain.delivery import Patience
from domain.errors import Rejected
from domain.review import GateResult, GateSet, GateSpec, Verdict
from domain.train import LeaveTrain, MergeResult, StartTrain, TrainView
from tests.activities.test_source import Bench
from tests.integrations.git_sandbox import commit, git, head, make, make_bare
from tests.workflows.rider import Leaver, Rider
from workflows.integrate import IntegrateChanges
from workflows.names import CHECKS, DELIVERY, INTEGRATIONS, train_id

pytestmark = pytest.mark.server

QUICK = Patience(
    heartbeat=2, workflow_task=5, retry_first=0.05, retry_max=0.2, gate_slack=20, plan=30,
    train_idle=0.3, batch_window=0.2,
)  # fmt: skip
GATES = GateSet(
    project="other", gates=(GateSpec(name="tests", kind="tests", timeout_seconds=5),), digest="g"
)


class Judge:
    """A gate that is red when a file `bad*` exists, held when a file `odd*` does."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.seen: list[str] = []
        self.hold: asyncio.Event | None = None
        self.working = asyncio.Event()
        self.broken = ""  # a file that makes the gate itself fail
        self.before: Callable[[], None] = lambda: None

    @activity.defn
    async def run_gate(self, order: RunGate) -> GateResult:
        self.seen.append(order.sha)
        self.working.set()
        hold = self.hold
        while hold is not None and not hold.is_set():
            activity.heartbeat()
            with suppress(TimeoutError):
                await asyncio.wait_for(hold.wait(), 0.1)
        self.before()
        files = await self._bench.store.files(order.repository.id, order.sha)
        if self.broken in files:
            raise Rejected(f"{self.broken} breaks the gate", code="broken")
        verdict = Verdict.PASSED
        if any(path.startswith("odd") for path in files):
            verdict = Verdict.HELD
        if {"one-half", "other-half"} <= set(files) or any(p.startswith("bad") for p in files):
            verdict = Verdict.FAILED
        return GateResult(gate="tests", kind="tests", verdict=verdict, reason=str(verdict))


class Yard:
    """A repository, its train, and riders for it."""

    def __init__(self, client: Any, bench: Bench) -> None:
        self.client, self.bench = client, bench
        self.bench.source._train_id = train_id
        self.judge = Judge(bench)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        source = self.bench.source
        names = ("join_train", "leave_train", "read_base", "stage_entry", "merge_entry",
                 "tag_entry")  # fmt: skip
        workflows = [IntegrateChanges, Rider, Leaver]
        async with (
            Worker(self.client, task_queue=DELIVERY, workflows=workflows),
            Worker(self.client, task_queue=CHECKS, activities=[self.judge.run_gate]),
            Worker(
                self.client,
                task_queue=INTEGRATIONS,
                activities=[getattr(source, name) for name in names],
            ),
        ):
            yield

    async def ticket(self, key: str, files: dict[str, str], **more: Any) -> JoinTrain:
        entry = await self.bench.entry(files, key)
        entry = entry.but(workflow_id=f"rider/{key}-{uuid4().hex}", gates=GATES, **more)
        return JoinTrain(entry=entry, patience=QUICK)

    async def start(self, ticket: JoinTrain) -> WorkflowHandle[Rider, list[MergeResult]]:
        return await self.client.start_workflow(
            Rider.run, ticket, id=ticket.entry.workflow_id, task_queue=DELIVERY
        )

    async def ride(self, *tickets: JoinTrain) -> list[MergeResult]:
        """Let all of them join at once, and return the answer of each."""
        riders = [await self.start(ticket) for ticket in tickets]
        results = [await rider.result() for rider in riders]
        assert [len(result) for result in results] == [1] * len(tickets)
        return [result[0] for result in results]

    @property
    def train(self) -> WorkflowHandle[IntegrateChanges, int]:
        return self.client.get_workflow_handle_for(IntegrateChanges.run, train_id(self.bench.repo))

    async def view(self) -> TrainView:
        return await self.train.query(IntegrateChanges.queue)


@pytest.fixture
def bare(temporal: Any, tmp_path: Path) -> Yard:
    return Yard(temporal.client, Bench(tmp_path, make_bare(tmp_path / "repo.git", {"a": "1\n"})))


@pytest.fixture
def work(temporal: Any, tmp_path: Path) -> Yard:
    return Yard(temporal.client, Bench(tmp_path, make(tmp_path / "repo", {"a": "1\n"})))


def merges(yard: Yard) -> int:
    return int(git(yard.bench.location, "rev-list", "--count", "main")) - 1


async def test_an_entry_is_judged_merged_tagged_and_answered_once(bare: Yard) -> None:
    async with bare.serving():
        ticket = await bare.ticket("one", {"b": "b\n"}, entered_at_ms=5)
        (result,) = await bare.ride(ticket)
        assert await bare.train.result() == 1
    release = result.release
    assert release is not None
    assert (result.status, release.branch, release.tag, release.base_moved) == (
        "merged", "main", "v0.1.0", True,
    )  # fmt: skip
    assert head(bare.bench.location) == release.sha
    assert [gate.verdict for gate in result.gates] == [Verdict.PASSED]
    assert result.base_sha == ticket.entry.base_sha
    assert bare.judge.seen == [release.sha]


async def test_beside_a_work_tree_the_result_is_a_branch(work: Yard) -> None:
    async with work.serving():
        (result,) = await work.ride(await work.ticket("one", {"b": "b\n"}))
    assert result.release is not None
    assert (result.release.branch, result.release.tag) == ("slipway/one", "slipway-one")
    assert merges(work) == 0


async def test_a_batch_is_judged_once_and_merged_in_order(bare: Yard) -> None:
    async with bare.serving():
        bare.judge.hold = asyncio.Event()
        first = await bare.start(await bare.ticket("zero", {"z": "z\n"}))
        await bare.judge.working.wait()
        late = await bare.start(await bare.ticket("late", {"l": "l\n"}, entered_at_ms=2))
        urgent = await bare.start(
            await bare.ticket("urgent", {"u": "u\n"}, entered_at_ms=3, priority=1)
        )
        await until(bare, lambda view: len(view.waiting) == 2)
        assert (await bare.view()).waiting == ("urgent/1", "late/1")
        bare.judge.hold.set()
        results = [(await rider.result())[0] for rider in (first, urgent, late)]
    assert [result.status for result in results] == ["merged"] * 3
    shas = [result.release.sha for result in results if result.release]
    tags = [result.release.tag for result in results if result.release]
    assert git(bare.bench.location, "rev-list", "--reverse", "main").split()[1:] == shas
    assert tags == ["v0.1.0", "v0.2.0", "v0.3.0"]
    assert bare.judge.seen == [shas[0], shas[2]]


async def until(yard: Yard, seen: Callable[[TrainView], bool]) -> TrainView:
    async with asyncio.timeout(20):
        while not seen(view := await yard.view()):
            pass
    return view


async def boarded(yard: Yard, *tickets: JoinTrain) -> list[WorkflowHandle[Any, Any]]:
    """Let these wait behind one that rides alone, so that they go together."""
    yard.judge.hold = asyncio.Event()
    ahead = await yard.ticket("ahead", {"ahead": "a\n"})
    await yard.start(ahead)
    await yard.judge.working.wait()
    riders = [await yard.start(ticket) for ticket in tickets]
    await until(yard, lambda view: len(view.waiting) == len(tickets))
    yard.judge.hold.set()
    return riders


async def test_the_culprit_of_a_red_batch_is_found_and_the_others_merge(bare: Yard) -> None:
    async with bare.serving():
        files = {"k1": "f1", "k2": "f2", "k3": "bad", "k4": "f4", "k5": "f5"}
        tickets = [
            await bare.ticket(key, {name: "x\n"}, entered_at_ms=at)
            for at, (key, name) in enumerate(files.items(), start=1)
        ]
        riders = await boarded(bare, *tickets)
        results = [(await rider.result())[0] for rider in riders]
    assert [result.status for result in results] == ["merged", "merged", "red", "merged", "merged"]
    assert [gate.verdict for gate in results[2].gates] == [Verdict.FAILED]
    assert "tests failed" in results[2].reason
    assert merges(bare) == 5
    assert "bad" not in git(bare.bench.location, "ls-tree", "--name-only", "main")


async def test_of_two_that_are_red_only_together_the_later_is_answered(bare: Yard) -> None:
    async with bare.serving():
        one = await bare.ticket("one", {"one-half": "x\n"}, entered_at_ms=1)
        two = await bare.ticket("two", {"other-half": "x\n"}, entered_at_ms=2)
        riders = await boarded(bare, one, two)
        results = [(await rider.result())[0] for rider in riders]
    assert [result.status for result in results] == ["merged", "red"]


async def test_a_red_change_alone_is_answered_with_its_gates(bare: Yard) -> None:
    async with bare.serving():
        (result,) = await bare.ride(await bare.ticket("one", {"bad": "x\n"}))
    assert (result.status, result.gates[0].verdict) == ("red", Verdict.FAILED)
    assert merges(bare) == 0


async def test_held_gates_come_back_unless_they_were_let_through_before(bare: Yard) -> None:
    async with bare.serving():
        ticket = await bare.ticket("one", {"odd": "x\n"}, entered_at_ms=1)
        plain = await bare.ticket("two", {"fine": "x\n"}, entered_at_ms=2)
        riders = await boarded(bare, ticket, plain)
        held, merged = [(await rider.result())[0] for rider in riders]
        assert (held.status, merged.status) == ("held", "merged")
        again = ticket.entry.but(
            gate_results=held.gates, entered_at_ms=3, workflow_id=f"rider/{uuid4().hex}"
        )
        (result,) = await bare.ride(ticket.but(entry=again))
    assert result.status == "merged"


async def test_a_conflict_names_the_files_and_the_others_go_on(bare: Yard) -> None:
    async with bare.serving():
        one = await bare.ticket("one", {"a": "one\n"}, entered_at_ms=1)
        two = await bare.ticket("two", {"a": "two\n"}, entered_at_ms=2)
        three = await bare.ticket("three", {"c": "c\n"}, entered_at_ms=3)
        riders = await boarded(bare, one, two, three)
        results = [(await rider.result())[0] for rider in riders]
    assert [result.status for result in results] == ["merged", "conflict", "merged"]
    assert results[1].conflicts == ("a",)


async def test_a_change_that_the_base_has_already_is_refused(bare: Yard) -> None:
    async with bare.serving():
        one = await bare.ticket("one", {"b": "b\n"})
        two = await bare.ticket("two", {"b": "b\n"})
        await bare.ride(one)
        (result,) = await bare.ride(two)
    assert (result.status, merges(bare)) == ("refused", 1)


async def test_a_base_that_moves_meanwhile_is_judged_again(work: Yard) -> None:
    moved: list[str] = []

    def move() -> None:
        if not moved:
            moved.append(commit(work.bench.location, {"c": "c\n"}))

    async with work.serving():
        work.judge.before = move
        (result,) = await work.ride(await work.ticket("one", {"b": "b\n"}))
    assert (result.status, result.base_sha) == ("merged", moved[0])
    assert git(work.bench.location, "show", "slipway/one:c") == "c"
    assert len(work.judge.seen) == 2


async def test_a_base_that_never_stands_still_is_told(work: Yard) -> None:
    async with work.serving():
        work.judge.before = lambda: str(commit(work.bench.location, {"c": uuid4().hex}))
        (result,) = await work.ride(await work.ticket("one", {"b": "b\n"}))
    assert result.status == "refused"
    assert "never stood still" in result.reason
    assert len(work.judge.seen) == 20


async def test_joining_twice_merges_once(bare: Yard) -> None:
    async with bare.serving():
        bare.judge.hold = asyncio.Event()
        ticket = await bare.ticket("one", {"b": "b\n"}, entered_at_ms=1)
        rider = await bare.start(ticket)
        await bare.judge.working.wait()
        assert await rider.execute_update(Rider.join_again, ticket) == 1
        bare.judge.hold.set()
        assert (await rider.result())[0].status == "merged"
        await bare.train.result()
        again = await bare.start(
            ticket.but(entry=ticket.entry.but(workflow_id=f"rider/{uuid4().hex}", entered_at_ms=2))
        )
        result = (await again.result())[0]
    assert (result.status, merges(bare)) == ("merged", 1)
    assert git(bare.bench.location, "tag", "--list") == "v0.1.0"


async def test_whoever_waits_can_leave_and_whoever_rides_too(bare: Yard) -> None:
    async with bare.serving():
        bare.judge.hold = asyncio.Event()
        one = await bare.ticket("one", {"b": "b\n"}, entered_at_ms=1)
        two = await bare.ticket("two", {"c": "c\n"}, entered_at_ms=2)
        riding = await bare.start(one)
        await bare.judge.working.wait()
        waiting = await bare.start(two)
        await until(bare, lambda view: view.waiting == ("two/1",))
        for rider, ticket in ((waiting, two), (riding, one)):
            order = LeaveTrain(
                key=ticket.entry.key, round=1, repository=bare.bench.repo, reason="no more"
            )
            await rider.execute_update(Rider.change_mind, order)
            result = (await rider.result())[0]
            assert (result.status, result.reason) == ("left", "no more")
        view = await until(bare, lambda view: len(view.departures) == 2)
        assert [(d.key, d.status) for d in view.departures] == [("two", "left"), ("one", "left")]
    assert merges(bare) == 0


async def test_when_one_of_a_batch_leaves_the_others_ride_on(bare: Yard) -> None:
    async with bare.serving():
        one = await bare.ticket("one", {"b": "b\n"}, entered_at_ms=1)
        two = await bare.ticket("two", {"c": "c\n"}, entered_at_ms=2)
        first, second = await boarded(bare, one, two)
        bare.judge.hold = asyncio.Event()
        await until(bare, lambda view: view.riding == ("one/1", "two/1"))
        order = LeaveTrain(key="one", round=1, repository=bare.bench.repo, reason="no more")
        await first.execute_update(Rider.change_mind, order)
        assert (await first.result())[0].status == "left"
        bare.judge.hold.set()
        assert (await second.result())[0].status == "merged"
    assert "b" not in git(bare.bench.location, "ls-tree", "--name-only", "main").split()


async def test_leaving_a_train_that_knows_nothing_or_is_gone_is_answered_too(bare: Yard) -> None:
    async with bare.serving():
        ticket = await bare.ticket("one", {"b": "b\n"})
        order = LeaveTrain(key="x", round=1, repository=bare.bench.repo, reason="never mind")
        gone = await bare.client.execute_workflow(
            Leaver.run, order, id=f"rider/{uuid4().hex}", task_queue=DELIVERY
        )
        bare.judge.hold = asyncio.Event()
        rider = await bare.start(ticket)
        await bare.judge.working.wait()
        unknown = await bare.client.execute_workflow(
            Leaver.run, order, id=f"rider/{uuid4().hex}", task_queue=DELIVERY
        )
        bare.judge.hold.set()
        await rider.result()
    assert (gone.status, unknown.status) == ("left", "left")


async def test_an_entry_of_another_repository_is_turned_away(bare: Yard, work: Yard) -> None:
    async with bare.serving():
        ticket = await bare.ticket("one", {"b": "b\n"})
        await bare.client.start_workflow(
            IntegrateChanges.run,
            StartTrain(repository=bare.bench.repo, patience=QUICK),
            id=train_id(bare.bench.repo),
            task_queue=DELIVERY,
        )
        other = ticket.entry.but(repository=bare.bench.repo.but(base="refs/heads/else"))
        with pytest.raises(Exception, match="Workflow update failed") as error:
            await bare.train.execute_update(IntegrateChanges.join, other)
    assert "this train is for refs/heads/main" in str(error.value.__cause__)


async def test_a_gate_that_cannot_run_stops_only_the_entry_it_cannot_judge(bare: Yard) -> None:
    async with bare.serving():
        bare.judge.broken = "breaker"
        one = await bare.ticket("one", {"breaker": "b\n"}, entered_at_ms=1)
        two = await bare.ticket("two", {"c": "c\n"}, entered_at_ms=2)
        riders = await boarded(bare, one, two)
        results = [(await rider.result())[0] for rider in riders]
    assert [result.status for result in results] == ["refused", "merged"]
    assert "breaks the gate" in results[0].reason


async def test_a_switch_refuses_the_merge_with_its_reason(bare: Yard) -> None:
    async with bare.serving():
        bare.bench.effects.off = "idea/one"
        (result,) = await bare.ride(await bare.ticket("one", {"b": "b\n"}))
    assert result.status == "refused"
    assert "switched off" in result.reason
    assert merges(bare) == 0


async def test_an_answer_that_nobody_takes_does_not_stop_the_train(bare: Yard) -> None:
    async with bare.serving():
        ticket = await bare.ticket("one", {"b": "b\n"}, entered_at_ms=1)
        state = StartTrain(repository=bare.bench.repo, patience=QUICK).state
        start = StartTrain(
            repository=bare.bench.repo, patience=QUICK, state=state.joined(ticket.entry, 1)
        )
        merged = await bare.client.execute_workflow(
            IntegrateChanges.run, start, id=train_id(bare.bench.repo), task_queue=DELIVERY
        )
    assert merged == 1


async def test_a_train_continues_as_new_without_losing_anybody(bare: Yard) -> None:
    async with bare.serving():
        tickets = [
            await bare.ticket(f"k{n}", {f"f{n}": "x\n"}, entered_at_ms=n) for n in range(1, 4)
        ]
        state = StartTrain(repository=bare.bench.repo, patience=QUICK).state
        for n, ticket in enumerate(tickets):
            gates = GATES.but(digest=f"g{n}")  # so that each rides alone
            state = state.joined(ticket.entry.but(gates=gates), 1)
        start = StartTrain(repository=bare.bench.repo, patience=QUICK, state=state, rides_per_run=1)
        handle = await bare.client.start_workflow(
            IntegrateChanges.run, start, id=train_id(bare.bench.repo), task_queue=DELIVERY
        )
        assert await handle.result() == 3
    assert merges(bare) == 3
    assert git(bare.bench.location, "tag", "--list").split() == ["v0.1.0", "v0.2.0", "v0.3.0"]


async def test_a_worker_that_restarts_in_the_middle_changes_nothing(bare: Yard) -> None:
    async with bare.serving():
        bare.judge.hold = asyncio.Event()
        rider = await bare.start(await bare.ticket("one", {"b": "b\n"}))
        await bare.judge.working.wait()
        await until(bare, lambda view: view.riding == ("one/1",))
        bare.judge.hold.set()
    bare.judge.hold = None
    async with bare.serving():
        result = (await rider.result())[0]
    assert (result.status, merges(bare)) == ("merged", 1)
    assert git(bare.bench.location, "tag", "--list") == "v0.1.0"
