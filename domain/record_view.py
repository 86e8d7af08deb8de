"""The record of an idea as doors show it: schema `slipway.record/1`, and what it is made of."""

from typing import Any, Literal

from pydantic import Field

from domain.approval import Question
from domain.change import Change, Release
from domain.delivery import Stage, Wait
from domain.policy import Decision
from domain.record import ArtifactRef, Record
from domain.review import Counts, Finding, GateResult, Tier
from domain.rollout_view import RolloutLine


class IdeaFilter(Record):
    """Which ideas to list; what is empty does not filter."""

    states: tuple[Stage, ...] = ()
    repository: str = ""  # its id
    active: bool = False  # only those that have not ended
    text: str = ""  # part of the key or the title, whatever the case


class IdeaLine(Record):
    """One idea in a list, and what a door must know before it starts the same again."""

    key: str
    title: str
    state: Stage
    reason: str
    repository: str
    mode: str
    spec_digest: str
    workflow_id: str
    run_id: str
    waits: tuple[Wait, ...] = ()
    created_at_ms: int
    updated_at_ms: int
    ended_at_ms: int | None = None


class OutcomeView(Record):
    failure: str = Field(alias="class")
    reason: str

    model_config = {"populate_by_name": True}


class RepoView(Record):
    id: str
    name: str
    location: str
    base: str


class PlanView(Record):
    """The newest plan; `artifact` holds the whole of it."""

    round: int
    version: int
    plan_id: str
    created_by: str
    rationale: str
    artifact: ArtifactRef
    at_ms: int


class AttemptView(Record):
    attempt: int
    backend: str
    status: str
    failure: str
    reason: str
    change: Change | None = None
    transcript: ArtifactRef | None = None
    seconds: float
    tokens: int
    micro_usd: int
    tier: str
    runs: int
    at_ms: int


class TaskView(Record):
    round: int
    id: str
    title: str
    state: str
    reason: str
    failure: str
    needs: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    attempts: tuple[AttemptView, ...] = ()
    at_ms: int


class CountsView(Record):
    base: Counts | None = None
    after: Counts | None = None


class GateView(Record):
    """One gate on one commit: `after` is the commit judged, `base` the one it is held against."""

    round: int
    where: str
    task: str
    attempt: int
    name: str
    kind: str
    verdict: str
    reason: str
    base: str
    after: str
    counts: CountsView
    evidence_level: str
    tier: Tier
    cached: bool
    newly_failed: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    log: ArtifactRef | None = None
    seconds: float = 0
    at_ms: int


class DecisionView(Decision):
    round: int = 0
    at_ms: int = 0


class AnswerView(Record):
    person: str
    via: str
    decision: str
    reason: str
    self_approved: bool
    answer_sha256: str
    at_ms: int


class QuestionView(Question):
    """A question with its answers; `consumed_by` is the operation that has used it up."""

    state: str = "open"
    closed_at_ms: int | None = None
    answers: tuple[AnswerView, ...] = ()
    consumed_by: str = ""


class InputView(Record):
    question: str
    key: str
    round: int
    task: str
    text: str
    options: tuple[str, ...] = ()
    answer: str | None = None
    actor: str = ""
    via: str = ""
    asked_at_ms: int
    given_at_ms: int | None = None


class OpenQuestions(Record):
    """All that waits for a person, over all ideas."""

    approvals: tuple[QuestionView, ...] = ()
    inputs: tuple[InputView, ...] = ()


class Cost(Record):
    tokens: int = 0
    micro_usd: int = 0
    attempts: int = 0
    runs: int = 0
    agent_seconds: float = 0
    gate_seconds: float = 0


class TimelineEntry(Record):
    at_ms: int
    kind: str
    text: str


class EventView(TimelineEntry):
    """An entry of the audit chain with its structured body, for a live view."""

    seq: int
    idea_seq: int
    round: int
    actor: str
    body: dict[str, Any] = {}


class AuditHead(Record):
    """Where the audit chain ended when this was read, in all and for this idea."""

    size: int
    sha256: str
    idea_size: int
    idea_sha256: str


class IdeaRecord(Record):
    """Schema `slipway.record/1`; dump with `by_alias`."""

    schema_: Literal["slipway.record/1"] = Field(default="slipway.record/1", alias="schema")
    key: str
    state: Stage
    title: str
    outcome: OutcomeView | None = None  # null: it has not ended
    reason: str = ""
    mode: str = "live"
    revision: int = 1
    spec_digest: str = ""
    repo: RepoView
    base_sha: str = ""
    notes: tuple[str, ...] = ()
    releases: tuple[Release, ...] = ()
    rollouts: tuple[RolloutLine, ...] = ()
    plan: PlanView | None = None
    tasks: tuple[TaskView, ...] = ()
    gates: tuple[GateView, ...] = ()
    waits: tuple[Wait, ...] = ()
    decisions: tuple[DecisionView, ...] = ()
    questions: tuple[QuestionView, ...] = ()  # open approvals
    approvals: tuple[QuestionView, ...] = ()  # all, with their answers
    inputs: tuple[InputView, ...] = ()
    cost: Cost = Cost()
    timeline: tuple[TimelineEntry, ...] = ()
    audit_head: AuditHead
    workflow_id: str = ""
    run_id: str = ""
    ui_url: str = ""
    created_at_ms: int = 0
    updated_at_ms: int = 0
    ended_at_ms: int | None = None

    model_config = {"populate_by_name": True}


class EffectView(Record):
    op: str
    kind: str
    subject_sha256: str
    intent: str
    readback: str | None = None
    begun_at_ms: int
    done_at_ms: int | None = None


class LogView(Record):
    """Something to read about a task: an agent's transcript, or the log of a gate."""

    round: int
    task: str
    attempt: int
    name: str  # `transcript`, or the gate
    where: str
    ref: ArtifactRef
    at_ms: int


class Evidence(Record):
    """What proves an outcome: judgements, answers, effects with read-backs, logs by digest."""

    key: str
    spec_digest: str
    base_sha: str
    gates: tuple[GateView, ...] = ()
    decisions: tuple[DecisionView, ...] = ()
    approvals: tuple[QuestionView, ...] = ()
    effects: tuple[EffectView, ...] = ()
    releases: tuple[Release, ...] = ()
    logs: tuple[LogView, ...] = ()
    audit_head: AuditHead


def cost(tasks: tuple[TaskView, ...], gates: tuple[GateView, ...]) -> Cost:
    """Add up what an idea has used."""
    attempts = [attempt for task in tasks for attempt in task.attempts]
    return Cost(
        tokens=sum(attempt.tokens for attempt in attempts),
        micro_usd=sum(attempt.micro_usd for attempt in attempts),
        attempts=len(attempts),
        runs=sum(attempt.runs for attempt in attempts),
        agent_seconds=round(sum(attempt.seconds for attempt in attempts), 3),
        gate_seconds=round(sum(gate.seconds for gate in gates), 3),
    )


def gate_view(
    result: GateResult,
    *,
    round: int,
    where: str,
    task: str,
    attempt: int,
    base: str,
    after: str,
    at_ms: int,
) -> GateView:
    """Return a gate's result as the record shows it."""
    same = result.model_dump(
        include={
            "kind", "verdict", "reason", "tier", "cached", "newly_failed", "flaky", "findings",
            "log", "seconds",
        }
    )  # fmt: skip
    return GateView(
        **same,
        name=result.gate,
        counts=CountsView(base=result.base, after=result.after),
        evidence_level=result.level,
        round=round,
        where=where,
        task=task,
        attempt=attempt,
        base=base,
        after=after,
        at_ms=at_ms,
    )


def logs_of(
    tasks: tuple[TaskView, ...], gates: tuple[GateView, ...], task: str = ""
) -> tuple[LogView, ...]:
    """Return what there is to read, oldest first; `task` empty: of all tasks and gates."""
    transcripts = [
        LogView(
            round=item.round,
            task=item.id,
            attempt=attempt.attempt,
            name="transcript",
            where="task",
            ref=attempt.transcript,
            at_ms=attempt.at_ms,
        )
        for item in tasks
        for attempt in item.attempts
        if attempt.transcript
    ]
    judged = [
        LogView(
            round=gate.round,
            task=gate.task,
            attempt=gate.attempt,
            name=gate.name,
            where=gate.where,
            ref=gate.log,
            at_ms=gate.at_ms,
        )
        for gate in gates
        if gate.log
    ]
    found = [log for log in (*transcripts, *judged) if not task or log.task == task]
    return tuple(sorted(found, key=lambda log: log.at_ms))
