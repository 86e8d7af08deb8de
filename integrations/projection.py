"""Projecting facts to rows: what each kind of fact changes in the tables."""

from functools import singledispatch

from sqlalchemy import Connection

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
from domain.idea import Idea
from domain.rollout_fact import RolloutFact
from integrations.chain import Place, Spot
from integrations.rollout_projection import project_rollout
from integrations.rows import add, change, document, put
from integrations.tables import (
    answers,
    approvals,
    attempts,
    decisions,
    gates,
    ideas,
    inputs,
    plans,
    releases,
    revisions,
    runs,
    tasks,
)


def project(spot: Spot, fact: Fact) -> None:
    """Write what `fact` changes; the caller has checked that it may."""
    _project(fact, spot)


def touch(conn: Connection, place: Place) -> None:
    """Note when the idea was last told about."""
    change(conn, ideas, {"key": place.key}, updated_at_ms=place.at_ms)


def put_idea(conn: Connection, idea: Idea, **values: object) -> None:
    """Write the row of an idea, new or revised."""
    put(
        conn,
        ideas,
        {"key": idea.key},
        spec_digest=idea.spec_digest,
        document=document(idea),
        revision=idea.revision,
        title=idea.spec.title,
        repository=idea.repository.id,
        mode=idea.mode,
        channel=idea.source.channel,
        **values,
    )


def put_revision(
    conn: Connection, idea: Idea, *, actor: str, via: str, reason: str, at_ms: int
) -> None:
    """Write the row of one revision of the specification."""
    put(
        conn,
        revisions,
        {"key": idea.key, "revision": idea.revision},
        spec_digest=idea.spec_digest,
        document=document(idea),
        actor=actor,
        via=via,
        reason=reason,
        at_ms=at_ms,
    )


@singledispatch
def _project(fact: Fact, spot: Spot) -> None:
    raise NotImplementedError(type(fact).__name__)


@_project.register
def _(fact: IdeaRevised, spot: Spot) -> None:
    put_idea(spot.conn, fact.idea)
    put_revision(
        spot.conn,
        fact.idea,
        actor=fact.actor,
        via=fact.via,
        reason=fact.reason,
        at_ms=spot.place.at_ms,
    )


@_project.register
def _(fact: StageReached, spot: Spot) -> None:
    change(spot.conn, ideas, spot.key, stage=fact.stage, reason=fact.reason)


@_project.register
def _(fact: WaitsChanged, spot: Spot) -> None:
    change(spot.conn, ideas, spot.key, waits=document(fact.waits))


@_project.register
def _(fact: BaseResolved, spot: Spot) -> None:
    values = {"base_sha": fact.base_sha, "notes": document(fact.notes)}
    change(spot.conn, ideas, spot.key, **values)


@_project.register
def _(fact: PlanMade, spot: Spot) -> None:
    plan = fact.skeleton
    put(
        spot.conn,
        plans,
        spot.in_round | {"version": plan.version},
        plan_id=plan.plan_id,
        created_by=plan.created_by,
        artifact=document(plan.plan),
        rationale=fact.rationale,
        **spot.stamp,
    )
    for position, task in enumerate(plan.tasks):
        put(
            spot.conn,
            tasks,
            spot.in_round | {"task": task.id},
            position=position,
            title=task.title,
            needs=document(task.needs),
            covers=document(task.covers),
            **spot.stamp,
        )


@_project.register
def _(fact: TaskMoved, spot: Spot) -> None:
    titled = {"title": fact.title} if fact.title else {}
    put(
        spot.conn,
        tasks,
        spot.in_round | {"task": fact.task},
        state=fact.state,
        reason=fact.reason,
        failure=fact.failure,
        **titled,
        **spot.stamp,
    )


@_project.register
def _(fact: AttemptEnded, spot: Spot) -> None:
    key = spot.in_round | {"task": fact.task, "attempt": fact.attempt}
    put(
        spot.conn,
        attempts,
        key,
        backend=fact.backend,
        status=fact.status,
        failure=fact.failure,
        reason=fact.reason,
        change=document(fact.change),
        transcript=document(fact.transcript),
        ms=round(fact.seconds * 1000),
        tokens=fact.tokens,
        micro_usd=fact.micro_usd,
        tier=fact.tier,
        **spot.stamp,
    )
    for run in range(1, fact.runs + 1):
        status = fact.status if run == fact.runs else "lost"
        put(spot.conn, runs, key | {"run": run}, status=status, at_ms=spot.place.at_ms)


@_project.register
def _(fact: GatesRan, spot: Spot) -> None:
    for position, result in enumerate(fact.results):
        add(
            spot.conn,
            gates,
            seq=spot.seq,
            position=position,
            **spot.in_round,
            place=fact.where,
            task=fact.task,
            attempt=fact.attempt,
            sha=fact.sha,
            base_sha=fact.base_sha,
            gate=result.gate,
            verdict=result.verdict,
            result=document(result),
            at_ms=spot.place.at_ms,
        )


@_project.register
def _(fact: PolicyDecided, spot: Spot) -> None:
    add(
        spot.conn,
        decisions,
        seq=spot.seq,
        **spot.in_round,
        phase=fact.decision.phase,
        outcome=fact.decision.outcome,
        decision=document(fact.decision),
        at_ms=spot.place.at_ms,
    )


@_project.register
def _(fact: QuestionAsked, spot: Spot) -> None:
    question = fact.question
    add(
        spot.conn,
        approvals,
        approval=question.approval,
        **spot.in_round,
        actor=spot.place.actor,
        phase=question.phase,
        nonce=question.nonce,
        subject_sha256=question.subject_sha256,
        requirement_sha256=question.requirement_sha256,
        question=document(question),
        state="open",
        answer_by_ms=question.answer_by_ms,
        use_by_ms=question.use_by_ms,
        asked_at_ms=question.asked_at_ms,
    )


@_project.register
def _(fact: QuestionAnswered, spot: Spot) -> None:
    put(
        spot.conn,
        answers,
        {"approval": fact.approval, "answer_sha256": fact.answer_sha256},
        **spot.key,
        payload=fact.payload.encode("utf-8", "surrogatepass"),
        person=fact.person,
        via=fact.via,
        decision=fact.decision,
        reason=fact.reason,
        self_approved=fact.self_approved,
        at_ms=spot.place.at_ms,
    )


@_project.register
def _(fact: QuestionClosed, spot: Spot) -> None:
    values = {"state": fact.state, "closed_at_ms": spot.place.at_ms}
    change(spot.conn, approvals, {"approval": fact.approval} | spot.key, **values)


@_project.register
def _(fact: InputAsked, spot: Spot) -> None:
    put(
        spot.conn,
        inputs,
        spot.key | {"question": fact.question},
        round=spot.place.round,
        task=fact.task,
        text=fact.text,
        options=document(fact.options),
        asked_at_ms=spot.place.at_ms,
    )


@_project.register
def _(fact: InputGiven, spot: Spot) -> None:
    put(
        spot.conn,
        inputs,
        spot.key | {"question": fact.question},
        answer=fact.text,
        actor=fact.actor,
        via=fact.via,
        given_at_ms=spot.place.at_ms,
    )


@_project.register
def _(fact: Steered, spot: Spot) -> None:
    """An order changes no row by itself; what follows from it is told by other facts."""


@_project.register
def _(fact: ReleaseMade, spot: Spot) -> None:
    release = fact.release.model_dump(exclude={"round"})
    put(
        spot.conn,
        releases,
        spot.key | {"round": fact.release.round},
        **release,
        **spot.stamp,
    )


@_project.register
def _(fact: RolloutFact, spot: Spot) -> None:
    project_rollout(fact, spot)


@_project.register
def _(fact: IdeaEnded, spot: Spot) -> None:
    outcome = fact.outcome
    change(
        spot.conn,
        ideas,
        spot.key,
        stage=outcome.stage,
        failure=outcome.failure,
        reason=outcome.reason,
        waits="[]",
        ended_at_ms=spot.place.at_ms,
    )
    open_ones = spot.key | {"state": "open"}
    change(spot.conn, approvals, open_ones, state="void", closed_at_ms=spot.place.at_ms)
