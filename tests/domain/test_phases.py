"""What an idea shows to policy, and what a person is asked to approve."""

import json

from domain.change import Change, FileChange
from domain.idea import Idea, IdeaSpec, Initiator, RecipeRef, Risk, Score, Trust
from domain.phases import merge_facts, merge_subject, plan_facts, question_text, start_facts
from domain.repository import Repository
from domain.review import Finding, GateResult, Verdict

IDEA = Idea(
    key="k",
    spec_digest="d",
    spec=IdeaSpec(title="T", risk=Risk(level="high", labels=("db",)), approvals=("merge",)),
    repository=Repository(id="r-1", name="r", location="/r", base="refs/heads/main"),
    initiator=Initiator(id="ann", trust=Trust.OWNER),
)
CHANGE = Change(
    base_sha="b",
    sha="s",
    tree="t",
    files=(
        FileChange(path="a.py", kind="modified", insertions=5, deletions=2),
        FileChange(path="b.py", kind="modified", insertions=3),
    ),
    file_count=2,
    insertions=8,
    deletions=2,
    patch_id="p",
)
RESULTS = (
    GateResult(gate="tests", kind="tests", verdict=Verdict.HELD, reason="base red"),
    GateResult(gate="lint", kind="lint", verdict=Verdict.FAILED, reason="red"),
    GateResult(
        gate="protected",
        kind="protected",
        verdict=Verdict.PASSED,
        reason="one",
        findings=(Finding(key="k", path=".github/ci.yml"),),
    ),
)


def test_start_knows_who_asks_for_what():
    facts = start_facts(IDEA)

    assert (
        facts.phase, facts.initiator, facts.trust, facts.risk, facts.labels, facts.change,
        facts.priority, facts.asked,
    ) == ("start", "ann", "owner", "high", ("db",), "feature", 3, False)  # fmt: skip


def test_start_knows_recipe_and_score():
    spec = IDEA.spec.but(
        recipe=RecipeRef(name="modernise-python"),
        priority=Score(reach=1, impact=1, confidence=1, effort=1),
    )

    facts = start_facts(IDEA.but(spec=spec))

    assert (facts.recipe, facts.priority) == ("modernise-python", 3)


def test_plan_adds_tasks_and_touches():
    facts = plan_facts(IDEA, tasks=4, backends=("b",), touches=("src/**",), irreversible=True)

    assert (
        facts.phase, facts.tasks, facts.paths, facts.irreversible,
    ) == ("plan", 4, ("src/**",), True)  # fmt: skip


def test_merge_counts_as_written_by_agents_what_may_be():
    planned = plan_facts(IDEA, tasks=1, backends=("b",), touches=(), irreversible=False)

    facts = merge_facts(planned, IDEA, CHANGE, RESULTS, tier="bwrap", base_moves=True)

    assert (facts.changed_lines, facts.generated_lines, facts.files) == (10, 0, 2)
    assert (facts.gates_held, facts.gates_failed) == (("tests",), ("lint",))
    assert facts.protected == (".github/ci.yml",)
    assert facts.asked


def test_merge_counts_all_as_operations_where_nobody_else_worked():
    planned = plan_facts(IDEA, tasks=1, backends=("builtin",), touches=(), irreversible=False)

    facts = merge_facts(planned, IDEA, CHANGE, (), tier="bwrap", base_moves=True)

    assert (facts.changed_lines, facts.generated_lines) == (0, 10)


def test_subject_changes_with_head_patch_and_verdicts():
    subject = merge_subject(IDEA, "h", CHANGE, RESULTS)

    assert json.loads(subject)["gates"][0] == ["tests", "held"]
    assert subject != merge_subject(IDEA, "h2", CHANGE, RESULTS)
    assert subject != merge_subject(IDEA, "h", CHANGE.but(patch_id="q"), RESULTS)
    assert subject != merge_subject(IDEA, "h", CHANGE, RESULTS[1:])


def test_a_question_says_what_is_asked():
    planned = plan_facts(IDEA, tasks=1, backends=("b",), touches=(), irreversible=False)
    facts = merge_facts(planned, IDEA, CHANGE, RESULTS, tier="bwrap", base_moves=True)

    assert question_text(IDEA, facts, "high risk").splitlines() == [
        "T: may it pass the phase merge?",
        "high risk",
        "2 files, 10 lines by agents, 0 by operations, tier bwrap",
        "held for lack of evidence: tests",
        "protected paths: .github/ci.yml",
    ]
    assert question_text(IDEA, planned, "") == "T: may it pass the phase plan?"
