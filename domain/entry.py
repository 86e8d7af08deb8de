"""What the audit entry of a fact says: its body, and the free text that stands beside it."""

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
from domain.review import GateResult


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
