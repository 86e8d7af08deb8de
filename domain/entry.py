"""What the audit entry of a fact says: its body, and the free text that stands beside it."""

import json
from collections.abc import Mapping
from functools import singledispatch
from typing import NamedTuple

from domain.change import Change
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
from domain.record import digest
from domain.review import GateResult
from domain.rollout import RolloutPlan, Undo
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
from domain.verdict import ClassEvidence


class Told(NamedTuple):
    """`body` goes into the entry as it is, of `texts` only commitments do."""

    body: Mapping[str, object]
    texts: Mapping[str, str] = {}


@singledispatch
def told(fact: Fact) -> Told:
    """Return what the entry of `fact` says."""
    raise NotImplementedError(type(fact).__name__)


@told.register
def _(fact: IdeaRevised) -> Told:
    idea = fact.idea
    body = {"revision": idea.revision, "spec_digest": idea.spec_digest, "via": fact.via}
    return Told({**body, "person": fact.actor}, {"reason": fact.reason, "title": idea.spec.title})


@told.register
def _(fact: StageReached) -> Told:
    return Told({"stage": fact.stage}, {"reason": fact.reason})


@told.register
def _(fact: WaitsChanged) -> Told:
    waits = [
        wait.model_dump(mode="json", include={"flag", "owner", "since_ms", "subject"})
        for wait in fact.waits
    ]
    return Told({"waits": waits}, {f"predicate_{n}": w.predicate for n, w in enumerate(fact.waits)})


@told.register
def _(fact: BaseResolved) -> Told:
    return Told({"base_sha": fact.base_sha}, {"notes": "\n".join(fact.notes)})


@told.register
def _(fact: PlanMade) -> Told:
    plan = fact.skeleton
    tasks = [task.model_dump(mode="json", include={"id", "needs", "covers"}) for task in plan.tasks]
    body = plan.model_dump(mode="json", include={"plan_id", "version", "created_by"})
    return Told(
        {**body, "plan_sha256": plan.plan.sha256, "tasks": tasks}, {"rationale": fact.rationale}
    )


@told.register
def _(fact: TaskMoved) -> Told:
    body = {"task": fact.task, "state": fact.state, "failure": fact.failure}
    return Told(body, {"reason": fact.reason, "title": fact.title})


@told.register
def _(fact: AttemptEnded) -> Told:
    kept = {"task", "attempt", "backend", "status", "failure", "tokens", "micro_usd", "tier"}
    body = fact.model_dump(mode="json", include=kept | {"runs"})
    body["ms"] = round(fact.seconds * 1000)
    body["change"] = _measured(fact.change) if fact.change else None
    body["transcript_sha256"] = fact.transcript.sha256 if fact.transcript else ""
    return Told(body, {"reason": fact.reason})


def _measured(change: Change) -> dict[str, object]:
    kept = {"base_sha", "sha", "tree", "file_count", "insertions", "deletions", "patch_id"}
    return change.model_dump(mode="json", include=kept)


@told.register
def _(fact: GatesRan) -> Told:
    body = fact.model_dump(mode="json", include={"where", "task", "attempt", "sha", "base_sha"})
    body["results"] = [_judged(result) for result in fact.results]
    return Told(body, {f"reason_{n}": result.reason for n, result in enumerate(fact.results)})


def _judged(result: GateResult) -> dict[str, object]:
    kept = {"gate", "kind", "verdict", "level", "base", "after", "cached", "tier"}
    body = result.model_dump(mode="json", include=kept)
    body["ms"] = round(result.seconds * 1000)
    body["log_sha256"] = result.log.sha256 if result.log else ""
    return body


@told.register
def _(fact: PolicyDecided) -> Told:
    return Told(
        fact.decision.model_dump(mode="json", exclude={"reason"}), {"reason": fact.decision.reason}
    )


@told.register
def _(fact: QuestionAsked) -> Told:
    texts = {"text": fact.question.text, "subject": fact.question.subject}
    return Told(fact.question.model_dump(mode="json", exclude=set(texts)), texts)


@told.register
def _(fact: QuestionAnswered) -> Told:
    body = fact.model_dump(mode="json", exclude={"kind", "payload", "reason"})
    return Told(body, {"reason": fact.reason})


@told.register
def _(fact: QuestionClosed) -> Told:
    return Told({"approval": fact.approval, "state": fact.state})


@told.register
def _(fact: InputAsked) -> Told:
    body = {"question": fact.question, "task": fact.task}
    return Told(body, {"text": fact.text, "options": "\n".join(fact.options)})


@told.register
def _(fact: InputGiven) -> Told:
    body = {"question": fact.question, "person": fact.actor, "via": fact.via}
    return Told(body, {"text": fact.text})


@told.register
def _(fact: Steered) -> Told:
    body = {"verb": fact.verb, "person": fact.actor, "via": fact.via, "task": fact.task}
    return Told(body, {"reason": fact.reason})


@told.register
def _(fact: ReleaseMade) -> Told:
    return Told(fact.release.model_dump(mode="json"))


@told.register
def _(fact: IdeaEnded) -> Told:
    outcome = fact.outcome
    return Told({"stage": outcome.stage, "failure": outcome.failure}, {"reason": outcome.reason})


@told.register
def _(fact: RolloutPlanned) -> Told:
    plan = fact.plan
    body = plan.model_dump(mode="json", include={"rollout", "sha", "tag", "first", "merges"})
    body["target"] = plan.place.target
    body["anchor_sha"] = plan.anchor.sha if plan.anchor else ""
    body["steps"] = [
        {"weight": step.weight, "hold_ms": round(step.hold_s * 1000)} for step in plan.steps
    ]
    return Told({**body, "bake_ms": round(plan.bake_s * 1000), "plan_sha256": _plan_sha256(plan)})


def _plan_sha256(plan: RolloutPlan) -> str:
    return digest(json.dumps(plan.model_dump(mode="json"), sort_keys=True).encode())


@told.register
def _(fact: RolloutMoved) -> Told:
    body = fact.model_dump(mode="json", include={"rollout", "state", "step", "weight"})
    return Told(body, {"reason": fact.reason})


@told.register
def _(fact: VerdictGiven) -> Told:
    kept = {"verdict", "label", "guard", "ticks", "requests", "at_ms"}
    body = fact.verdict.model_dump(mode="json", include=kept)
    body |= {"rollout": fact.rollout, "step": fact.step}
    body["classes"] = [_evidence(each) for each in fact.verdict.classes]
    seen = {"name", "state", "critical", "report_only", "points"}
    body["gauges"] = [each.model_dump(mode="json", include=seen) for each in fact.verdict.gauges]
    return Told(body, {"reason": fact.verdict.reason})


def _evidence(evidence: ClassEvidence) -> dict[str, object]:
    """Return the evidence with its real numbers as text, for an entry holds only whole ones."""
    values = evidence.model_dump(mode="json", exclude={"interval"})
    low, high = evidence.interval
    values |= {"interval_low": low, "interval_high": high}
    return {name: repr(v) if isinstance(v, float) else v for name, v in values.items()}


@told.register
def _(fact: RolloutUndone) -> Told:
    undo = fact.undo
    kept = {"rollout", "verified", "generation", "anchor_sha"}
    body = undo.model_dump(mode="json", include=kept | _MOMENTS)
    return Told(body, {"reason": undo.reason, "checks": "\n".join(undo.checks)})


_MOMENTS = {name for name in Undo.model_fields if name.endswith("_ms")}


@told.register
def _(fact: RolloutEnded) -> Told:
    result = fact.result
    kept = {"rollout", "target", "status", "sha", "tag", "merges", "superseded_by", "bad_since_ms"}
    body = result.model_dump(mode="json", include=kept)
    body["exposure"] = round(result.exposure * 10_000)
    return Told(body, {"reason": result.reason})


@told.register
def _(fact: MergesQuarantined) -> Told:
    kept = {"repository", "sha", "rollout", "key"}
    items = [item.model_dump(mode="json", include=kept) for item in fact.items]
    texts = {f"reason_{number}": item.reason for number, item in enumerate(fact.items)}
    return Told({"items": items}, texts)


@told.register
def _(fact: QuarantineCured) -> Told:
    return Told(fact.model_dump(mode="json", exclude={"kind"}))


@told.register
def _(fact: HookRan) -> Told:
    body = fact.model_dump(mode="json", include={"rollout", "hook", "ok"})
    return Told(body, {"reason": fact.reason})
