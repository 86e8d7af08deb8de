"""What the entry of a fact says: structure in it, free text beside it."""

from typing import get_args

import pytest

from domain.approval import Question
from domain.audit import canonical
from domain.change import Change, FileChange, Release
from domain.delivery import Outcome, Stage, TaskState, Wait
from domain.entry import told
from domain.fact import (
    AttemptEnded,
    BaseResolved,
    Fact,
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
from domain.review import GateResult, Verdict
from domain.rollout import Quarantined, RolloutResult, RolloutState, Undo
from domain.rollout_fact import (
    HookRan,
    MergesQuarantined,
    QuarantineCured,
    RolloutEnded,
    RolloutMoved,
    RolloutPlanned,
    RolloutUndone,
    VerdictGiven,
)
from domain.timeline import line
from tests.facts import idea, question
from tests.rollouts import FIRST, SHA, TARGET, plan, served, verdict

PRIVATE = "said by Eve"
REF = ArtifactRef(sha256="a" * 64, size=1)
CHANGE = Change(
    base_sha="b", sha="s", tree="t", insertions=2, deletions=1,
    files=(FileChange(path="x\udc80", kind="added"),),
)  # fmt: skip
RELEASE = Release(round=1, sha="5" * 40, tree="t", branch="main", tag="v1.0.0", base_moved=True)


def gate(verdict: Verdict, reason: str = "", log: ArtifactRef | None = None) -> GateResult:
    return GateResult(
        gate="tests", kind="tests", verdict=verdict, reason=reason, log=log, seconds=0.25
    )


ASKED: Question = question().but(text=PRIVATE)
FACTS: list[tuple[Fact, str]] = [
    (
        IdeaRevised(idea=idea().but(revision=2), actor="ada", via="cli", reason=PRIVATE),
        f"ada revised it (revision 2): {PRIVATE}",
    ),
    (StageReached(stage=Stage.PLANNING, reason=PRIVATE), f"Planning: {PRIVATE}"),
    (StageReached(stage=Stage.PLANNING), "Planning"),
    (
        WaitsChanged(
            waits=(Wait(flag="Paused", owner="ada", predicate=PRIVATE, since_ms=1),)
        ),
        f"waits, Paused (ada): {PRIVATE}",
    ),
    (WaitsChanged(waits=()), "goes on"),
    (BaseResolved(base_sha="b" * 40, notes=(PRIVATE,)), f"starts from {'b' * 12}: {PRIVATE}"),
    (
        PlanMade(
            skeleton=Skeleton(
                plan=REF, plan_id="p", version=2, created_by="builtin",
                tasks=(SkeletonTask(id="one", title="First"),),
            ),
            rationale=PRIVATE,
        ),
        "plan 2 by builtin: 1 tasks",
    ),
    (
        TaskMoved(task="one", state=TaskState.FAILED, reason=PRIVATE),
        f"one is Failed: {PRIVATE}",
    ),
    (
        AttemptEnded(
            task="one", attempt=1, backend="builtin", status="changed", change=CHANGE,
            transcript=REF, seconds=1.25,
        ),
        "one, attempt 1 by builtin: changed, +2 -1 in 1.2 s",
    ),
    (
        AttemptEnded(task="one", attempt=2, backend="x", status="failed", reason=PRIVATE),
        f"one, attempt 2 by x: failed in 0.0 s: {PRIVATE}",
    ),
    (
        GatesRan(
            where="task", task="one", sha="s", base_sha="b",
            results=(gate(Verdict.PASSED, "50 passed", REF), gate(Verdict.FAILED, PRIVATE)),
        ),
        f"gates of task one: tests passed, tests failed: {PRIVATE}",
    ),
    (
        GatesRan(where="train", sha="s", base_sha="b", results=(gate(Verdict.HELD),)),
        "gates of train: tests held",
    ),
    (
        PolicyDecided(
            decision=Decision(phase="merge", outcome=PolicyOutcome.REQUIRE, reason=PRIVATE)
        ),
        f"policy at merge: require: {PRIVATE}",
    ),
    (QuestionAsked(question=ASKED), f"asks {ASKED.approval}: {PRIVATE}"),
    (
        QuestionAnswered(
            approval="a1", answer_sha256="f" * 64, payload=PRIVATE, person="ada", via="cli",
            decision="approve", reason=PRIVATE, self_approved=True,
        ),
        f"ada (their own idea) says approve to a1: {PRIVATE}",
    ),
    (
        QuestionAnswered(
            approval="a1", answer_sha256="f" * 64, payload="", person="bob", via="cli",
            decision="deny",
        ),
        "bob says deny to a1",
    ),
    (QuestionClosed(approval="a1", state="denied"), "a1 is denied"),
    (InputAsked(question="q1", text=PRIVATE, options=(PRIVATE,)), f"asks q1: {PRIVATE}"),
    (
        InputGiven(question="q1", text=PRIVATE, actor="ada", via="cli"),
        f"ada answers q1: {PRIVATE}",
    ),
    (
        Steered(verb="retry", actor="ada", via="cli", reason=PRIVATE, task="one"),
        f"ada orders retry one: {PRIVATE}",
    ),
    (ReleaseMade(release=RELEASE), f"merged into main as v1.0.0 ({'5' * 12})"),
    (
        ReleaseMade(release=RELEASE.but(base_moved=False)),
        f"ready on main as v1.0.0 ({'5' * 12})",
    ),
    (
        RolloutPlanned(plan=plan(anchor=served())),
        f"plans v1.0.0 for {TARGET} in steps of 5 %, 100 %",
    ),
    (RolloutPlanned(plan=plan(steps=(), tag="")), f"plans {'5' * 12} for {TARGET}"),
    (
        RolloutMoved(
            rollout=FIRST, state=RolloutState.SHIFTING, step=1, weight=1_250, reason=PRIVATE
        ),
        f"release is shifting at 12.5 %: {PRIVATE}",
    ),
    (
        RolloutMoved(rollout=FIRST, state=RolloutState.RESTORED_UNVERIFIED),
        "release is restored unverified",
    ),
    (
        VerdictGiven(rollout=FIRST, step=1, verdict=verdict(reason=PRIVATE)),
        f"verdict on step 2: fail: {PRIVATE}",
    ),
    (
        VerdictGiven(
            rollout=FIRST, step=0, verdict=verdict(verdict="no_data", label="no_control", reason="")
        ),
        "verdict at all traffic: no data (no control)",
    ),
    (
        RolloutUndone(
            undo=Undo(
                rollout=FIRST, verified=True, reason=PRIVATE, anchor_sha="a" * 40,
                restored_ms=5, checks=(PRIVATE,),
            )
        ),
        f"undone to {'a' * 12}, verified: {PRIVATE}",
    ),
    (
        RolloutUndone(undo=Undo(rollout=FIRST, verified=False, reason="")),
        "undone, not verified",
    ),
    (
        RolloutEnded(
            result=RolloutResult(
                rollout=FIRST, target=TARGET, status=RolloutState.PASSED, reason=PRIVATE, sha=SHA,
                tag="v1.0.0", exposure=0.125,
            )
        ),
        f"release of v1.0.0 passed: {PRIVATE}",
    ),
    (
        RolloutEnded(
            result=RolloutResult(
                rollout=FIRST, target=TARGET, status=RolloutState.HELD, reason="", sha=SHA
            )
        ),
        f"release of {'5' * 12} held",
    ),
    (
        MergesQuarantined(
            items=tuple(
                Quarantined(
                    repository="r", sha=sha * 40, rollout=FIRST, key="k", reason=PRIVATE, at_ms=1
                )
                for sha in "ab"
            )
        ),
        f"bars {'a' * 12}, {'b' * 12} from release: {PRIVATE}",
    ),
    (
        QuarantineCured(repository="r", sha=SHA, cure="c" * 40, cure_kind="flag_off"),
        f"flag off {'c' * 12} mends {'5' * 12}",
    ),
    (HookRan(rollout=FIRST, hook="pre", ok=True), "hook pre ran"),
    (
        HookRan(rollout=FIRST, hook="post", ok=False, reason=PRIVATE),
        f"hook post failed: {PRIVATE}",
    ),
    (IdeaEnded(outcome=Outcome(stage=Stage.COMPLETED)), "ended: Completed"),
    (
        IdeaEnded(outcome=Outcome(stage=Stage.FAILED, failure="infra", reason=PRIVATE)),
        f"ended: Failed (infra): {PRIVATE}",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "text"), FACTS)
def test_an_entry_holds_no_free_text_and_its_line_tells_the_fact(fact, text):
    entry = told(fact)

    assert PRIVATE.encode() not in canonical(entry.body)
    assert line(fact.kind, entry.body, {n: t for n, t in entry.texts.items() if t}) == text


def test_every_kind_of_fact_is_told_here():
    union = get_args(get_args(Fact)[0] if get_args(Fact)[1:] else Fact)

    assert {type(fact) for fact, _ in FACTS} == set(union)


def test_real_numbers_of_a_verdict_stand_in_the_entry_to_the_last_digit():
    body = told(VerdictGiven(rollout=FIRST, step=0, verdict=verdict())).body

    assert body["classes"][0]["log_e"] == "7.25"
    assert body["classes"][0]["interval_high"] == "inf"
    assert body["gauges"] == [
        {"name": "queue", "state": "worse", "critical": False, "report_only": False, "points": 0}
    ]


def test_the_entry_of_a_plan_names_its_digest():
    one, other = (told(RolloutPlanned(plan=plan(bake_s=bake))).body for bake in (1, 2))

    assert one["plan_sha256"] != other["plan_sha256"]


def test_what_is_not_a_fact_is_not_told():
    with pytest.raises(NotImplementedError):
        told(Release(round=1, sha="", tree="", branch="", tag="", base_moved=True))


@pytest.mark.parametrize(
    ("kind", "body", "texts", "text"),
    [
        ("idea_registered", {}, {"title": "Add it"}, "registered: Add it"),
        (
            "effect_begun",
            {"effect": "merge"},
            {"intent": "s into main"},
            "begins merge: s into main",
        ),
        ("effect_done", {"effect": "merge"}, {"readback": None}, "did merge: (redacted)"),
        ("rollout_started", {}, {}, "rollout started"),
    ],
)
def test_entries_that_are_no_facts_have_a_line_too(kind, body, texts, text):
    assert line(kind, body, texts) == text
