"""The idea: its key and digest, and why one cannot be planned."""

from typing import Any

import pytest

from domain.idea import (
    Acceptance,
    Budget,
    ChangeKind,
    Idea,
    IdeaSpec,
    Initiator,
    Metric,
    Trust,
    canonical_spec,
    idea_key,
    refusals,
    spec_digest,
    with_recipe_defaults,
)
from domain.record import Record
from domain.repository import Repository

REPOSITORY = Repository(id="web-12345678", name="web", location="/w", base="refs/heads/main")
GOOD: dict[str, Any] = {
    "title": "Rename it",
    "goal": "One name for one thing",
    "acceptance": [{"id": "A1", "command": "make test"}],
}


def idea(trust: Trust = Trust.OWNER, **fields: Any) -> Idea:
    spec = IdeaSpec.model_validate({**GOOD, **fields})
    return Idea(
        key="k", spec_digest="d", spec=spec, repository=REPOSITORY, initiator=Initiator(trust=trust)
    )


def codes(each: Idea, cap: Budget | None = None) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in refusals(each, cap)]


def test_a_good_idea_is_not_refused() -> None:
    assert refusals(idea()) == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"acceptance": []}, ("not_measurable", "acceptance")),
        (
            {"acceptance": [], "success_metrics": [
                {"name": "m", "query": " ", "comparator": "lt"}]},
            ("not_measurable", "acceptance"),
        ),
        ({"goal": " "}, ("no_work", "goal")),
        ({"scope": {"in": []}}, ("empty_scope", "scope.in")),
        (
            {"recipe": {"name": "r"}, "tasks": [{"id": "t", "title": "t"}]},
            ("ambiguous_work", "tasks"),
        ),
        ({"acceptance": [{"id": "A1", "given": "a", "then": "b"}]},
         ("not_checkable", "acceptance[0]")),
        ({"acceptance": [{"id": "A1", "kind": "command"}]}, ("not_checkable", "acceptance[0]")),
        ({"acceptance": [{"id": "A1", "kind": "manual"}]}, ("not_checkable", "acceptance[0]")),
        (
            {"acceptance": [{"id": "A1", "kind": "metric", "verified_by": "m"}]},
            ("not_checkable", "acceptance[0]"),
        ),
        ({"acceptance": [{"id": "A1", "command": "a"}, {"id": "A1", "command": "b"}]},
         ("duplicate_id", "acceptance[1].id")),
        ({"repos": [{"url": "a"}, {"url": "b"}]}, ("not_yet", "repos[1]")),
        ({"repair": {}}, ("no_work", "repair")),
        ({"repair": {"kind": "revert", "recipe": {"name": "r"}}}, ("ambiguous_work", "repair")),
        (
            {"success_metrics": [
                {"name": "m", "source": "datadog", "query": "q", "comparator": "lt"}]},
            ("not_yet", "success_metrics[0].source"),
        ),
        ({"constraints": [{"id": "C1", "text": "t", "check": "make x"}]},
         ("not_yet", "constraints[0].check")),
        ({"budget": {"usd": 1_000}}, ("above_cap", "budget.usd")),
    ],
)  # fmt: skip
def test_tells_why_an_idea_cannot_be_planned(
    fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert codes(idea(**fields)) == [expected]


@pytest.mark.parametrize(
    "acceptance",
    [
        {"id": "A1", "kind": "manual", "then": "it looks right"},
        {"id": "A1", "kind": "command", "command": "make"},
        {"id": "A1", "kind": "test", "given": "a", "verified_by": "tests"},
        {"id": "A1", "kind": "metric", "verified_by": "m"},
    ],
)
def test_takes_acceptance_that_something_or_somebody_checks(acceptance: dict[str, Any]) -> None:
    metric = {"name": "m", "query": "q", "comparator": "lt"}

    assert refusals(idea(acceptance=[acceptance], success_metrics=[metric])) == ()


def test_a_constraint_in_words_is_taken() -> None:
    assert refusals(idea(constraints=[{"id": "C1", "text": "stay small"}])) == ()


def test_a_metric_alone_is_measurable() -> None:
    metric = {"name": "m", "query": "q", "comparator": "lt"}

    assert refusals(idea(acceptance=[], success_metrics=[metric])) == ()


def test_a_recipe_needs_no_goal() -> None:
    assert refusals(idea(goal="", recipe={"name": "modernise-python"})) == ()


def test_the_cap_depends_on_who_starts_the_idea() -> None:
    budget = {"usd": 20, "attempts": 3}

    assert codes(idea(Trust.OWNER, budget=budget)) == []
    assert codes(idea(Trust.EXTERNAL, budget=budget)) == [("above_cap", "budget.usd")]
    assert codes(idea(budget=budget), Budget(attempts=2)) == [("above_cap", "budget.attempts")]


def test_the_digest_is_of_the_document_as_written() -> None:
    document = {"title": "x", "goal": "ü", "priority": 3}

    assert canonical_spec(document) == '{"goal":"ü","priority":3,"title":"x"}'.encode()
    assert spec_digest({**document, "id": "1", "key": "k", "mode": "dry_run"}) == (
        spec_digest({"priority": 3, "goal": "ü", "title": "x"})
    )
    assert spec_digest(document) != spec_digest({**document, "priority": 2})


def test_the_key_is_the_given_one_or_made_from_title_repository_and_content() -> None:
    key = idea_key({"title": "Ändere die *Farbe*!", "goal": "x"}, "web-1")

    assert key.startswith("andere-die-farbe-")
    assert len(key) == len("andere-die-farbe-") + 8
    assert key != idea_key({"title": "Ändere die *Farbe*!", "goal": "x"}, "web-2")
    assert key != idea_key({"title": "Ändere die *Farbe*!", "goal": "y"}, "web-1")
    assert idea_key({"title": "x", "key": "given"}, "web-1") == "given"
    assert idea_key({"title": "日本"}, "web-1").startswith("idea-")
    assert IdeaSpec(title="x", key=idea_key({"title": "a" * 39 + " b"}, "w")).key


class Recipe(Record):
    change: ChangeKind | None = ChangeKind.CHORE
    acceptance: tuple[Acceptance, ...] = (Acceptance(id="R1", command="true"),)
    metrics: tuple[Metric, ...] = (Metric(name="m", query="q", comparator="lt"),)


def test_a_recipe_fills_in_only_what_is_not_written() -> None:
    silent = with_recipe_defaults(IdeaSpec(title="x"), Recipe())
    spoken = IdeaSpec(
        title="x",
        change=ChangeKind.FIX,
        acceptance=(Acceptance(id="A1", command="make"),),
        success_metrics=(Metric(name="n", query="q", comparator="gt"),),
    )

    assert (silent.change, silent.acceptance[0].id) == (ChangeKind.CHORE, "R1")
    assert silent.success_metrics[0].name == "m"
    assert with_recipe_defaults(spoken, Recipe()) == spoken
