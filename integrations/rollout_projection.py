"""Projecting what is told of a rollout to rows."""

from functools import singledispatch

from sqlalchemy import Connection, select

from domain.record import Record
from domain.rollout import RolloutState
from domain.rollout_fact import (
    HookRan,
    MergesQuarantined,
    QuarantineCured,
    RolloutEnded,
    RolloutFact,
    RolloutMoved,
    RolloutPlanned,
    RolloutUndone,
    VerdictGiven,
    follows,
)
from integrations import rollout_rows
from integrations.chain import Spot
from integrations.rows import add, document, put
from integrations.tables import rollout_story, rollouts

_WITHOUT_TRAFFIC = (RolloutState.UNDONE, RolloutState.RESTORED_UNVERIFIED, RolloutState.FAILED)


def project_rollout(fact: RolloutFact, spot: Spot) -> None:
    """Write what `fact` changes; its place in the story of the rollout comes with it."""
    _project(fact, spot)


def _tell(spot: Spot, rollout: str, fact: RolloutFact) -> None:
    add(
        spot.conn,
        rollout_story,
        seq=spot.seq,
        rollout=rollout,
        **spot.key,
        kind=fact.kind,
        fact=document(fact),
        at_ms=spot.place.at_ms,
    )


def _put(spot: Spot, rollout: str, **values: object) -> None:
    """Write the row of a rollout, which is made if it is missing."""
    at_ms = spot.place.at_ms
    put(spot.conn, rollouts, {"rollout": rollout}, **_born(spot, rollout), **values,
        updated_at_ms=at_ms)  # fmt: skip


def _born(spot: Spot, rollout: str) -> dict[str, object]:
    if _is_there(spot.conn, rollout):
        return {}
    return {**spot.in_round, "actor": spot.place.actor, "created_at_ms": spot.place.at_ms}


def _is_there(conn: Connection, rollout: str) -> bool:
    query = select(rollouts.c.rollout).where(rollouts.c.rollout == rollout)
    return conn.execute(query).first() is not None


def _place(target: str) -> dict[str, object]:
    """Return the columns that `<repository id>.<service>/<env>` says; an id may hold dots."""
    left, _, environment = target.rpartition("/")
    repository, _, service = left.rpartition(".")
    return {
        "target": target,
        "repository": repository,
        "service": service,
        "environment": environment,
    }


@singledispatch
def _project(fact: Record, spot: Spot) -> None:
    raise NotImplementedError(type(fact).__name__)


@_project.register
def _(fact: RolloutPlanned, spot: Spot) -> None:
    plan, place = fact.plan, fact.plan.place
    _put(
        spot,
        plan.rollout,
        target=place.target,
        repository=place.repository.id,
        service=place.service,
        environment=place.environment,
        sha=plan.sha,
        tag=plan.tag,
        first=plan.first,
        plan=document(plan),
    )
    _tell(spot, plan.rollout, fact)


@_project.register
def _(fact: RolloutMoved, spot: Spot) -> None:
    named = _place(fact.target) if fact.target else {}
    _put(spot, fact.rollout, **_moved(spot, fact), **named)
    _tell(spot, fact.rollout, fact)


def _moved(spot: Spot, fact: RolloutMoved) -> dict[str, object]:
    """Return the columns that change; a late word of an ended rollout changes none."""
    columns = (rollouts.c.state, rollouts.c.exposure, rollouts.c.started_at_ms)
    query = select(*columns).where(rollouts.c.rollout == fact.rollout)
    row = spot.conn.execute(query).first()
    if row and not follows(RolloutState(row.state), fact.state):
        return {}
    started = (row.started_at_ms if row else None) or (spot.place.at_ms if fact.weight else None)
    return {
        "state": fact.state,
        "step": fact.step,
        "weight": fact.weight,
        "reason": fact.reason,
        "exposure": max(fact.weight, row.exposure if row else 0),
        "started_at_ms": started,
    }


@_project.register
def _(fact: VerdictGiven, spot: Spot) -> None:
    _tell(spot, fact.rollout, fact)


@_project.register
def _(fact: RolloutUndone, spot: Spot) -> None:
    _put(spot, fact.undo.rollout, undo=document(fact.undo))
    _tell(spot, fact.undo.rollout, fact)


@_project.register
def _(fact: RolloutEnded, spot: Spot) -> None:
    result = fact.result
    query = select(rollouts.c.exposure, rollouts.c.bad_since_ms, rollouts.c.state)
    row = spot.conn.execute(query.where(rollouts.c.rollout == result.rollout)).first()
    if row and not follows(RolloutState(row.state), result.status):
        return _tell(spot, result.rollout, fact)
    _put(
        spot,
        result.rollout,
        **_place(result.target),
        sha=result.sha,
        tag=result.tag,
        state=result.status,
        reason=result.reason,
        **({"weight": 0} if result.status in _WITHOUT_TRAFFIC else {}),
        exposure=max(round(result.exposure * 10_000), row.exposure if row else 0),
        bad_since_ms=result.bad_since_ms or (row.bad_since_ms if row else 0),
        result=document(result),
        ended_at_ms=spot.place.at_ms,
    )
    return _tell(spot, result.rollout, fact)


@_project.register
def _(fact: MergesQuarantined, spot: Spot) -> None:
    rollout_rows.quarantine(spot.conn, fact.items)
    for rollout in dict.fromkeys(item.rollout for item in fact.items):
        _tell(spot, rollout, fact)


@_project.register
def _(fact: QuarantineCured, spot: Spot) -> None:
    rollout_rows.cure(spot.conn, fact.repository, fact.sha, fact.cure, fact.cure_kind)


@_project.register
def _(fact: HookRan, spot: Spot) -> None:
    _tell(spot, fact.rollout, fact)
