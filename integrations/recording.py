"""Registering ideas and recording facts: rows and events of one operation, in one transaction."""

from sqlalchemy import Connection, Row, select

from domain.delivery import TERMINAL, Stage
from domain.entry import Told, told
from domain.errors import Rejected
from domain.fact import Fact, IdeaEnded
from domain.idea import Idea
from domain.ledger import RecordFacts, Registered, RegisterIdea
from domain.stages import after_end, legal, stage_after
from integrations.chain import Place, Spot, Writer, told_before
from integrations.projection import project, put_idea, put_revision, touch
from integrations.tables import ideas


def register(conn: Connection, order: RegisterIdea) -> Registered:
    """Make the row of an idea, or say whose the key is already."""
    row = conn.execute(select(ideas).where(ideas.c.key == order.idea.key)).first()
    if row is None:
        _insert(conn, order)
        return Registered(accepted=True)
    if (row.workflow_id, row.run_id) == (order.workflow_id, order.run_id):
        return Registered(accepted=True)
    return Registered(accepted=False, reason=_taken(row, order.idea))


def _taken(row: Row[tuple[object, ...]], idea: Idea) -> str:
    if row.spec_digest != idea.spec_digest:
        return f"{idea.key} belongs to another specification (digest {row.spec_digest[:12]})"
    if Stage(row.stage) in TERMINAL:
        return f"{idea.key} has already ended as {row.stage}; start it --again under a new key"
    return f"{idea.key} is already under way as {row.workflow_id}, run {row.run_id}"


def _insert(conn: Connection, order: RegisterIdea) -> None:
    idea, at_ms = order.idea, order.at_ms
    place = Place(idea.key, 0, order.op, at_ms, idea.initiator.id or "slipway")
    put_idea(
        conn,
        idea,
        op=order.op,
        actor=place.actor,
        workflow_id=order.workflow_id,
        run_id=order.run_id,
        stage=Stage.REGISTERED,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )
    via = idea.source.channel
    put_revision(conn, idea, actor=place.actor, via=via, reason="", at_ms=at_ms)
    Writer(conn, place).add("idea_registered", _registration(order))


def _registration(order: RegisterIdea) -> Told:
    idea = order.idea
    body: dict[str, object] = {
        "spec_digest": idea.spec_digest,
        "repository": idea.repository.id,
        "mode": idea.mode,
        "channel": idea.source.channel,
        "initiator": idea.initiator.model_dump(mode="json"),
        "workflow_id": order.workflow_id,
        "run_id": order.run_id,
    }
    return Told(body, {"title": idea.spec.title})


def append(conn: Connection, order: RecordFacts) -> None:
    """Write each fact with its event; an operation that is on record already changes nothing."""
    if not order.facts or told_before(conn, order.op):
        return
    columns = (ideas.c.stage, ideas.c.ended_at_ms)
    row = conn.execute(select(*columns).where(ideas.c.key == order.key)).first()
    if row is None:
        raise Rejected(f"There is no idea {order.key}", code="unknown_idea")
    stage, ended = Stage(row.stage), row.ended_at_ms is not None
    place = Place(order.key, order.round, order.op, order.at_ms, order.actor)
    writer = Writer(conn, place)
    for fact in order.facts:
        _check(fact, stage, ended, order.key)
        project(Spot(conn, place, writer.add(fact.kind, told(fact))), fact)
        stage, ended = stage_after(fact, stage), ended or isinstance(fact, IdeaEnded)
    touch(conn, place)


def _check(fact: Fact, stage: Stage, ended: bool, key: str) -> None:
    if stage in TERMINAL and not after_end(fact, stage, ended=ended):
        raise Rejected(
            f"{key} has ended as {stage}, {fact.kind} cannot follow", code="illegal_transition"
        )
    to = stage_after(fact, stage)
    if not legal(stage, to):
        raise Rejected(f"{key} cannot go from {stage} to {to}", code="illegal_transition")
