"""Apply a unified diff strictly: context must fit exactly where the diff says it is, or once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.errors import Rejected
from domain.operation import AddFile, ApplyPatch
from integrations.builtin.document import Document
from integrations.builtin.work import Work

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
NO_NEWLINE = "\\ No newline at end of file"
NOTHING = "/dev/null"


@dataclass
class _Hunk:
    start: int  # line in the old file, from 1
    after: int  # line in the new file, from 1
    old: list[str] = field(default_factory=list)  # lines with their endings
    new: list[str] = field(default_factory=list)


@dataclass
class _FilePatch:
    old_path: str
    new_path: str
    hunks: list[_Hunk] = field(default_factory=list)


def apply_patch(operation: ApplyPatch, work: Work) -> None:
    """Apply each file's hunks; raises `Rejected` when one does not fit."""
    patches = _parse(operation.patch)
    if not patches:
        raise _malformed("it holds no file with a hunk")
    for patch in patches:
        _apply(patch, work)


def _apply(patch: _FilePatch, work: Work) -> None:
    if patch.old_path == NOTHING:
        _create(patch, work)
    elif patch.new_path == NOTHING:
        _remove(patch, work)
    elif patch.old_path != patch.new_path:
        raise _malformed("it renames a file; use move_file for that")
    else:
        document = work.tree.need(patch.new_path)
        text = _patched(patch, document)
        work.put(patch.new_path, document, text, len(patch.hunks))


def _create(patch: _FilePatch, work: Work) -> None:
    data = "".join(patch.hunks[0].new).encode("utf-8")
    there = work.tree.read(patch.new_path)
    if there is not None and there != data:
        raise _misfit(patch.new_path, 0)
    work.put_bytes(patch.new_path, data)


def _remove(patch: _FilePatch, work: Work) -> None:
    if work.tree.read(patch.old_path) is None:
        return
    if work.tree.need(patch.old_path).text != "".join(patch.hunks[0].old):
        raise _misfit(patch.old_path, 1)
    work.put_bytes(patch.old_path, None)


def _patched(patch: _FilePatch, document: Document) -> str:
    """Return the text with every hunk in place; one that is there already stays."""
    lines = document.text.splitlines(keepends=True)
    if all(_there(lines, hunk) for hunk in patch.hunks):
        return document.text
    shift = 0
    floor = 0
    for hunk in patch.hunks:
        at = _find(lines, hunk.old, hunk.start - 1 + shift, floor)
        if at is None:
            raise _misfit(patch.new_path, hunk.start)
        lines[at : at + len(hunk.old)] = hunk.new
        shift += len(hunk.new) - len(hunk.old)
        floor = at + len(hunk.new)
    return "".join(lines)


def _there(lines: list[str], hunk: _Hunk) -> bool:
    """Say whether a hunk is applied: its new lines stand where it says, or alone somewhere."""
    if not hunk.new:
        return _find(lines, hunk.old, hunk.start - 1, 0) is None
    start = hunk.after - 1
    if lines[start : start + len(hunk.new)] == hunk.new:
        return True
    absent = not hunk.old or _find(lines, hunk.old, hunk.start - 1, 0) is None
    return absent and _find(lines, hunk.new, start, 0) is not None


def _find(lines: list[str], wanted: list[str], expected: int, floor: int) -> int | None:
    """Return where these lines are: at the expected place, or at the only one below `floor`."""
    if not wanted:
        return max(expected + 1, 0)
    if expected >= floor and lines[expected : expected + len(wanted)] == wanted:
        return expected
    places = [
        at
        for at in range(floor, len(lines) - len(wanted) + 1)
        if lines[at : at + len(wanted)] == wanted
    ]
    return places[0] if len(places) == 1 else None


def _parse(text: str) -> list[_FilePatch]:
    patches: list[_FilePatch] = []
    lines = iter(text.replace("\r\n", "\n").splitlines())
    old_path = ""
    for line in lines:
        if line.startswith("--- "):
            old_path = _path(line[4:])
        elif line.startswith("+++ "):
            patches.append(_FilePatch(old_path, _path(line[4:])))
        elif (header := HUNK.match(line)) and patches:
            patches[-1].hunks.append(_hunk(header, lines))
        elif line.startswith(("GIT binary patch", "Binary files")):
            raise _malformed("it changes a binary file")
    return [patch for patch in patches if patch.hunks]


def _hunk(header: re.Match[str], lines: Iterator[str]) -> _Hunk:
    hunk = _Hunk(int(header.group(1)), int(header.group(3)))
    old_left = int(header.group(2) or 1)
    new_left = int(header.group(4) or 1)
    while old_left > 0 or new_left > 0:
        line = next(lines, None)
        if line is None:
            raise _malformed("a hunk ends early")
        sign, body = line[:1] or " ", line[1:] + "\n"
        if line == NO_NEWLINE:
            continue
        if sign not in " +-":
            raise _malformed(f"a hunk holds the line {line!r}")
        if sign in " -":
            hunk.old.append(body)
            old_left -= 1
        if sign in " +":
            hunk.new.append(body)
            new_left -= 1
    return hunk


def _path(written: str) -> str:
    path = written.split("\t")[0].strip()
    if path == NOTHING:
        return path
    if path.startswith(("a/", "b/")):
        path = path[2:]
    try:
        return AddFile(path=path, text="").path
    except ValueError:
        raise _malformed(f"it names {path!r}, which is no path inside the tree") from None


def _malformed(why: str) -> Rejected:
    return Rejected(
        f"the patch cannot be used: {why}",
        code="patch",
        hint="give a unified diff as `git diff` prints it",
    )


def _misfit(path: str, line: int) -> Rejected:
    return Rejected(
        f"the patch does not fit {path} at line {line}: the lines there are others",
        code="patch_misfit",
        path=path,
        line=line,
        hint="make the patch anew from the base commit",
    )
