"""JSON (RFC 8259) as events with lines, without recursion and without NaN."""

import json
import re
from collections.abc import Iterator

from config.document import Event, echo, refuse
from config.yaml_text import bounded, finite
from domain.errors import Refused

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"true|false|null")


def events(text: str, name: str) -> Iterator[Event]:
    """Yield the events of the one value in `text`; raises `Refused`."""
    return _Scanner(text, name).run()


class _Scanner:
    """One pass over the text; `_closers` holds the brackets that are still open."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._at = 0
        self._line = 1
        self._closers: list[str] = []
        self._fresh = False  # a bracket has just been opened

    def run(self) -> Iterator[Event]:
        self._skip_space()
        yield from self._value()
        while self._closers:
            yield from self._next_part()
        self._skip_space()
        if self._at < len(self._text):
            raise self._bad("the end of the document")

    def _next_part(self) -> Iterator[Event]:
        """Read one member with its comma, or the closing bracket."""
        closer = self._closers[-1]
        first = self._fresh
        self._skip_space()
        if self._peek() == closer:
            self._at += 1
            self._closers.pop()
            self._fresh = False
            yield Event("end", self._line)
            return
        if not first:
            self._expect(",", f"a comma or {closer}")
            self._skip_space()
        if closer == "}":
            yield self._key()
        yield from self._value()

    def _value(self) -> Iterator[Event]:
        char, line = self._peek(), self._line
        self._fresh = False
        if char in ("{", "["):
            self._at += 1
            self._closers.append("}" if char == "{" else "]")
            self._fresh = True
            yield Event("map" if char == "{" else "list", line)
        elif char == '"':
            string = self._string()
            yield Event("scalar", line, string, string)
        else:
            yield Event("scalar", line, self._literal())

    def _key(self) -> Event:
        if self._peek() != '"':
            raise self._bad("a key in double quotes")
        line, key = self._line, self._string()
        self._skip_space()
        self._expect(":", "a colon after the key")
        self._skip_space()
        return Event("scalar", line, key, key)

    def _string(self) -> str:
        quoted = _STRING.match(self._text, self._at)
        if not quoted:
            raise self._bad("a string that ends on its line, control characters escaped")
        try:
            string = str(json.loads(quoted.group()))
        except ValueError:
            raise self._bad("a string with valid escapes") from None
        if any("\ud800" <= char <= "\udfff" for char in string):
            raise self._bad("both halves of a surrogate pair")
        self._at = quoted.end()
        return string

    def _literal(self) -> bool | int | float | None:
        word = _WORD.match(self._text, self._at)
        if word:
            self._at = word.end()
            return _WORDS[word.group()]
        number = _NUMBER.match(self._text, self._at)
        if not number:
            raise self._bad("a value")
        self._at = number.end()
        if number.group(2) or number.group(3):
            return finite(float(number.group()), self._name, self._line)
        digits = number.group()
        return bounded(int(digits) if len(digits) < 64 else 2**64, self._name, self._line)

    def _skip_space(self) -> None:
        space = _SPACE.match(self._text, self._at)
        if space:
            self._line += self._text.count("\n", self._at, space.end())
            self._at = space.end()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _expect(self, char: str, what: str) -> None:
        if self._peek() != char:
            raise self._bad(what)
        self._at += 1

    def _bad(self, expected: str) -> Refused:
        got = echo(self._text[self._at : self._at + 20]) if self._peek() else "the end of the text"
        return refuse(self._name, "bad_json", f"expected {expected}, got {got}", self._line)
