"""Appending to the audit chain: entries get their number and predecessor from the writer."""

import secrets
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select

from domain.audit import GENESIS, canonical, commitment, readable
from domain.entry import Told
from domain.record import digest
from integrations.tables import event_texts, events


class Place(NamedTuple):
    """Where an entry belongs: idea, round, operation, time and actor."""

    key: str
    round: int
    op: str
    at_ms: int
    actor: str = "slipway"


class Spot(NamedTuple):
    """The transaction, the place in the chain and the entry that a fact has got."""

    conn: Connection
    place: Place
    seq: int

    @property
    def key(self) -> dict[str, object]:
        return {"key": self.place.key}

    @property
    def in_round(self) -> dict[str, object]:
        return {"key": self.place.key, "round": self.place.round}

    @property
    def stamp(self) -> dict[str, object]:
        return {"actor": self.place.actor, "at_ms": self.place.at_ms}


class Writer:
    """Appends entries of one operation inside one transaction that holds the writer's lock."""

    def __init__(self, conn: Connection, place: Place) -> None:
        self._conn = conn
        self._place = place
        self._index = 0
        self._seq, self._prev = _last(conn)
        self._idea_seq, self._idea_prev = _last_of(conn, place.key)

    def add(self, kind: str, told: Told) -> int:
        """Append one entry and return its `seq`; empty texts are left out."""
        salted = {
            name: (secrets.token_hex(16), readable(text))
            for name, text in told.texts.items()
            if text
        }
        columns = self._columns(kind)
        entry = canonical(
            columns
            | {"prev": self._prev, "idea_prev": self._idea_prev, "body": told.body}
            | {"texts": {name: commitment(*text) for name, text in salted.items()}}
        )
        sha256 = digest(entry)
        self._conn.execute(insert(events), columns | {"entry": entry, "sha256": sha256})
        if salted:
            self._conn.execute(insert(event_texts), _texts(columns["seq"], salted))
        self._seq, self._prev = self._seq + 1, sha256
        self._idea_seq, self._idea_prev = self._idea_seq + 1, sha256
        self._index += 1
        return self._seq

    def _columns(self, kind: str) -> dict[str, str | int]:
        place = self._place
        return {
            "seq": self._seq + 1,
            "tenant": "default",
            "key": readable(place.key),
            "round": place.round,
            "idea_seq": self._idea_seq + 1,
            "op": readable(place.op),
            "index": self._index,
            "at_ms": place.at_ms,
            "actor": readable(place.actor),
            "kind": kind,
        }


def _texts(seq: str | int, salted: dict[str, tuple[str, str]]) -> list[dict[str, object]]:
    return [
        {"seq": seq, "field": name, "salt": salt, "text": text}
        for name, (salt, text) in salted.items()
    ]


def _last(conn: Connection) -> tuple[int, str]:
    newest = select(func.max(events.c.seq)).scalar_subquery()
    row = conn.execute(select(events.c.seq, events.c.sha256).where(events.c.seq == newest)).first()
    return (row.seq, row.sha256) if row else (0, GENESIS)


def _last_of(conn: Connection, key: str) -> tuple[int, str]:
    query = (
        select(events.c.idea_seq, events.c.sha256)
        .where(events.c.key == key)
        .order_by(events.c.idea_seq.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    return (row.idea_seq, row.sha256) if row else (0, GENESIS)


def told_before(conn: Connection, op: str) -> bool:
    """Return whether this operation has been recorded already."""
    return conn.execute(select(events.c.seq).where(events.c.op == op).limit(1)).first() is not None
