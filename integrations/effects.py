"""Effects on record: the switch, the answers that are used up, the intent, the read-back."""

import secrets
from typing import NamedTuple

from sqlalchemy import Connection, select

from domain.entry import Told
from domain.errors import Rejected
from domain.ledger import EffectRow
from domain.record import digest
from integrations.chain import Place, Writer, told_before
from integrations.rows import change, put
from integrations.tables import approvals, consumed, effects, switches


class Intent(NamedTuple):
    """What somebody is about to write to the world."""

    op: str
    key: str
    kind: str
    scopes: tuple[str, ...]
    subject_sha256: str
    intent: str
    approvals: tuple[str, ...]
    at_ms: int


def begin(conn: Connection, order: Intent) -> EffectRow:
    """Check the switches and the answers, and write the intent; done effects come back as done."""
    row = conn.execute(select(effects).where(effects.c.op == order.op)).first()
    if row is not None and row.readback is not None:
        return EffectRow(op=order.op, done=True, readback=row.readback)
    _check_switches(conn, order)
    for approval in order.approvals:
        _check_approval(conn, order, approval)
    values = {"subject_sha256": order.subject_sha256, "intent": order.intent, "kind": order.kind}
    put(conn, effects, {"op": order.op}, key=order.key, begun_at_ms=order.at_ms, **values)
    for approval in order.approvals:
        put(conn, consumed, {"approval": approval}, op=order.op, at_ms=order.at_ms)
    _tell_begun(conn, order)
    return EffectRow(op=order.op)


def _check_switches(conn: Connection, order: Intent) -> None:
    scopes = ("all", *order.scopes)
    query = select(switches).where(switches.c.scope.in_(scopes), switches.c.off)
    row = conn.execute(query).first()
    if row is not None:
        raise Rejected(
            f"{order.op} is held: {row.scope} was switched off by {row.actor}: {row.reason}",
            code="switched_off",
            hint="Nothing goes on by itself; switch it on again, then retry.",
        )


def _check_approval(conn: Connection, order: Intent, approval: str) -> None:
    used = conn.execute(select(consumed.c.op).where(consumed.c.approval == approval)).scalar()
    if used == order.op:
        return
    if used is not None:
        raise Rejected(f"{approval} was used up by {used} already", code="already_consumed")
    row = conn.execute(select(approvals).where(approvals.c.approval == approval)).first()
    wrong = ""
    if row is None:
        wrong = "nobody was asked for it"
    elif row.state != "approved":
        wrong = f"it is {row.state}"
    elif row.subject_sha256 != order.subject_sha256:
        wrong = "it was given for another subject"
    elif row.use_by_ms < order.at_ms:
        wrong = "it was not used in time"
    if wrong:
        raise Rejected(f"{order.op} needs {approval}, but {wrong}", code="not_approved")


def _tell_begun(conn: Connection, order: Intent) -> None:
    # A changed intent of the same operation (the base had moved) is an entry of its own
    mark = digest(f"{order.subject_sha256}\n{order.intent}".encode("utf-8", "surrogatepass"))
    op = f"{order.op}:begin:{mark[:16]}"
    if told_before(conn, op):
        return
    body: dict[str, object] = {
        "op": order.op,
        "effect": order.kind,
        "subject_sha256": order.subject_sha256,
        "approvals": order.approvals,
    }
    place = Place(order.key, 0, op, order.at_ms)
    Writer(conn, place).add("effect_begun", Told(body, {"intent": order.intent}))


def finish(conn: Connection, op: str, readback: str, at_ms: int) -> None:
    """Record what was read back; only once, the same again changes nothing."""
    row = conn.execute(select(effects).where(effects.c.op == op)).first()
    if row is None:
        raise Rejected(f"The effect {op} was never begun", code="unknown_effect")
    if row.readback is None:
        change(conn, effects, {"op": op}, readback=readback, done_at_ms=at_ms)
        body: dict[str, object] = {"op": op, "effect": row.kind}
        place = Place(row.key, 0, f"{op}:done", at_ms)
        Writer(conn, place).add("effect_done", Told(body, {"readback": readback}))
    elif row.readback != readback:
        raise Rejected(
            f"The effect {op} was read back as {row.readback!r:.200} before, "
            f"now as {readback!r:.200}",
            code="readback_differs",
        )


def switch(conn: Connection, scope: str, *, off: bool, actor: str, reason: str, at_ms: int) -> None:
    """Switch a scope (`all`, `repository/<id>`, `idea/<key>`) off or on again."""
    values = {"off": off, "actor": actor, "reason": reason, "at_ms": at_ms}
    put(conn, switches, {"scope": scope}, **values)
    place = Place("", 0, f"switch:{secrets.token_hex(16)}", at_ms, actor)
    Writer(conn, place).add("switched", Told({"scope": scope, "off": off}, {"reason": reason}))
