"""What an idea shows to policy at each phase, and what a person is asked to approve."""

import json

from domain.change import Change
from domain.idea import ChangeKind, Idea
from domain.policy import Facts
from domain.review import GateResult, Verdict

OPERATIONS = "builtin"  # the backend whose edits count apart for the churn limit


def start_facts(idea: Idea) -> Facts:
    """Return what is known of an idea before anything is spent on it."""
    spec = idea.spec
    return Facts(
        phase="start",
        repo=idea.repository.id,
        initiator=idea.initiator.id,
        initiator_kind=idea.initiator.kind,
        trust=idea.initiator.trust.value,
        channel=idea.source.channel,
        risk=spec.risk.level,
        labels=spec.risk.labels,
        recipe=spec.recipe.name if spec.recipe else "",
        change=(spec.change or ChangeKind.FEATURE).value,
        priority=spec.priority if isinstance(spec.priority, int) else 3,
        asked="start" in spec.approvals,
    )


def plan_facts(
    idea: Idea,
    *,
    tasks: int,
    backends: tuple[str, ...],
    touches: tuple[str, ...],
    irreversible: bool,
) -> Facts:
    """Return what a plan adds: how many tasks, by whom, on which paths."""
    return start_facts(idea).but(
        phase="plan",
        tasks=tasks,
        backends=backends,
        paths=touches,
        irreversible=irreversible,
        asked="plan" in idea.spec.approvals,
    )


def merge_facts(
    planned: Facts,
    idea: Idea,
    change: Change,
    results: tuple[GateResult, ...],
    *,
    tier: str,
    base_moves: bool,
) -> Facts:
    """Return what is known when the change stands: its files, its size, its gates.

    Git does not know who wrote a line: unless operations did all of it, agents count as authors.
    """
    lines = change.insertions + change.deletions
    generated = lines if planned.backends == (OPERATIONS,) else 0
    protected = (gate for gate in results if gate.kind == "protected")
    return planned.but(
        phase="merge",
        paths=tuple(file.path for file in change.files),
        protected=tuple(finding.path for gate in protected for finding in gate.findings),
        files=change.file_count,
        changed_lines=lines - generated,
        generated_lines=generated,
        gates_failed=_named(results, Verdict.FAILED),
        gates_held=_named(results, Verdict.HELD),
        tier=tier,
        base_moves=base_moves,
        asked="merge" in idea.spec.approvals,
    )


def merge_subject(
    idea: Idea, head_sha: str, change: Change, results: tuple[GateResult, ...]
) -> str:
    """Return, as canonical JSON, exactly what an approval at phase merge is good for."""
    subject = {
        "base_ref": idea.repository.base,
        "gates": [[result.gate, result.verdict.value] for result in results],
        "head_sha": head_sha,
        "idea": idea.key,
        "patch_id": change.patch_id,
        "repository": idea.repository.id,
    }
    return json.dumps(subject, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def question_text(idea: Idea, facts: Facts, reason: str) -> str:
    """Return what the person reads who is asked."""
    parts = [f"{idea.spec.title}: may it pass the phase {facts.phase}?", reason]
    if facts.phase == "merge":
        parts.append(
            f"{facts.files} files, {facts.changed_lines} lines by agents, "
            f"{facts.generated_lines} by operations, tier {facts.tier}"
        )
    if facts.gates_held:
        parts.append(f"held for lack of evidence: {', '.join(facts.gates_held)}")
    if facts.protected:
        parts.append(f"protected paths: {', '.join(facts.protected[:10])}")
    return "\n".join(part for part in parts if part)


def _named(results: tuple[GateResult, ...], verdict: Verdict) -> tuple[str, ...]:
    return tuple(result.gate for result in results if result.verdict is verdict)
