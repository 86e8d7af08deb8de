"""Policy decisions: what is joined, what is never loosened, and whom it asks."""

from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.policy import (
    DecidePhase,
    Decision,
    Facts,
    Holds,
    Layer,
    PolicyFile,
    PolicyOutcome,
    decide,
    explain,
    loosening,
)
from domain.repository import Repository

ORDER = ("allow", "require", "deny")
ALLOW = {"name": "go", "outcome": "allow"}


def bind(facts: Facts) -> Holds:
    """Evaluate `true`, `false`, `error`, and the name of a fact that is not empty."""
    words: dict[str, bool | None] = {"true": True, "false": False, "error": None}
    return lambda when: words[when] if when in words else bool(getattr(facts, when))


def layer(name: str = "operator", error: str = "", **fields: Any) -> Layer:
    policy = PolicyFile.model_validate({"schema": "slipway.policy/1", **fields})
    return Layer(name=name, sha256=name * 8, policy=policy, error=error)


def decision(*layers: Layer, phase: str = "merge", **facts: Any) -> Decision:
    return decide(layers, Facts.model_validate({"phase": phase, **facts}), bind)


def rule(outcome: str, name: str = "r", **fields: Any) -> dict[str, Any]:
    return {"name": name, "outcome": outcome, **fields}


def test_no_match_asks_a_person() -> None:
    silent = decision(
        layer(rules=[rule("allow", when="false"), rule("deny", "p", phases=["plan"])])
    )

    assert silent.outcome is PolicyOutcome.REQUIRE
    assert silent.rules == ()
    assert "no rule speaks" in silent.reason


def test_the_strictest_outcome_of_all_layers_wins() -> None:
    org = layer(rules=[ALLOW, rule("require", "look", reason="why")])

    assert decision(layer(rules=[ALLOW])).outcome == "allow"
    asked = decision(org, layer("repository", rules=[rule("require", "own", reason="so")]))
    assert (asked.outcome, asked.rules, asked.reason) == ("require", ("look", "own"), "why; so")
    denied = decision(org, layer("repository", rules=[rule("deny", "no")]))
    assert (denied.outcome, denied.rules, denied.reason) == ("deny", ("no",), "rule no")


def test_what_cannot_be_evaluated_denies() -> None:
    result = decision(layer(rules=[ALLOW, rule("require", "odd", when="error")]))

    assert (result.outcome, result.rules) == ("deny", ("policy_error",))
    assert "rule odd" in result.reason


def test_a_layer_that_cannot_be_read_denies() -> None:
    result = decision(layer(rules=[ALLOW]), layer("repository", error="line 3: odd"))

    assert (result.outcome, result.reason) == ("deny", "line 3: odd")


def test_failed_gates_deny_and_held_gates_ask_whatever_the_policy_says() -> None:
    org = layer(rules=[ALLOW])

    assert decision(org, gates_failed=("tests",)).outcome == "deny"
    assert decision(org, gates_held=("tests",)).rules == ("gates_held",)
    assert decision(org, asked=True).rules == ("asked",)
    assert decision(org, gates_failed=("lint",), gates_held=("tests",)).rules == ("gates_failed",)


@pytest.mark.parametrize(
    ("fields", "facts", "rules"),
    [
        ({"risk_labels": {"pay": "require"}}, {"labels": ("pay",)}, ("risk_label:pay",)),
        ({"risk_labels": {"pay": "require"}}, {"labels": ("other",)}, ()),
        ({"churn": {"max_lines": 10}}, {"changed_lines": 11}, ("churn",)),
        ({"churn": {"max_lines": 10}}, {"changed_lines": 10, "generated_lines": 99}, ()),
        (
            {"churn": {"max_lines": 10, "max_generated_lines": 50}},
            {"generated_lines": 51},
            ("churn",),
        ),
        ({"protected_paths": ["ci/**"]}, {"paths": ("ci/a",), "files": 1}, ("protected_paths",)),
        ({"protected_paths": ["ci/**"]}, {"protected": ("ci/a",)}, ("protected_paths",)),
        ({"protected_paths": ["ci/**"]}, {"paths": ("src/a",), "files": 1}, ()),
        ({"protected_paths": ["ci/**"]}, {"paths": ("a",), "files": 2}, ("paths_unknown",)),
        ({}, {"paths": ("a",), "files": 2}, ()),
        (
            {"required_tests": {"src/**": "tests/**"}},
            {"paths": ("src/a.py",), "files": 1},
            ("required_tests",),
        ),
        (
            {"required_tests": {"src/**": "tests/**"}},
            {"paths": ("src/a.py", "tests/b.py"), "files": 2},
            (),
        ),
        (
            {"required_tests": {"src/**": "**/*_test.py"}},
            {"paths": ("src/a_test.py",), "files": 1},
            (),
        ),
        ({"required_tests": {"src/**": "tests/**"}}, {"paths": ("docs/a",), "files": 1}, ()),
    ],
)
def test_sections_ask_a_person_at_merge(
    fields: dict[str, Any], facts: dict[str, Any], rules: tuple[str, ...]
) -> None:
    result = decision(layer(rules=[ALLOW], **fields), **facts)

    assert result.outcome == ("require" if rules else "allow")
    assert result.rules == (rules or ("go",))
    assert decision(layer(rules=[ALLOW], **fields), phase="plan", **facts).outcome == "allow"


def test_a_label_may_deny() -> None:
    assert decision(layer(risk_labels={"pay": "deny"}), labels=("pay",)).outcome == "deny"


def test_rules_see_what_the_sections_find() -> None:
    org = layer(protected_paths=["ci/**"], rules=[rule("deny", "never", when="protected")])

    assert decision(org, paths=("ci/a",), files=1).rules == ("never",)


@pytest.mark.parametrize(
    ("tier", "outcome"),
    [("bwrap", "allow"), ("landlock", "allow"), ("limits", "deny"), ("odd", "deny")],
)
def test_a_weaker_sandbox_than_asked_for_denies(tier: str, outcome: str) -> None:
    org = layer(rules=[ALLOW], minimum_tier="landlock")

    assert decision(org, tier=tier).outcome == outcome


def freeze(name: str, begin: str, end: str) -> dict[str, Any]:
    return {"name": name, "phases": ["merge"], "from": begin, "to": end}


def test_a_freeze_window_denies_until_its_end() -> None:
    noon = 12 * 3_600_000  # 1970-01-01T12:00
    org = layer(
        rules=[ALLOW],
        freeze=[
            freeze("short", "11:00", "13:00"),
            freeze("long", "11:00", "14:00"),
            freeze("past", "01:00", "02:00"),
        ],
    )

    frozen = decision(org, now_ms=noon)
    assert (frozen.outcome, frozen.frozen_until_ms) == ("deny", 14 * 3_600_000)
    assert frozen.rules == ("freeze:short", "freeze:long")
    assert decision(org, now_ms=noon + 2 * 3_600_000).outcome == "allow"
    assert decision(org, phase="plan", now_ms=noon).outcome == "allow"


def test_a_freeze_does_not_hide_a_denial_that_time_will_not_end() -> None:
    org = layer(freeze=[freeze("w", "00:00", "00:00")])

    result = decision(org, gates_failed=("tests",))

    assert (result.outcome, result.frozen_until_ms) == ("deny", 0)


def test_requirements_add_up() -> None:
    both = [
        rule("require", "a", approvers=["ann", "bob", "eve"], quorum=2),
        rule("require", "b", approvers=["bob", "eve", "zoe"]),
        rule("require", "c"),
    ]

    result = decision(layer(rules=both))

    assert (result.approvers, result.quorum) == (("bob", "eve"), 2)


def test_without_a_person_in_common_all_who_are_named_must_answer() -> None:
    apart = [rule("require", "a", approvers=["ann"]), rule("require", "b", approvers=["bob"])]

    result = decision(layer(rules=apart))

    assert (result.approvers, result.quorum) == (("ann", "bob"), 2)


def test_requirements_that_nobody_can_meet_deny() -> None:
    odd = [rule("require", "a", approvers=["ann"]), rule("require", "b", quorum=3)]

    result = decision(layer(rules=odd))

    assert result.outcome == "deny"
    assert "cannot be met together" in result.reason


@pytest.mark.parametrize(
    ("layers", "phase", "expected"),
    [
        ([layer(single_person=True)], "merge", True),
        ([layer(single_person=True)], "deploy", False),
        ([layer()], "merge", False),
        ([layer(single_person=True), layer("repository", single_person=False)], "merge", False),
        ([layer(single_person=True, rules=[rule("require", self_approval=False)])], "merge", False),
        ([layer(single_person=True, rules=[rule("require", self_approval=True)])], "merge", True),
        ([layer(rules=[rule("require", self_approval=True)])], "merge", False),
    ],
)
def test_the_initiator_may_approve_only_where_the_policy_says_so(
    layers: list[Layer], phase: str, expected: bool
) -> None:
    assert decision(*layers, phase=phase).self_approval is expected


def test_a_decision_names_what_it_was_made_of() -> None:
    first = decision(layer(rules=[rule("require")]), files=1)
    other_facts = decision(layer(rules=[rule("require")]), files=2)
    other_rule = decision(layer(rules=[rule("require", quorum=2)]), files=1)

    assert first.layers == ("operator@operatoroper",)
    assert first.policy_sha256 == other_facts.policy_sha256
    assert first.facts_sha256 != other_facts.facts_sha256
    assert first.requirement_sha256 == other_facts.requirement_sha256 != ""
    assert first.requirement_sha256 != other_rule.requirement_sha256


def test_odd_file_names_can_be_digested() -> None:
    assert decision(layer(), paths=("a\udcff",), files=1).facts_sha256


def test_explains_every_rule_that_spoke_and_its_layer() -> None:
    facts = Facts(phase="merge", asked=True)

    matches = explain((layer(rules=[ALLOW]), layer("repository", churn=None)), facts, bind)

    assert [(match.rule, match.layer, match.outcome) for match in matches] == [
        ("go", "operator", "allow"),
        ("asked", "slipway", "require"),
    ]


def test_knows_what_loosens() -> None:
    loose = layer(rules=[rule("deny"), ALLOW], single_person=True).policy
    strict = layer(rules=[rule("deny")], single_person=False).policy

    assert loosening(loose) == ("rules[1].outcome", "single_person")
    assert loosening(strict) == ()


def test_the_question_carries_what_the_repository_layer_is_read_from() -> None:
    order = DecidePhase(
        facts=Facts(phase="start"),
        repository=Repository(id="a", name="a", location="/a", base="refs/heads/main"),
    )

    assert (order.base_sha, order.head_sha) == ("", "")


PEOPLE = ("ann", "bob", "eve")


@st.composite
def layers(draw: st.DrawFn, outcomes: tuple[str, ...], name: str) -> Layer:
    rules = []
    for at in range(draw(st.integers(0, 4))):
        outcome = draw(st.sampled_from(outcomes))
        approvers = draw(st.sets(st.sampled_from(PEOPLE))) if outcome == "require" else set()
        most = len(approvers) or 3
        rules.append(
            rule(
                outcome,
                f"{name}{at}",
                when=draw(st.sampled_from(["true", "false", "labels", "paths", "error"])),
                approvers=sorted(approvers),
                quorum=draw(st.integers(1, most)) if outcome == "require" else 1,
                self_approval=draw(st.sampled_from([None, True, False])),
            )
        )
    alone = draw(st.sampled_from([None, False] if "allow" not in outcomes else [None, False, True]))
    return layer(
        name,
        rules=rules,
        single_person=alone,
        churn=draw(st.sampled_from([None, {"max_lines": 5}])),
        protected_paths=draw(st.sampled_from([[], ["ci/**"]])),
        required_tests=draw(st.sampled_from([{}, {"src/**": "tests/**"}])),
        risk_labels=draw(st.sampled_from([{}, {"pay": "deny"}, {"pay": "require"}])),
        freeze=draw(st.sampled_from([[], [freeze("w", "00:00", "00:00")]])),
        minimum_tier=draw(st.sampled_from([None, "bwrap"])),
    )


FACTS = st.builds(
    Facts,
    phase=st.sampled_from(["start", "plan", "merge", "deploy"]),
    labels=st.sampled_from([(), ("pay",)]),
    paths=st.sampled_from([(), ("ci/a",), ("src/a",), ("src/a", "tests/a")]),
    files=st.integers(0, 3),
    changed_lines=st.sampled_from([0, 9]),
    tier=st.sampled_from(["none", "bwrap"]),
    gates_held=st.sampled_from([(), ("tests",)]),
    gates_failed=st.sampled_from([(), ("tests",)]),
    asked=st.booleans(),
)


def lets_pass(each: Decision) -> set[frozenset[str]]:
    """Return the sets of people (`me` is the initiator) whose approval lets this pass."""
    everybody = (*PEOPLE, "dan", "me")
    groups = chain.from_iterable(combinations(everybody, size) for size in range(6))
    if each.outcome is PolicyOutcome.ALLOW:
        return {frozenset(group) for group in groups}
    if each.outcome is PolicyOutcome.DENY:
        return set()
    may = [
        person
        for person in everybody
        if (not each.approvers or person in each.approvers)
        and (person != "me" or each.self_approval)
    ]
    return {frozenset(group) for group in groups if len(set(group) & set(may)) >= each.quorum}


@settings(deadline=None)
@given(layers(ORDER, "org"), layers(("require", "deny"), "repo"), FACTS)
def test_a_repository_layer_only_tightens(org: Layer, repo: Layer, facts: Facts) -> None:
    assert loosening(repo.policy) == ()

    alone, joined = decide((org,), facts, bind), decide((org, repo), facts, bind)

    assert ORDER.index(joined.outcome) >= ORDER.index(alone.outcome)
    assert lets_pass(joined) <= lets_pass(alone)


DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("deployed", "until_ms"),
    [
        ((), 0),
        ((9 * DAY_MS, 9 * DAY_MS + 2), 0),  # a day old, to the millisecond
        ((9 * DAY_MS + 1, 9 * DAY_MS + 2), 10 * DAY_MS + 1),
        ((9 * DAY_MS + 1, 9 * DAY_MS + 2, 9 * DAY_MS + 3), 10 * DAY_MS + 2),
    ],
)
def test_a_deployment_beyond_the_budget_waits_for_the_oldest_that_counts(deployed, until_ms):
    budget = layer(rules=[ALLOW], change_budget={"deploys_per_day": 2})
    told = {"now_ms": 10 * DAY_MS, "deployed_at_ms": deployed}

    found = decision(budget, phase="deploy", **told)
    assert found.frozen_until_ms == until_ms
    assert found.outcome is (PolicyOutcome.DENY if until_ms else PolicyOutcome.ALLOW)
    assert decision(budget, phase="merge", **told).frozen_until_ms == 0
