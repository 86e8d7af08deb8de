"""Facts, layers of rules and decisions: allow, require a person, or deny; strictest wins."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from domain.approval import Phase
from domain.freeze import FreezeWindow, frozen_until_ms
from domain.globs import covered, matches
from domain.record import Record, digest
from domain.repository import Repository


class PolicyOutcome(StrEnum):
    ALLOW = "allow"
    REQUIRE = "require"
    DENY = "deny"


class Facts(Record):
    """All that a rule may read, flat; a fact that a phase does not know yet is empty."""

    phase: Phase
    repo: str = ""
    initiator: str = ""
    initiator_kind: str = "human"
    trust: str = "external"
    channel: str = "cli"
    risk: str = "low"
    labels: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    recipe: str = ""
    change: str = "feature"
    priority: int = 3
    paths: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()  # changed paths that are protected
    tests_missing: tuple[str, ...] = ()  # changed directories whose required tests are missing
    files: int = 0
    changed_lines: int = 0  # by agents
    generated_lines: int = 0  # by builtin operations
    tasks: int = 0
    irreversible: bool = False
    gates_failed: tuple[str, ...] = ()
    gates_held: tuple[str, ...] = ()
    tier: str = "none"
    base_moves: bool = False
    service: str = ""  # at phase deploy
    environment: str = ""
    deployed_at_ms: tuple[int, ...] = ()  # of the last week, there; an undone one counts twice
    asked: bool = False  # the specification itself asks for an approval at this phase
    now_ms: int = 0


class Decision(Record):
    """What policy says at one phase, with the rules that said it."""

    phase: Phase
    outcome: PolicyOutcome
    rules: tuple[str, ...] = ()
    reason: str = ""
    quorum: int = 1
    approvers: tuple[str, ...] = ()
    self_approval: bool = False
    frozen_until_ms: int = 0  # a freeze window holds until then; 0: none
    policy_sha256: str = ""
    facts_sha256: str = ""
    requirement_sha256: str = ""
    layers: tuple[str, ...] = ()


class DecidePhase(Record):
    """Asks what policy says; the repository's own, only tightening, layer is read at `base_sha`.

    With `head_sha` all paths that changed since are looked at, not only those in `facts`.
    """

    facts: Facts
    repository: Repository
    base_sha: str = ""
    head_sha: str = ""
    approvals_asked: tuple[str, ...] = ()


RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
DAY_MS = 86_400_000
TIERS = ("none", "limits", "landlock", "bwrap")  # weakest first


class Rule(Record):
    """Says what follows when `when`, an expression over `Facts`, is true at one of the phases."""

    name: RuleName
    phases: tuple[Phase, ...] = Field(default=("start", "plan", "merge", "deploy"), min_length=1)
    when: str = Field(default="true", min_length=1, max_length=2_000)
    outcome: PolicyOutcome
    approvers: tuple[str, ...] = ()  # empty: any person but those excluded
    quorum: int = Field(default=1, ge=1, le=20)
    reason: str = Field(default="", max_length=500)
    self_approval: bool | None = None  # None: as `single_person` of the policy says


class Churn(Record):
    """How many lines agents may change before a person looks; builtin edits count apart."""

    max_lines: int = Field(ge=1)
    max_generated_lines: int | None = Field(default=None, ge=1)


class ChangeBudget(Record):
    """How often one service may be deployed to one environment; what is more waits.

    A release that had to be undone costs two (the error-budget policy of the SRE workbook).
    """

    deploys_per_day: int = Field(ge=1, le=10_000)


class PolicyFile(Record):
    """Schema `slipway.policy/1`: rules, and sections that stand for rules."""

    schema_: Literal["slipway.policy/1"] = Field(alias="schema")
    rules: tuple[Rule, ...] = Field(default=(), max_length=500)
    required_tests: dict[str, str] = {}  # glob of code: glob of the tests that must change too
    risk_labels: dict[str, Literal["require", "deny"]] = {}
    churn: Churn | None = None
    change_budget: ChangeBudget | None = None
    protected_paths: tuple[str, ...] = ()
    freeze: tuple[FreezeWindow, ...] = ()
    minimum_tier: Literal["none", "limits", "landlock", "bwrap"] | None = None
    single_person: bool | None = None  # the initiator may approve; never at phase deploy

    model_config = {"populate_by_name": True}


class Layer(Record):
    """One policy file as it was read; `error` says why it could not be."""

    name: str
    sha256: str
    policy: PolicyFile
    error: str = ""


class Match(Record):
    """A rule that spoke, and what it said."""

    rule: str
    layer: str
    outcome: PolicyOutcome
    reason: str = ""
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    self_approval: bool = True
    until_ms: int = 0  # of a freeze window


# Evaluates an expression; None when it cannot be evaluated.
Holds = Callable[[str], bool | None]
# Binds all facts, once per decision.
Bind = Callable[[Facts], Holds]


def loosening(policy: PolicyFile) -> tuple[str, ...]:
    """Return where a file does more than tighten, which a repository's own must not."""
    found = [
        f"rules[{at}].outcome"
        for at, rule in enumerate(policy.rules)
        if rule.outcome is PolicyOutcome.ALLOW
    ]
    if policy.single_person:
        found.append("single_person")
    return tuple(found)


def with_paths(facts: Facts, layers: tuple[Layer, ...]) -> Facts:
    """Add what the layers make of the changed paths: protected ones, tests that are missing."""
    if facts.phase != "merge":
        return facts
    protected = {*facts.protected}
    missing = {*facts.tests_missing}
    for layer in layers:
        protected.update(covered(facts.paths, layer.policy.protected_paths))
        missing.update(
            code
            for code, tests in layer.policy.required_tests.items()
            if _lacks_tests(facts.paths, code, tests)
        )
    return facts.but(protected=tuple(sorted(protected)), tests_missing=tuple(sorted(missing)))


def _lacks_tests(paths: tuple[str, ...], code: str, tests: str) -> bool:
    changed = [path for path in paths if matches(path, (code,)) and not matches(path, (tests,))]
    return bool(changed) and not covered(paths, (tests,))


def decide(layers: tuple[Layer, ...], facts: Facts, bind: Bind) -> Decision:
    """Join all that matches in all layers: the strictest outcome, all requirements.

    Nothing matched means a person is asked; what cannot be evaluated denies. More layers can
    only make a decision stricter, as long as they hold what `loosening` lets pass.
    """
    facts = with_paths(facts, layers)
    matched = explain(layers, facts, bind)
    outcome = max(
        (match.outcome for match in matched), key=_strictness, default=PolicyOutcome.REQUIRE
    )
    speaking = tuple(match for match in matched if match.outcome is outcome)
    decision = Decision(
        phase=facts.phase,
        outcome=outcome,
        rules=tuple(dict.fromkeys(match.rule for match in speaking)),
        reason=_reason(speaking),
        policy_sha256=digest("\n".join(layer.sha256 for layer in layers).encode()),
        facts_sha256=digest(_canonical(facts.model_dump(mode="json"))),
        layers=tuple(f"{layer.name}@{layer.sha256[:12]}" for layer in layers),
    )
    if outcome is PolicyOutcome.REQUIRE:
        return _with_requirement(decision, speaking, _single_person(layers, facts))
    if outcome is PolicyOutcome.DENY and all(match.until_ms for match in speaking):
        return decision.but(frozen_until_ms=max(match.until_ms for match in speaking))
    return decision


def explain(layers: tuple[Layer, ...], facts: Facts, bind: Bind) -> tuple[Match, ...]:
    """Return every rule that speaks about these facts, in the order of the layers."""
    facts = with_paths(facts, layers)
    holds = bind(facts)
    matched = [match for layer in layers for match in _layer_matches(layer, layers, facts, holds)]
    return (*matched, *_always(layers, facts))


def _layer_matches(
    layer: Layer, layers: tuple[Layer, ...], facts: Facts, holds: Holds
) -> list[Match]:
    """Evaluate one layer: its rules, then the sections that stand for rules."""
    if layer.error:
        return [_match(layer, "policy_error", PolicyOutcome.DENY, layer.error)]
    default = _single_person(layers, facts)
    matched = [
        match
        for rule in layer.policy.rules
        if facts.phase in rule.phases
        if (match := _rule_match(layer, rule, facts, holds, default))
    ]
    return [*matched, *_section_matches(layer, facts)]


def _rule_match(
    layer: Layer, rule: Rule, facts: Facts, holds: Holds, single_person: bool
) -> Match | None:
    answer = holds(rule.when)
    if answer is None:
        text = f"rule {rule.name} of {layer.name} cannot be evaluated"
        return _match(layer, "policy_error", PolicyOutcome.DENY, text)
    if not answer:
        return None
    alone = single_person if rule.self_approval is None else rule.self_approval
    return _match(layer, rule.name, rule.outcome, rule.reason or f"rule {rule.name}").but(
        approvers=rule.approvers, quorum=rule.quorum, self_approval=alone
    )


def _section_matches(layer: Layer, facts: Facts) -> list[Match]:
    """Evaluate the declared sections: labels, freeze, and at merge what the change is."""
    matched = [*_frozen(layer, facts), *_spent(layer, facts)]
    if facts.phase != "merge":
        return matched
    policy = layer.policy
    for label, word in policy.risk_labels.items():
        if label in facts.labels:
            outcome = PolicyOutcome(word)
            matched.append(_match(layer, f"risk_label:{label}", outcome, f"label {label}"))
    for code in policy.required_tests:
        if code in facts.tests_missing:
            text = f"{code} changed, but no test under {policy.required_tests[code]}"
            matched.append(_match(layer, "required_tests", PolicyOutcome.REQUIRE, text))
    if touched := covered(facts.protected, policy.protected_paths):
        text = f"protected paths change: {', '.join(touched[:5])}"
        matched.append(_match(layer, "protected_paths", PolicyOutcome.REQUIRE, text))
    if _needs_all_paths(policy) and facts.files > len(facts.paths):
        text = f"only {len(facts.paths)} of {facts.files} changed paths are known"
        matched.append(_match(layer, "paths_unknown", PolicyOutcome.REQUIRE, text))
    return [*matched, *_churn(layer, facts), *_tier(layer, facts)]


def _needs_all_paths(policy: PolicyFile) -> bool:
    return bool(policy.protected_paths or policy.required_tests)


def _frozen(layer: Layer, facts: Facts) -> list[Match]:
    matched = []
    for window in layer.policy.freeze:
        until = frozen_until_ms(window, facts.now_ms) if facts.phase in window.phases else 0
        if until:
            text = f"freeze window {window.name} ({window.timezone})"
            match = _match(layer, f"freeze:{window.name}", PolicyOutcome.DENY, text)
            matched.append(match.but(until_ms=until))
    return matched


def _spent(layer: Layer, facts: Facts) -> list[Match]:
    """Deny a deployment beyond the budget, until the oldest that counts is a day old."""
    budget = layer.policy.change_budget
    if budget is None or facts.phase != "deploy":
        return []
    today = sorted(at for at in facts.deployed_at_ms if at > facts.now_ms - DAY_MS)
    if len(today) < budget.deploys_per_day:
        return []
    text = f"the change budget of {budget.deploys_per_day} deployments a day is used up"
    match = _match(layer, "change_budget", PolicyOutcome.DENY, text)
    return [match.but(until_ms=today[-budget.deploys_per_day] + DAY_MS)]


def _churn(layer: Layer, facts: Facts) -> list[Match]:
    churn = layer.policy.churn
    if churn is None:
        return []
    matched = []
    if facts.changed_lines > churn.max_lines:
        text = f"agents changed {facts.changed_lines} lines, more than {churn.max_lines}"
        matched.append(_match(layer, "churn", PolicyOutcome.REQUIRE, text))
    most = churn.max_generated_lines
    if most is not None and facts.generated_lines > most:
        text = f"operations changed {facts.generated_lines} lines, more than {most}"
        matched.append(_match(layer, "churn", PolicyOutcome.REQUIRE, text))
    return matched


def _tier(layer: Layer, facts: Facts) -> list[Match]:
    least = layer.policy.minimum_tier
    if least is None or _tier_rank(facts.tier) >= _tier_rank(least):
        return []
    text = f"commands ran in the sandbox tier {facts.tier}, policy asks for {least}"
    return [_match(layer, "minimum_tier", PolicyOutcome.DENY, text)]


def _tier_rank(tier: str) -> int:
    return TIERS.index(tier) if tier in TIERS else 0


def _always(layers: tuple[Layer, ...], facts: Facts) -> list[Match]:
    """Return what no policy can switch off: gates, and what the idea itself asks for."""
    alone = _single_person(layers, facts)
    platform = Match(rule="", layer="slipway", outcome=PolicyOutcome.REQUIRE, self_approval=alone)
    matched = []
    if facts.gates_failed:
        text = f"gates failed: {', '.join(facts.gates_failed)}"
        matched.append(platform.but(rule="gates_failed", outcome=PolicyOutcome.DENY, reason=text))
    if facts.gates_held:
        text = f"gates lack evidence: {', '.join(facts.gates_held)}"
        matched.append(platform.but(rule="gates_held", reason=text))
    if facts.asked:
        text = f"the idea asks for an approval at phase {facts.phase}"
        matched.append(platform.but(rule="asked", reason=text))
    return matched


def _match(layer: Layer, rule: str, outcome: PolicyOutcome, reason: str) -> Match:
    return Match(rule=rule, layer=layer.name, outcome=outcome, reason=reason)


def _single_person(layers: tuple[Layer, ...], facts: Facts) -> bool:
    """Say whether the initiator may approve: one layer says so, none denies it, no production."""
    said = [layer.policy.single_person for layer in layers]
    return True in said and False not in said and facts.phase != "deploy"


def _strictness(outcome: PolicyOutcome) -> int:
    return (PolicyOutcome.ALLOW, PolicyOutcome.REQUIRE, PolicyOutcome.DENY).index(outcome)


def _reason(speaking: tuple[Match, ...]) -> str:
    reasons = dict.fromkeys(match.reason for match in speaking if match.reason)
    return "; ".join(reasons) or "no rule speaks about this, so a person is asked"


def _with_requirement(
    decision: Decision, speaking: tuple[Match, ...], single_person: bool
) -> Decision:
    """Join requirements so that an answer which meets the result meets each of them."""
    named = [frozenset(match.approvers) for match in speaking if match.approvers]
    quorum = max((match.quorum for match in speaking), default=1)
    approvers: frozenset[str] = frozenset.intersection(*named) if named else frozenset()
    if named and len(approvers) < quorum:
        approvers = frozenset().union(*named)  # nobody is in all lists: then everybody named
        if len(approvers) < quorum:
            reason = f"{decision.reason}; their approvers and quorums cannot be met together"
            return decision.but(outcome=PolicyOutcome.DENY, reason=reason)
        quorum = len(approvers)
    requirement = {
        "approvers": sorted(approvers),
        "phase": decision.phase,
        "quorum": quorum,
        "rules": list(decision.rules),
        "self_approval": all(match.self_approval for match in speaking) and single_person,
    }
    return decision.but(
        approvers=tuple(sorted(approvers)),
        quorum=quorum,
        self_approval=requirement["self_approval"],
        requirement_sha256=digest(_canonical(requirement)),
    )


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )
