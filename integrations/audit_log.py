"""Reading the audit chain as it is stored: to verify it, and to hand it out."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, TextIO

from sqlalchemy import Connection, Row, select

from domain.audit import Chain, ChainReport, Head, Stored, Text
from integrations.tables import event_texts, events

_BATCH = 1_000
_COLUMNS = ("seq", "tenant", "key", "round", "idea_seq", "op", "index", "at_ms", "actor", "kind")


def stored(conn: Connection) -> Iterator[Stored]:
    """Yield every entry with its texts, in order; a gap in `seq` is passed over, not hidden."""
    last = 0
    while True:
        after = select(events).where(events.c.seq > last).order_by(events.c.seq).limit(_BATCH)
        rows = conn.execute(after).all()
        if not rows:
            return
        texts = _texts(conn, rows[0].seq, rows[-1].seq)
        yield from (_stored(row, tuple(texts[row.seq])) for row in rows)
        last = rows[-1].seq


def _texts(conn: Connection, first: int, last: int) -> dict[int, list[Text]]:
    found: dict[int, list[Text]] = defaultdict(list)
    query = select(event_texts).where(event_texts.c.seq.between(first, last))
    for row in conn.execute(query.order_by(event_texts.c.seq, event_texts.c.field)):
        found[row.seq].append(Text(field=row.field, salt=row.salt, text=row.text))
    return found


def _stored(row: Row[Any], texts: tuple[Text, ...]) -> Stored:
    columns = {name: getattr(row, name) for name in _COLUMNS if name != "index"}
    columns["index"] = row._mapping["index"]  # rows are tuples, which have a method of that name
    return Stored(seq=row.seq, data=row.entry, sha256=row.sha256, columns=columns, texts=texts)


def verify_chain(conn: Connection, head: Head | None) -> ChainReport:
    """Read the whole chain and say what is wrong with it."""
    chain = Chain(head)
    for entry in stored(conn):
        chain.add(entry)
    return chain.report()


def export_chain(conn: Connection, out: TextIO, *, texts: bool) -> Head:
    """Write one JSON line for each entry, its bytes as they are hashed, and one for the head."""
    head = Head(size=0, sha256=Chain().report().sha256)
    for entry in stored(conn):
        out.write(_line(entry, texts=texts) + "\n")
        head = Head(size=entry.seq, sha256=entry.sha256)
    out.write(json.dumps({"head": head.model_dump()}) + "\n")
    return head


def _line(entry: Stored, *, texts: bool) -> str:
    line: dict[str, object] = {
        "seq": entry.seq,
        "sha256": entry.sha256,
        "entry": entry.data.decode("utf-8", "backslashreplace"),
    }
    if texts:
        line["texts"] = {
            text.field: {"salt": text.salt, "text": text.text} for text in entry.texts or ()
        }
    return json.dumps(line)
