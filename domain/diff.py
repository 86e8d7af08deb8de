"""Reading a unified diff: which lines it adds and removes, and where."""

import re
from collections.abc import Iterator

from domain.record import Record

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_LETTERS = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


class ChangedLine(Record):
    """One line of a diff; `line` is its number after the change (0 for a removed one)."""

    path: str
    text: str
    added: bool
    line: int = 0


def changed_lines(diff: str) -> tuple[ChangedLine, ...]:
    """Return the added and removed lines of a diff without context (`git diff -U0`)."""
    return tuple(_walk(diff))


def _walk(diff: str) -> Iterator[ChangedLine]:
    old = new = ""
    gone = come = at = 0
    for line in diff.split("\n"):
        if gone and line.startswith("-"):
            gone -= 1
            yield ChangedLine(path=old, text=line[1:], added=False)
        elif come and line.startswith("+"):
            come -= 1
            yield ChangedLine(path=new, text=line[1:], added=True, line=at)
            at += 1
        elif line.startswith("--- "):
            old = _path(line[4:])
        elif line.startswith("+++ "):
            new = _path(line[4:])
        elif hunk := _HUNK.match(line):
            gone, at, come = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)


def _path(text: str) -> str:
    """Return the path of a header: git quotes odd names and ends names with blanks by a tab."""
    name = text.removesuffix("\t")
    if name.startswith('"') and name.endswith('"'):
        name = _ESCAPE.sub(_byte, name[1:-1])
        name = name.encode("latin-1", "replace").decode("utf-8", "replace")
    return name.partition("/")[2] if name.startswith(("a/", "b/")) else ""


def _byte(match: re.Match[str]) -> str:
    sign = match[1]
    if len(sign) == 3:
        return chr(int(sign, 8))
    return chr(_LETTERS.get(sign, ord(sign)))
