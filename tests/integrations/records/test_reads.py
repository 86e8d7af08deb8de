"""What doors read of the records, on both databases."""

import io
import json

import pytest
from sqlalchemy import text

from domain.audit import Head
from domain.change import Change, Release
from domain.delivery import FailureClass, Outcome, Stage, TaskState, Wait
from domain.errors import Misconfigured, Rejected
from domain.fact import (
    AttemptEnded,
    BaseResolved,
    GatesRan,
    IdeaEnded,
    InputAsked,
    PlanMade,
    PolicyDecided,
    QuestionAnswered,
    QuestionAsked,
    QuestionClosed,
    ReleaseMade,
    StageReached,
    TaskMoved,
    WaitsChanged,
)
from domain.plan import Plan, PlanTask, Skeleton, SkeletonTask
from domain.policy import Decision, PolicyOutcome
from domain.record import ArtifactRef
from domain.record_view import IdeaFilter
from domain.review import Counts, EvidenceLevel, GateResult, Tier, Verdict
from integrations import tables
from integrations.artifacts import ArtifactFiles
from starter.reads import Reads, export_audit, read_audit
from tests.facts import KEY, WAY_TO_INTEGRATING, WAY_TO_RUNNING, facts, question, stages, start
from tests.integrations.records.rows import run

LOG = ArtifactRef(sha256="1" * 64, size=10)
TRANSCRIPT = ArtifactRef(sha256="2" * 64, size=20)
APPROVAL = f"{KEY}/1/merge/1"


@pytest.fixture
def plan() -> Plan:
    return Plan(
        plan_id="p1", idea_key=KEY, created_by="builtin", spec_digest="d", base_sha="b",
        tasks=(PlanTask(id="one", title="First"),),
    )  # fmt: skip


async def deliver(database, plan_ref: ArtifactRef = LOG) -> None:
    """Tell the whole life of one idea."""
    await database.register(start())
    await database.append(stages("way", *WAY_TO_RUNNING))
    skeleton = Skeleton(
        plan=plan_ref, plan_id="p1", version=1, created_by="builtin",
        tasks=(SkeletonTask(id="one", title="First"),),
    )  # fmt: skip
    change = Change(base_sha="b", sha="s", tree="t", insertions=3, deletions=1)
    gate = GateResult(
        gate="tests", kind="tests", verdict=Verdict.FAILED, reason="two are red", log=LOG,
        level=EvidenceLevel.IDS, base=Counts(passed=50), after=Counts(passed=48, failed=2),
        tier=Tier(name="limits", claims=("memory",)), seconds=0.5,
    )  # fmt: skip
    await database.append(
        facts(
            "work",
            BaseResolved(base_sha="b", notes=("the work tree is dirty",)),
            PlanMade(skeleton=skeleton, rationale="because"),
            TaskMoved(task="one", state=TaskState.WORKING),
            AttemptEnded(
                task="one", attempt=1, backend="builtin", status="changed", change=change,
                transcript=TRANSCRIPT, seconds=1.25, runs=2, tokens=7, micro_usd=9,
            ),
            GatesRan(
                where="task", task="one", attempt=1, sha="s", base_sha="b", results=(gate,)
            ),
            TaskMoved(task="one", state=TaskState.MERGED),
            PolicyDecided(decision=Decision(phase="merge", outcome=PolicyOutcome.REQUIRE)),
            QuestionAsked(question=question()),
        )
    )  # fmt: skip


async def finish(database) -> None:
    await database.append(stages("last", *WAY_TO_INTEGRATING[-2:]))
    release = Release(round=1, sha="5" * 40, tree="t", branch="main", tag="v1.0.0", base_moved=True)
    await database.append(
        facts(
            "merged",
            QuestionAnswered(
                approval=APPROVAL, answer_sha256="f" * 64, payload="{}", person="ada", via="cli",
                decision="approve",
            ),
            QuestionClosed(approval=APPROVAL, state="approved"),
            ReleaseMade(release=release),
        )
    )  # fmt: skip
    await database.begin(
        f"{KEY}/1/merge", key=KEY, kind="merge", scopes=(), subject_sha256="a" * 64,
        intent="merge", approvals=(APPROVAL,),
    )  # fmt: skip
    await database.finish(f"{KEY}/1/merge", "merged")
    outcome = Outcome(stage=Stage.COMPLETED, reason="all is well")
    await database.append(facts("end", IdeaEnded(outcome=outcome)))


async def test_the_record_tells_the_whole_life(database, url):
    await deliver(database)
    await finish(database)

    async with Reads(url) as reads:
        found = (await reads.record(KEY, "http://ui")).model_dump(mode="json", by_alias=True)

    assert found["schema"] == "slipway.record/1"
    assert (found["key"], found["state"], found["title"]) == (
        KEY,
        "Completed",
        "Add a health endpoint",
    )
    assert found["outcome"] == {"class": "none", "reason": "all is well"}
    assert (found["repo"]["name"], found["base_sha"]) == ("shop", "b")
    assert found["releases"][0]["tag"] == "v1.0.0"
    assert (found["plan"]["plan_id"], found["plan"]["rationale"]) == ("p1", "because")
    assert found["tasks"][0]["state"] == "Merged"
    attempt = found["tasks"][0]["attempts"][0]
    assert (attempt["change"]["insertions"], attempt["seconds"], attempt["runs"]) == (3, 1.25, 2)
    gate = found["gates"][0]
    assert (gate["where"], gate["name"], gate["verdict"]) == ("task", "tests", "failed")
    assert (gate["base"], gate["after"], gate["evidence_level"]) == ("b", "s", "ids")
    assert (gate["counts"]["base"]["passed"], gate["counts"]["after"]["failed"]) == (50, 2)
    assert gate["tier"] == {"name": "limits", "claims": ["memory"]}
    assert (found["questions"], found["approvals"][0]["state"]) == ([], "approved")
    assert found["approvals"][0]["consumed_by"] == f"{KEY}/1/merge"
    assert found["cost"]["tokens"] == 7
    assert found["timeline"][0]["text"] == "registered: Add a health endpoint"
    assert found["timeline"][-1]["text"] == "ended: Completed: all is well"
    assert found["audit_head"]["size"] == found["audit_head"]["idea_size"] == 22
    assert (found["workflow_id"], found["ui_url"]) == (f"idea/{KEY}", "http://ui")


async def test_shows_why_an_idea_waits(database, url):
    await deliver(database)
    wait = Wait(flag="AwaitingApproval", owner="ada", predicate="ada approves", since_ms=2_000)
    asked = InputAsked(question="q1", text="Which port?", options=("80", "81"))
    await database.append(facts("wait", WaitsChanged(waits=(wait,)), asked))

    async with Reads(url) as reads:
        record, waiting = await reads.record(KEY), await reads.open_questions()

    assert record.outcome is None
    assert record.waits == (wait,)
    assert [one.approval for one in record.questions] == [APPROVAL]
    assert [one.approval for one in waiting.approvals] == [APPROVAL]
    assert [(one.question, one.options) for one in waiting.inputs] == [("q1", ("80", "81"))]


async def test_an_ended_idea_waits_for_nobody(database, url):
    await deliver(database)
    await database.append(facts("ask", InputAsked(question="q1", text="Which port?")))
    await database.append(facts("end", IdeaEnded(outcome=Outcome(stage=Stage.CANCELLED))))

    async with Reads(url) as reads:
        waiting = await reads.open_questions(KEY)

    assert (waiting.approvals, waiting.inputs) == ((), ())


async def test_lists_the_newest_first_and_filters(database, url):
    for number, key in enumerate(("first", "second", "third")):
        await database.register(start(key).but(at_ms=number))
    ended = IdeaEnded(outcome=Outcome(stage=Stage.FAILED, failure=FailureClass.CONFLICT))
    await database.append(facts("end", ended, key="second"))

    async with Reads(url) as reads:
        everything = await reads.list_ideas()
        newest = await reads.list_ideas(limit=1)
        active = await reads.list_ideas(IdeaFilter(active=True))
        failed = await reads.list_ideas(IdeaFilter(states=(Stage.FAILED,)))
        named = await reads.list_ideas(IdeaFilter(text="FIR%"))
        elsewhere = await reads.list_ideas(IdeaFilter(repository="other"))
        found = await reads.find("second")

    assert [one.key for one in everything] == ["third", "second", "first"]
    assert [one.key for one in newest] == ["third"]
    assert [one.key for one in active] == ["third", "first"]
    assert [one.key for one in failed] == ["second"]
    assert (named, elsewhere) == ((), ())
    assert found is not None
    assert (found.state, found.spec_digest, found.run_id) == (Stage.FAILED, "d" * 64, "run-1")


async def test_gives_the_logs_of_a_task_and_the_whole_plan(database, url, tmp_path, plan):
    files = ArtifactFiles(tmp_path / "artifacts")
    ref = await files.put(plan.model_dump_json(by_alias=True).encode())
    await deliver(database, ref)

    async with Reads(url, tmp_path / "artifacts") as reads:
        logs = await reads.logs(KEY, "one")
        none = await reads.logs(KEY, "two")
        whole = await reads.whole_plan(KEY)

    assert [(log.name, log.ref) for log in logs] == [("transcript", TRANSCRIPT), ("tests", LOG)]
    assert none == ()
    assert whole == plan


async def test_evidence_holds_answers_effects_and_read_backs(database, url):
    await deliver(database)
    await finish(database)

    async with Reads(url) as reads:
        evidence = await reads.evidence(KEY)

    assert [(one.kind, one.readback) for one in evidence.effects] == [("merge", "merged")]
    assert evidence.approvals[0].answers[0].person == "ada"
    assert [log.name for log in evidence.logs] == ["transcript", "tests"]


async def test_tells_what_happened_since(database, url):
    await database.register(start())
    async with Reads(url) as reads:
        first = await reads.events_after(KEY)
        await database.append(stages("op", Stage.VALIDATING, Stage.PLANNING))
        later = await reads.events_after(KEY, first[-1].idea_seq)

    assert [event.text for event in later] == ["Validating", "Planning"]
    assert later[0].body == {"stage": "Validating"}


async def test_an_unknown_idea_is_said(database, url):
    await database.open()

    async with Reads(url) as reads:
        with pytest.raises(Rejected) as refused:
            await reads.record("nobody")

    assert refused.value.problem.code == "unknown_idea"


async def test_a_database_without_tables_is_an_empty_one(url, tmp_path):
    async with Reads(url) as reads:
        found = (await reads.list_ideas(), await reads.find(KEY), await reads.open_questions())
        with pytest.raises(Rejected) as refused:
            await reads.record(KEY)

    assert found[:2] == ((), None)
    assert refused.value.problem.code == "unknown_idea"
    assert list(tmp_path.iterdir()) == []
    assert (await read_audit(url)).size == 0
    assert (await export_audit(url, io.StringIO())).size == 0


@pytest.mark.parametrize(("schema", "code"), [("0000", "older_schema"), ("9999", "newer_schema")])
async def test_reads_no_schema_but_its_own(database, url, schema, code):
    await database.open()
    await run(
        url, lambda conn: conn.execute(text(f"UPDATE alembic_version SET version_num='{schema}'"))
    )

    async with Reads(url) as reads:
        with pytest.raises(Misconfigured) as refused:
            await reads.list_ideas()

    assert refused.value.problem.code == code


async def test_reading_cannot_write(database, url):
    await database.open()

    async with Reads(url) as reads:
        with pytest.raises(Exception, match=r"read-?only"):
            await reads._read(lambda conn: conn.execute(tables.switches.delete()), lambda: None)


async def test_a_whole_chain_is_consistent_with_itself_and_with_an_anchor(database, url):
    await deliver(database)
    report = await read_audit(url)
    await finish(database)

    alone = await read_audit(url)
    anchored = await read_audit(url, Head(size=report.size, sha256=report.sha256))

    assert (report.status, alone.status, anchored.status) == (
        "unanchored",
        "unanchored",
        "anchored",
    )
    assert alone.problems == anchored.problems == ()
    assert alone.size == 22


async def test_redaction_keeps_the_chain(database, url):
    await database.register(start())
    await database.append(
        facts("op", StageReached(stage=Stage.VALIDATING, reason="because of Eve"))
    )
    await run(url, lambda conn: conn.execute(tables.event_texts.update().values(text=None)))

    report = await read_audit(url)
    async with Reads(url) as reads:
        told = await reads.events_after(KEY, 1)

    assert (report.problems, report.redacted) == ((), 2)
    assert told[0].text == "Validating: (redacted)"


async def test_the_export_holds_the_bytes_that_were_hashed(database, url):
    await deliver(database)
    out = io.StringIO()

    head = await export_audit(url, out)

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert lines[-1] == {"head": head.model_dump()}
    assert [line["seq"] for line in lines[:-1]] == list(range(1, head.size + 1))
    assert lines[0]["texts"]["title"]["text"] == "Add a health endpoint"


async def test_the_export_can_leave_free_text_out(database, url):
    await deliver(database)
    out = io.StringIO()

    await export_audit(url, out, texts=False)

    assert "health" not in out.getvalue().replace(KEY, "")
