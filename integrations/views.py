"""Reading the records: rows of one transaction as the views that doors show."""

import json
from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, func, or_, select

from domain.audit import GENESIS
from domain.change import Release
from domain.delivery import TERMINAL, Stage, Wait
from domain.errors import Rejected
from domain.idea import Idea
from domain.record_view import (
    AnswerView,
    AttemptView,
    AuditHead,
    DecisionView,
    EffectView,
    EventView,
    Evidence,
    GateView,
    IdeaFilter,
    IdeaLine,
    IdeaRecord,
    InputView,
    LogView,
    OpenQuestions,
    OutcomeView,
    PlanView,
    QuestionView,
    RepoView,
    TaskView,
    TimelineEntry,
    cost,
    gate_view,
    logs_of,
)
from domain.review import GateResult
from domain.timeline import line
from integrations.rollout_views import of_idea
from integrations.tables import (
    answers,
    approvals,
    attempts,
    consumed,
    decisions,
    effects,
    event_texts,
    events,
    gates,
    ideas,
    inputs,
    plans,
    releases,
    runs,
    tasks,
)

Found = Row[Any]


def lines(conn: Connection, wanted: IdeaFilter, limit: int) -> tuple[IdeaLine, ...]:
    """Return the newest ideas first."""
    query = select(ideas).order_by(ideas.c.created_at_ms.desc(), ideas.c.key).limit(limit)
    if wanted.states:
        query = query.where(ideas.c.stage.in_(wanted.states))
    if wanted.repository:
        query = query.where(ideas.c.repository == wanted.repository)
    if wanted.active:
        query = query.where(ideas.c.stage.not_in(TERMINAL))
    if wanted.text:
        part = wanted.text.lower()
        title, key = func.lower(ideas.c.title), func.lower(ideas.c.key)
        query = query.where(
            or_(title.contains(part, autoescape=True), key.contains(part, autoescape=True))
        )
    return tuple(_line(row) for row in conn.execute(query))


def find(conn: Connection, key: str) -> IdeaLine | None:
    """Return the line of one idea."""
    row = conn.execute(select(ideas).where(ideas.c.key == key)).first()
    return _line(row) if row else None


def _line(row: Found) -> IdeaLine:
    values = row._asdict()
    return IdeaLine.model_validate(values | {"state": row.stage, "waits": _waits(row)})


def _waits(row: Found) -> tuple[Wait, ...]:
    return tuple(Wait.model_validate(wait) for wait in json.loads(row.waits))


def record(conn: Connection, key: str, ui_url: str) -> IdeaRecord:
    """Return the whole record of an idea; raises `Rejected` (code `unknown_idea`)."""
    row = _known(conn, key)
    idea = Idea.model_validate(json.loads(row.document))
    work, judged = tasks_of(conn, key), gates_of(conn, key)
    asked = questions(conn, approvals.c.key == key)
    ended = Stage(row.stage) in TERMINAL
    outcome = OutcomeView(failure=row.failure, reason=row.reason) if ended else None
    story = events_after(conn, key, 0)
    return IdeaRecord.model_validate(
        row._asdict()
        | {
            "state": row.stage,
            "outcome": outcome,
            "repo": RepoView.model_validate(idea.repository.model_dump()),
            "notes": json.loads(row.notes),
            "releases": releases_of(conn, key),
            "rollouts": of_idea(conn, key),
            "plan": plan(conn, key),
            "tasks": work,
            "gates": judged,
            "waits": _waits(row),
            "decisions": decisions_of(conn, key),
            "questions": tuple(one for one in asked if one.state == "open" and not ended),
            "approvals": asked,
            "inputs": inputs_of(conn, inputs.c.key == key),
            "cost": cost(work, judged),
            "timeline": tuple(
                TimelineEntry(at_ms=event.at_ms, kind=event.kind, text=event.text)
                for event in story
            ),
            "audit_head": head(conn, key),
            "ui_url": ui_url,
        }
    )


def _known(conn: Connection, key: str) -> Found:
    row = conn.execute(select(ideas).where(ideas.c.key == key)).first()
    if row is None:
        raise unknown(key)
    return row


def unknown(key: str) -> Rejected:
    """Return the error for a key that no idea has."""
    return Rejected(
        f"There is no idea {key!r:.80}", code="unknown_idea", hint="`slipway idea list` shows all."
    )


def _of(table: Table, key: str) -> Select[Any]:
    return select(table).where(table.c.key == key).order_by(*table.primary_key.columns)


def plan(conn: Connection, key: str) -> PlanView | None:
    """Return the newest plan of an idea."""
    newest = _of(plans, key).order_by(None).order_by(plans.c.round.desc(), plans.c.version.desc())
    row = conn.execute(newest.limit(1)).first()
    if row is None:
        return None
    return PlanView.model_validate(row._asdict() | {"artifact": json.loads(row.artifact)})


def tasks_of(conn: Connection, key: str) -> tuple[TaskView, ...]:
    """Return all tasks of all rounds, in the order of the plan, with their attempts."""
    tried = _attempts_of(conn, key)
    query = _of(tasks, key).order_by(None).order_by(tasks.c.round, tasks.c.position, tasks.c.task)
    return tuple(
        TaskView.model_validate(
            row._asdict()
            | {
                "id": row.task,
                "needs": json.loads(row.needs),
                "covers": json.loads(row.covers),
                "attempts": tuple(tried[row.round, row.task]),
            }
        )
        for row in conn.execute(query)
    )


def _attempts_of(conn: Connection, key: str) -> dict[tuple[int, str], list[AttemptView]]:
    counted = select(func.count()).where(
        *(runs.c[name] == attempts.c[name] for name in ("key", "round", "task", "attempt"))
    )
    query = _of(attempts, key).add_columns(counted.scalar_subquery().label("runs"))
    found: dict[tuple[int, str], list[AttemptView]] = defaultdict(list)
    for row in conn.execute(query):
        values = row._asdict() | {
            "change": json.loads(row.change),
            "transcript": json.loads(row.transcript),
            "seconds": row.ms / 1000,
        }
        found[row.round, row.task].append(AttemptView.model_validate(values))
    return found


def gates_of(conn: Connection, key: str) -> tuple[GateView, ...]:
    """Return every gate that ran, in the order of the audit chain."""
    return tuple(
        gate_view(
            GateResult.model_validate(json.loads(row.result)),
            round=row.round,
            where=row.place,
            task=row.task,
            attempt=row.attempt,
            base=row.base_sha,
            after=row.sha,
            at_ms=row.at_ms,
        )
        for row in conn.execute(_of(gates, key))
    )


def decisions_of(conn: Connection, key: str) -> tuple[DecisionView, ...]:
    """Return what policy said, oldest first."""
    return tuple(
        DecisionView.model_validate(
            json.loads(row.decision) | {"round": row.round, "at_ms": row.at_ms}
        )
        for row in conn.execute(_of(decisions, key))
    )


def releases_of(conn: Connection, key: str) -> tuple[Release, ...]:
    """Return one release for each round that was merged."""
    return tuple(Release.model_validate(row._asdict()) for row in conn.execute(_of(releases, key)))


def questions(conn: Connection, *where: Any) -> tuple[QuestionView, ...]:
    """Return approvals with their answers, oldest first."""
    query = select(approvals, consumed.c.op.label("used")).outerjoin(consumed).where(*where)
    rows = conn.execute(query.order_by(approvals.c.asked_at_ms, approvals.c.approval)).all()
    given = _answers_to(conn, [row.approval for row in rows])
    return tuple(
        QuestionView.model_validate(
            json.loads(row.question)
            | {
                "state": row.state,
                "closed_at_ms": row.closed_at_ms,
                "consumed_by": row.used or "",
                "answers": tuple(given[row.approval]),
            }
        )
        for row in rows
    )


def _answers_to(conn: Connection, asked: list[str]) -> dict[str, list[AnswerView]]:
    given: dict[str, list[AnswerView]] = defaultdict(list)
    query = select(answers).where(answers.c.approval.in_(asked)).order_by(answers.c.at_ms)
    for row in conn.execute(query) if asked else ():
        given[row.approval].append(AnswerView.model_validate(row._asdict()))
    return given


def inputs_of(conn: Connection, *where: Any) -> tuple[InputView, ...]:
    """Return what planner and agents asked, oldest first."""
    query = select(inputs).where(*where).order_by(inputs.c.asked_at_ms, inputs.c.question)
    return tuple(
        InputView.model_validate(row._asdict() | {"options": json.loads(row.options)})
        for row in conn.execute(query)
    )


def open_questions(conn: Connection, key: str = "") -> OpenQuestions:
    """Return all that waits for a person; of ended ideas nothing does."""
    active = select(ideas.c.key).where(ideas.c.stage.not_in(TERMINAL))
    if key:
        active = active.where(ideas.c.key == key)
    return OpenQuestions(
        approvals=questions(conn, approvals.c.state == "open", approvals.c.key.in_(active)),
        inputs=inputs_of(conn, inputs.c.answer.is_(None), inputs.c.key.in_(active)),
    )


def events_after(conn: Connection, key: str, idea_seq: int) -> tuple[EventView, ...]:
    """Return the entries of an idea after its `idea_seq`, oldest first."""
    newer = (events.c.key == key, events.c.idea_seq > idea_seq)
    texts: dict[int, dict[str, str | None]] = defaultdict(dict)
    for text in conn.execute(select(event_texts).join(events).where(*newer)):
        texts[text.seq][text.field] = text.text
    query = select(events).where(*newer).order_by(events.c.idea_seq)
    return tuple(_event(row, texts[row.seq]) for row in conn.execute(query))


def _event(row: Found, texts: dict[str, str | None]) -> EventView:
    body = json.loads(row.entry)["body"]
    text = line(row.kind, body, texts)
    return EventView.model_validate(row._asdict() | {"body": body, "text": text})


def head(conn: Connection, key: str) -> AuditHead:
    """Return where the chain ends, in all and for one idea."""
    last = select(events.c.seq, events.c.idea_seq, events.c.sha256).limit(1)
    whole = conn.execute(last.order_by(events.c.seq.desc())).first()
    own = conn.execute(last.where(events.c.key == key).order_by(events.c.idea_seq.desc())).first()
    return AuditHead(
        size=whole.seq if whole else 0,
        sha256=whole.sha256 if whole else GENESIS,
        idea_size=own.idea_seq if own else 0,
        idea_sha256=own.sha256 if own else GENESIS,
    )


def evidence(conn: Connection, key: str) -> Evidence:
    """Return what proves the outcome of an idea; raises `Rejected` (code `unknown_idea`)."""
    row = _known(conn, key)
    judged = gates_of(conn, key)
    done = select(effects).where(effects.c.key == key).order_by(effects.c.begun_at_ms, effects.c.op)
    return Evidence(
        key=key,
        spec_digest=row.spec_digest,
        base_sha=row.base_sha,
        gates=judged,
        decisions=decisions_of(conn, key),
        approvals=questions(conn, approvals.c.key == key),
        effects=tuple(EffectView.model_validate(one._asdict()) for one in conn.execute(done)),
        releases=releases_of(conn, key),
        logs=logs_of(tasks_of(conn, key), judged),
        audit_head=head(conn, key),
    )


def logs(conn: Connection, key: str, task: str) -> tuple[LogView, ...]:
    """Return what there is to read about a task; raises `Rejected` (code `unknown_idea`)."""
    _known(conn, key)
    return logs_of(tasks_of(conn, key), gates_of(conn, key), task)
