"""The audit chain: canonical entry bytes, how they hang together, and what breaks them."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal

from domain.errors import Problem, Rejected
from domain.record import Record, digest

GENESIS = "0" * 64  # what the first entry names as its predecessor
_LARGEST = 2**53  # integers beyond are not exact in every JSON reader (RFC 8259, section 6)
_KEY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


class Text(Record):
    """Free text beside an entry; the entry holds only `commitment(salt, text)`."""

    field: str
    salt: str
    text: str | None  # None: redacted


class Stored(Record):
    """One entry as it is stored: exactly these bytes were hashed."""

    seq: int
    data: bytes
    sha256: str
    columns: dict[str, str | int] = {}  # the same facts as stored beside the bytes, to compare
    texts: tuple[Text, ...] | None = None  # None: not at hand, not checked


class Head(Record):
    """The end of a chain, as somebody outside has noted it down."""

    size: int
    sha256: str


class ChainReport(Record):
    """What verifying found; `unanchored` means consistent, but only with itself."""

    status: Literal["anchored", "unanchored", "broken"]
    size: int
    sha256: str
    problems: tuple[Problem, ...] = ()
    redacted: int = 0


def readable(text: str) -> str:
    """Return `text` as any database and UTF-8 can hold it: NUL and lone surrogates escaped."""
    shown = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace")
    return shown.decode("utf-8")


def canonical(value: object) -> bytes:
    """Return the one JSON text of `value`: keys sorted, strings NFC, integers below 2^53.

    Raises `Rejected` (code `not_canonical`) on floats, larger integers and strange keys.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8")


def _plain(value: object) -> object:
    match value:
        case None | bool():
            return value
        case str():
            return unicodedata.normalize("NFC", readable(value))
        case int() if abs(value) < _LARGEST:
            return int(value)
        case Mapping():
            return {_key(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    raise Rejected(
        f"an audit entry cannot hold {value!r:.80}: only text, exact integers, lists and maps",
        code="not_canonical",
    )


def _key(name: object) -> str:
    if isinstance(name, str) and name and _KEY.issuperset(name):
        return name
    raise Rejected(
        f"an audit entry cannot have the key {name!r:.80}: only a-z, 0-9 and _",
        code="not_canonical",
    )


def commitment(salt: str, text: str) -> str:
    """Return what stands in an entry for `text`: it proves the text, but does not tell it."""
    return hashlib.sha256(salt.encode() + b"\n" + text.encode("utf-8")).hexdigest()


class Chain:
    """Reads entries one by one, in order, and notes what is wrong.

    `head` is an anchor that was kept elsewhere; the chain must go through it.
    """

    def __init__(self, head: Head | None = None) -> None:
        self._head = head
        self._passed = head is None
        self._end = Head(size=0, sha256=GENESIS)
        self._redacted = 0
        self._problems: list[Problem] = []
        self._ideas: dict[str, Head] = {}

    def add(self, stored: Stored) -> None:
        """Check one entry against its own hash, its predecessors and what stands beside it."""
        if digest(stored.data) != stored.sha256:
            self._say("entry_changed", stored, "its bytes do not have the hash that is stored")
        entry = _parse(stored.data)
        if entry.get("seq") != stored.seq or stored.seq != self._end.size + 1:
            self._say("entry_missing", stored, f"expected entry {self._end.size + 1} here")
        if entry.get("prev") != self._end.sha256:
            self._say("chain_broken", stored, "it does not name the entry before it")
        self._add_to_idea(stored, entry)
        self._compare(stored, entry)
        self._prove(stored, entry)
        self._end = Head(size=stored.seq, sha256=digest(stored.data))
        self._passed = self._passed or self._end == self._head

    def report(self) -> ChainReport:
        """Return the verdict after the last entry."""
        problems = list(self._problems)
        if self._head and not self._passed:
            what = f"entry {self._head.size} with hash {self._head.sha256}"
            problems.append(
                Problem(code="head_missing", message=f"the chain does not contain {what}")
            )
        consistent = "anchored" if self._head else "unanchored"
        return ChainReport(
            status="broken" if problems else consistent,
            size=self._end.size,
            sha256=self._end.sha256,
            problems=tuple(problems),
            redacted=self._redacted,
        )

    def _add_to_idea(self, stored: Stored, entry: dict[str, object]) -> None:
        key = str(entry.get("key"))
        last = self._ideas.get(key, Head(size=0, sha256=GENESIS))
        if (entry.get("idea_seq"), entry.get("idea_prev")) != (last.size + 1, last.sha256):
            self._say("idea_broken", stored, f"it does not follow entry {last.size} of its idea")
        self._ideas[key] = Head(size=last.size + 1, sha256=digest(stored.data))

    def _compare(self, stored: Stored, entry: dict[str, object]) -> None:
        wrong = [name for name, value in stored.columns.items() if entry.get(name) != value]
        if wrong:
            self._say("column_changed", stored, f"its columns differ: {', '.join(wrong)}")

    def _prove(self, stored: Stored, entry: dict[str, object]) -> None:
        if stored.texts is None:
            return
        promised = entry.get("texts")
        promised = promised if isinstance(promised, dict) else {}
        for text in stored.texts:
            if text.text is None:
                self._redacted += 1
            elif promised.get(text.field) != commitment(text.salt, text.text):
                self._say("text_changed", stored, f"its text {text.field} is not the one recorded")
        lost = set(promised) - {text.field for text in stored.texts}
        if lost:
            self._say("text_missing", stored, f"its texts are gone: {', '.join(sorted(lost))}")

    def _say(self, code: str, stored: Stored, what: str) -> None:
        self._problems.append(Problem(code=code, message=f"entry {stored.seq}: {what}"))


def _parse(data: bytes) -> dict[str, object]:
    try:
        entry = json.loads(data)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def verify(entries: Iterable[Stored], head: Head | None = None) -> ChainReport:
    """Find every edit, deletion, insertion, swap, and with a `head` also truncation."""
    chain = Chain(head)
    for stored in entries:
        chain.add(stored)
    return chain.report()
