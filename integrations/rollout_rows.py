"""Rows of a rollout that activities write and read back: ticks, weights, what is served."""

import json
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from domain.errors import Rejected
from domain.rollout import ENDED, Quarantined, RolloutPlan, Served
from domain.rollout_view import RolloutLine, WeightChange
from domain.tick import Tick
from domain.traffic import recent_traffic
from integrations.rows import add, change, document, put
from integrations.tables import quarantine as quarantine_table
from integrations.tables import rollout_ticks, rollouts, weight_changes
from integrations.tables import served as served_table

_MOST_TICKS = 2_000  # that tell the traffic of a target: an hour and more of its last rollouts


def plan(conn: Connection, rollout: str) -> RolloutPlan | None:
    """Return the plan of a rollout, if it was ever planned."""
    query = select(rollouts.c.plan).where(rollouts.c.rollout == rollout)
    stored = conn.execute(query).scalar()
    return None if stored is None else RolloutPlan.model_validate_json(stored)


def put_tick(conn: Connection, tick: Tick) -> Tick:
    """Write a tick, unless there is one of its rollout, step and seq: then return that."""
    place = {"rollout": tick.rollout, "step": tick.step, "seq": tick.seq}
    query = select(rollout_ticks.c.tick)
    for name, value in place.items():
        query = query.where(rollout_ticks.c[name] == value)
    stored = conn.execute(query).scalar()
    if stored is not None:
        return Tick.model_validate_json(stored)
    add(conn, rollout_ticks, **place, at_ms=tick.at_ms, tick=document(tick))
    return tick


def ticks(conn: Connection, rollout: str) -> tuple[Tick, ...]:
    """Return all ticks of a rollout in the order of step and seq."""
    order = (rollout_ticks.c.step, rollout_ticks.c.seq)
    query = select(rollout_ticks.c.tick).where(rollout_ticks.c.rollout == rollout).order_by(*order)
    return tuple(Tick.model_validate_json(text) for text in conn.execute(query).scalars())


def target_traffic(conn: Connection, target: str) -> tuple[float, float]:
    """Return requests per second and error share of a target's newest ticks."""
    query = (
        select(rollout_ticks.c.tick)
        .join(rollouts, rollouts.c.rollout == rollout_ticks.c.rollout)
        .where(rollouts.c.target == target)
        .order_by(rollout_ticks.c.at_ms.desc())
        .limit(_MOST_TICKS)
    )
    found = conn.execute(query).scalars()
    return recent_traffic(tuple(Tick.model_validate_json(text) for text in found))


def begin_weights(
    conn: Connection,
    rollout: str,
    op: str,
    weights: dict[str, int],
    expected_generation: int,
    at_ms: int,
) -> dict[str, int]:
    """Write the intent to move traffic; return its weights, which stay those of the first try."""
    found = _weights_of(conn, op)
    if found is None:
        values = {"weights": json.dumps(weights), "expected_generation": expected_generation}
        add(conn, weight_changes, op=op, rollout=rollout, begun_at_ms=at_ms, **values)
        return weights
    if found.generation is None:
        change(conn, weight_changes, {"op": op}, expected_generation=expected_generation)
    intended: dict[str, int] = json.loads(found.weights)
    return intended


def _weights_of(conn: Connection, op: str) -> Row[Any] | None:
    return conn.execute(select(weight_changes).where(weight_changes.c.op == op)).first()


def end_weights(conn: Connection, op: str, generation: int, at_ms: int) -> None:
    """Write the generation that was read back; only once, the same again changes nothing."""
    row = _weights_of(conn, op)
    if row is None:
        raise Rejected(f"The weight change {op} was never begun", code="unknown_weights")
    if row.generation is None:
        change(conn, weight_changes, {"op": op}, generation=generation, done_at_ms=at_ms)
    elif row.generation != generation:
        raise Rejected(
            f"The weight change {op} was read back as generation {row.generation} before, "
            f"now as {generation}",
            code="readback_differs",
            hint="A driver must answer a repeated order as it answered the first.",
        )


def weights_of(conn: Connection, rollout: str) -> tuple[WeightChange, ...]:
    """Return the orders to move traffic of a rollout, oldest first."""
    order = (weight_changes.c.begun_at_ms, weight_changes.c.op)
    query = select(weight_changes).where(weight_changes.c.rollout == rollout).order_by(*order)
    return tuple(
        WeightChange.model_validate(row._asdict() | {"weights": json.loads(row.weights)})
        for row in conn.execute(query)
    )


def served(conn: Connection, target: str) -> tuple[Served | None, Served | None]:
    """Return what a target serves now, and the last release that passed there."""
    row = conn.execute(select(served_table).where(served_table.c.target == target)).first()
    return (_served(row.current), _served(row.last_passed)) if row else (None, None)


def _served(text: str | None) -> Served | None:
    return Served.model_validate_json(text) if text else None


def set_served(
    conn: Connection,
    column: Literal["current", "last_passed"],
    new: Served,
    instead_of: str = "",
) -> None:
    """Write one of the two columns, unless the word is older than what is known.

    Rollouts are ULIDs, so they compare as text. Without `instead_of` a rollout does not replace
    a newer one, nor come back once it was undone; with it, it replaces all up to that one.
    """
    undone_column = "current_undone" if column == "current" else "passed_undone"
    row = conn.execute(select(served_table).where(served_table.c.target == new.target)).first()
    known = _served(getattr(row, column)) if row else None
    undone = getattr(row, undone_column) if row else ""
    newest = known.rollout if known else ""
    if newest > max(new.rollout, instead_of) or (not instead_of and new.rollout <= undone):
        return
    values = {column: document(new), undone_column: max(undone, instead_of)}
    put(conn, served_table, {"target": new.target}, **values)


def quarantine(conn: Connection, items: tuple[Quarantined, ...]) -> None:
    """Bar merges; one that a newer rollout undid again loses its cure, any other is no news."""
    for item in items:
        key = {"repository": item.repository, "sha": item.sha}
        query = select(quarantine_table.c.rollout)
        for name, value in key.items():
            query = query.where(quarantine_table.c[name] == value)
        before = conn.execute(query).scalar()
        if before is None or before < item.rollout:
            values = item.model_dump(mode="json", exclude=set(key))
            put(conn, quarantine_table, key, **values)


def quarantined(conn: Connection, repository: str) -> tuple[Quarantined, ...]:
    """Return all merges of a repository that were ever undone, oldest first."""
    query = select(quarantine_table).where(quarantine_table.c.repository == repository)
    rows = conn.execute(query.order_by(quarantine_table.c.at_ms, quarantine_table.c.sha))
    return tuple(Quarantined.model_validate(row._asdict()) for row in rows)


def cure(conn: Connection, repository: str, sha: str, cure: str, kind: str) -> None:
    """Note the commit that mends a barred merge; one that is not barred needs none."""
    key = {"repository": repository, "sha": sha}
    change(conn, quarantine_table, key, cure=cure, cure_kind=kind)


def lines(conn: Connection, *where: Any) -> tuple[RolloutLine, ...]:
    """Return rollouts, oldest first."""
    query = select(rollouts).where(*where).order_by(rollouts.c.created_at_ms, rollouts.c.rollout)
    return tuple(line(row) for row in conn.execute(query))


def line(row: Row[Any]) -> RolloutLine:
    """Return the row of a rollout as a line of a list."""
    return RolloutLine.model_validate(row._asdict() | {"exposure": row.exposure / 10_000})


def open_rollouts(conn: Connection, target: str) -> tuple[RolloutLine, ...]:
    """Return the rollouts of a target that have not ended, oldest first."""
    return lines(conn, rollouts.c.target == target, rollouts.c.state.not_in(ENDED))


def rollouts_since(conn: Connection, target: str, at_ms: int) -> tuple[RolloutLine, ...]:
    """Return the rollouts of a target that were told of first at or after a time."""
    return lines(conn, rollouts.c.target == target, rollouts.c.created_at_ms >= at_ms)
