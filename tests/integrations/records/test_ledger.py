"""Registering ideas and recording facts, on both databases."""

import asyncio
import json
from collections import Counter

import pytest
from sqlalchemy import event

from domain.change import Change, FileChange, Release
from domain.delivery import FailureClass, Outcome, Stage, TaskState, Wait
from domain.errors import Rejected
from domain.fact import (
    AttemptEnded,
    BaseResolved,
    GatesRan,
    IdeaEnded,
    IdeaRevised,
    InputAsked,
    InputGiven,
    PlanMade,
    PolicyDecided,
    QuestionAnswered,
    QuestionAsked,
    QuestionClosed,
    ReleaseMade,
    StageReached,
    Steered,
    TaskMoved,
    WaitsChanged,
)
from domain.plan import Skeleton, SkeletonTask
from domain.policy import Decision, PolicyOutcome
from domain.record import ArtifactRef
from domain.review import Counts, GateResult, Verdict
from integrations import tables
from integrations.database import Database
from tests.facts import (
    KEY,
    WAY_TO_INTEGRATING,
    WAY_TO_RUNNING,
    facts,
    idea,
    question,
    stages,
    start,
)
from tests.integrations.records.rows import rows, run


async def test_accepts_a_new_idea_and_the_same_start_again(database, url):
    first, again = await database.register(start()), await database.register(start())

    assert (first.accepted, again.accepted) == (True, True)
    assert len(await rows(url, tables.ideas)) == 1
    assert [row["kind"] for row in await rows(url, tables.events)] == ["idea_registered"]
    assert [row["revision"] for row in await rows(url, tables.revisions)] == [1]


async def test_refuses_the_key_of_another_specification(database):
    await database.register(start())

    told = await database.register(start(run_id="run-2", digest="e" * 64))

    assert not told.accepted
    assert "another specification" in told.reason


async def test_refuses_a_second_run_of_an_idea_under_way(database):
    await database.register(start())

    told = await database.register(start(run_id="run-2"))

    assert (told.accepted, "already under way" in told.reason) == (False, True)


async def test_does_not_revive_an_idea_that_has_ended(database):
    await database.register(start())
    await database.append(facts("end", IdeaEnded(outcome=Outcome(stage=Stage.FAILED))))

    told = await database.register(start(run_id="run-2"))

    assert (told.accepted, "ended as Failed" in told.reason) == (False, True)


async def test_two_starts_at_once_make_one_idea(database):
    told = await asyncio.gather(
        *(database.register(start(run_id=f"run-{number}")) for number in range(8))
    )

    assert sorted(answer.accepted for answer in told) == [False] * 7 + [True]


async def test_refuses_facts_of_an_unknown_idea(database):
    with pytest.raises(Rejected) as refused:
        await database.append(stages("op", Stage.VALIDATING))

    assert refused.value.problem.code == "unknown_idea"


async def test_tells_each_operation_once(database, url):
    await database.register(start())
    await database.append(stages("op", Stage.VALIDATING, Stage.PLANNING))

    await database.append(stages("op", Stage.VALIDATING, Stage.PLANNING))

    events = await rows(url, tables.events)
    assert [(row["seq"], row["op"], row["index"]) for row in events] == [
        (1, f"{KEY}/register", 0),
        (2, "op", 0),
        (3, "op", 1),
    ]
    assert (await rows(url, tables.ideas))[0]["stage"] == "Planning"


async def test_an_operation_without_facts_leaves_no_trace(database, url):
    await database.register(start())

    await database.append(facts("nothing"))

    assert len(await rows(url, tables.events)) == 1


async def test_refuses_an_illegal_transition_with_all_its_facts(database, url):
    await database.register(start())

    with pytest.raises(Rejected) as refused:
        await database.append(stages("op", Stage.VALIDATING, Stage.DEPLOYING))

    assert refused.value.problem.code == "illegal_transition"
    assert (await rows(url, tables.ideas))[0]["stage"] == "Registered"
    assert len(await rows(url, tables.events)) == 1


async def test_after_the_end_takes_evidence_but_no_change(database, url):
    await database.register(start())
    await database.append(facts("end", IdeaEnded(outcome=Outcome(stage=Stage.CANCELLED))))

    await database.append(facts("late", TaskMoved(task="t", state=TaskState.CANCELLED)))
    with pytest.raises(Rejected) as refused:
        await database.append(facts("again", StageReached(stage=Stage.RUNNING)))

    assert refused.value.problem.code == "illegal_transition"
    assert (await rows(url, tables.tasks))[0]["state"] == "Cancelled"
    assert (await rows(url, tables.ideas))[0]["stage"] == "Cancelled"


async def test_the_end_may_follow_its_own_stage(database, url):
    await database.register(start())
    await database.append(stages("op", *WAY_TO_INTEGRATING, Stage.COMPLETED))

    await database.append(facts("end", IdeaEnded(outcome=Outcome(stage=Stage.COMPLETED))))

    assert (await rows(url, tables.ideas))[0]["ended_at_ms"] == 2_000


async def test_projects_plan_work_and_judgement_to_rows(database, url):
    await database.register(start())
    await database.append(stages("way", *WAY_TO_RUNNING))
    plan = Skeleton(
        plan=ArtifactRef(sha256="c" * 64, size=3),
        plan_id="p1",
        version=1,
        created_by="builtin",
        tasks=(
            SkeletonTask(id="one", title="First", covers=("A1",)),
            SkeletonTask(id="two", title="Second", needs=("one",)),
        ),
    )
    change = Change(
        base_sha="b",
        sha="s",
        tree="t",
        files=(FileChange(path="a\udc80\0.py", kind="added", insertions=3),),
        file_count=1,
    )
    await database.append(
        facts(
            "work",
            BaseResolved(base_sha="b", notes=("the work tree is dirty",)),
            PlanMade(skeleton=plan, rationale="because"),
            TaskMoved(task="one", state=TaskState.WORKING),
            AttemptEnded(
                task="one", attempt=1, backend="builtin", status="changed", change=change,
                seconds=1.25, runs=2, tokens=7, micro_usd=9,
            ),
            GatesRan(
                where="task", task="one", attempt=1, sha="s", base_sha="b",
                results=(
                    GateResult(gate="tests", kind="tests", verdict=Verdict.PASSED, reason="all",
                               after=Counts(collected=50, passed=50), seconds=0.5),
                    GateResult(gate="lint", kind="lint", verdict=Verdict.FAILED, reason="E501"),
                ),
            ),
            TaskMoved(task="one", state=TaskState.MERGED, reason="fine"),
        )
    )  # fmt: skip

    tasks = await rows(url, tables.tasks)
    assert [(row["task"], row["position"], row["title"], row["state"]) for row in tasks] == [
        ("one", 0, "First", "Merged"),
        ("two", 1, "Second", "Pending"),
    ]
    attempt = (await rows(url, tables.attempts))[0]
    assert (attempt["ms"], attempt["tokens"], attempt["micro_usd"]) == (1_250, 7, 9)
    assert Change.model_validate(json.loads(attempt["change"])) == change
    runs = await rows(url, tables.runs)
    assert [(row["run"], row["status"]) for row in runs] == [(1, "lost"), (2, "changed")]
    gates = await rows(url, tables.gates)
    assert [(row["gate"], row["verdict"]) for row in gates] == [
        ("tests", "passed"),
        ("lint", "failed"),
    ]
    assert (await rows(url, tables.plans))[0]["rationale"] == "because"
    assert (await rows(url, tables.ideas))[0]["base_sha"] == "b"


async def test_projects_people_and_policy_to_rows(database, url):
    await database.register(start())
    wait = Wait(flag="AwaitingApproval", owner="ada", predicate="ada approves", since_ms=2_000)
    decision = Decision(phase="merge", outcome=PolicyOutcome.REQUIRE, reason="risky", rules=("r1",))
    asked = question()
    await database.append(
        facts(
            "people",
            PolicyDecided(decision=decision),
            QuestionAsked(question=asked),
            WaitsChanged(waits=(wait,)),
            QuestionAnswered(
                approval=asked.approval, answer_sha256="f" * 64, payload='{"a":"é"}', person="ada",
                via="cli", decision="approve", reason="ok", self_approved=True,
            ),
            QuestionClosed(approval=asked.approval, state="approved"),
            InputAsked(question="q1", text="Which port?", options=("80", "81")),
            InputGiven(question="q1", text="81", actor="ada", via="cli"),
            Steered(verb="pause", actor="ada", via="cli", reason="lunch"),
            IdeaRevised(
                idea=idea(digest="e" * 64, title="Better").but(revision=2), actor="ada", via="cli"
            ),
        )
    )  # fmt: skip

    assert (await rows(url, tables.approvals))[0]["state"] == "approved"
    answer = (await rows(url, tables.answers))[0]
    assert (answer["payload"], answer["self_approved"]) == ('{"a":"é"}'.encode(), True)
    assert (await rows(url, tables.inputs))[0]["answer"] == "81"
    assert (await rows(url, tables.decisions))[0]["outcome"] == "require"
    row = (await rows(url, tables.ideas))[0]
    assert (row["title"], row["revision"], row["spec_digest"]) == ("Better", 2, "e" * 64)
    assert json.loads(row["waits"])[0]["predicate"] == "ada approves"
    assert [row["revision"] for row in await rows(url, tables.revisions)] == [1, 2]


async def test_the_end_voids_open_questions_and_keeps_the_release(database, url):
    await database.register(start())
    await database.append(stages("way", *WAY_TO_INTEGRATING))
    release = Release(round=1, sha="s", tree="t", branch="main", tag="v1.0.0", base_moved=True)
    await database.append(
        facts(
            "end",
            QuestionAsked(question=question()),
            ReleaseMade(release=release),
            IdeaEnded(outcome=Outcome(stage=Stage.COMPLETED, failure=FailureClass.NONE)),
        )
    )

    assert (await rows(url, tables.approvals))[0]["state"] == "void"
    row = (await rows(url, tables.releases))[0]
    assert (row["tag"], row["base_moved"]) == ("v1.0.0", True)


async def test_a_question_is_asked_once(database):
    await database.register(start())
    await database.append(facts("ask", QuestionAsked(question=question())))

    with pytest.raises(Rejected) as refused:
        await database.append(facts("ask-again", QuestionAsked(question=question())))

    assert refused.value.problem.code == "contradiction"


async def test_free_text_stands_beside_the_entry(database, url):
    await database.register(start())
    await database.append(
        facts("op", StageReached(stage=Stage.VALIDATING, reason="because of Eve"))
    )

    entry = (await rows(url, tables.events, seq=2))[0]["entry"]
    text = (await rows(url, tables.event_texts, seq=2))[0]
    assert b"Eve" not in entry
    assert (text["field"], text["text"]) == ("reason", "because of Eve")


@pytest.mark.parametrize(
    "tampering",
    [
        tables.events.delete(),
        tables.events.update().values(actor="eve"),
        tables.event_texts.delete(),
        tables.event_texts.update().values(text="something else"),
    ],
)
async def test_the_database_itself_refuses_to_change_the_chain(database, url, tampering):
    await database.register(start())

    with pytest.raises(Exception, match="append-only"):
        await run(url, lambda conn: conn.execute(tampering))


async def test_cancelled_writers_leave_whole_operations(database, url):
    await database.register(start())
    for turns in range(30):
        told = facts(f"op{turns}", *(BaseResolved(base_sha="b"),) * 2)
        task = asyncio.ensure_future(database.append(told))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await database.append(stages("after", Stage.VALIDATING))

    events = await rows(url, tables.events)
    assert [row["seq"] for row in events] == list(range(1, len(events) + 1))
    operations = Counter(row["op"] for row in events if row["op"].startswith("op"))
    assert set(operations.values()) <= {2}
    assert events[-1]["op"] == "after"


async def test_one_refused_operation_does_not_harm_those_written_with_it(database, url):
    await database.register(start())
    orders = [facts(f"op{number}", BaseResolved(base_sha="b")) for number in range(9)]
    orders.insert(4, stages("illegal", Stage.DEPLOYING))

    told = await asyncio.gather(*map(database.append, orders), return_exceptions=True)

    assert [type(answer) for answer in told if answer] == [Rejected]
    operations = [row["op"] for row in await rows(url, tables.events)]
    assert sorted(operations[1:]) == sorted(f"op{number}" for number in range(9))


async def test_writers_that_wait_share_a_commit(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/s.db")
    await database.register(start())
    commits: list[int] = []
    event.listen(database._access._engine, "commit", lambda _conn: commits.append(1))

    orders = (facts(f"op{number}", BaseResolved(base_sha="b")) for number in range(100))
    await asyncio.gather(*map(database.append, orders))
    await database.close()

    assert len(commits) < 20
