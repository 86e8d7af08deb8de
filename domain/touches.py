"""Which paths an operation may touch, and whether two sets of globs can meet in one file."""

import re
from functools import lru_cache

from domain.globs import alternatives, matches
from domain.operation import PYTHON, ApplyPatch, MoveFile, Operation

_CLASS = re.compile(r"\[[^\]]+\]")
_PATCHED = re.compile(r"^(?:---|\+\+\+) (?:[ab]/)?([^\t\n\r]+)", re.MULTILINE)
_WILD = set("*?[")
_ANY_LETTER = "\x01"  # stands for what a wildcard matches; no path has it
_ANY_NAME = 2 * _ANY_LETTER


def touched_by(operation: Operation) -> tuple[str, ...]:
    """Return globs that cover every file the operation may change, sorted."""
    if isinstance(operation, ApplyPatch):
        return tuple(sorted(set(_PATCHED.findall(operation.patch)) - {"/dev/null"}))
    paths: tuple[str, ...] = getattr(operation, "paths", ())
    touched = {*paths, str(getattr(operation, "path", ""))}
    if isinstance(operation, MoveFile):
        touched.add(operation.to)
    if operation.op in _WHOLE_PROJECT or getattr(operation, "guard", None):
        touched.update(PYTHON)
    return tuple(sorted(touched - {""}))


# They find the file of a dotted name by themselves.
_WHOLE_PROJECT = (
    "change_default",
    "add_decorator",
    "replace_function",
    "insert_method",
    "add_dataclass_field",
    "move_symbol",
)


def meeting(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the first pair of globs that some path could match both, or None."""
    for first in one:
        for second in other:
            if meet(first, second):
                return first, second
    return None


@lru_cache(maxsize=65_536)
def meet(first: str, second: str) -> bool:
    """Say whether some path could match both globs; a character class counts as any character."""
    return any(
        _sequences_meet(one, other) for one in alternatives(first) for other in alternatives(second)
    )


class Ground:
    """The files of a commit: tells what a plain name stands for, and who may meet there.

    By the rules of globs `README.md` is any file and any folder of that name, at any depth. Here
    it is what the commit has under that name; else a file at the root, or a folder if it has no
    extension. Without this every two named files could be one inside the other.
    """

    def __init__(self, files: tuple[str, ...]) -> None:
        self._places: dict[str, set[tuple[str, ...]]] = {}
        self._folders: set[tuple[str, ...]] = set()
        for file in files:
            parts = tuple(file.split("/"))
            self._place(parts)
            while (parts := parts[:-1]) and parts not in self._folders:
                self._folders.add(parts)
                self._place(parts)
        self._known: dict[str, tuple[tuple[str, ...], ...]] = {}

    def meeting(self, one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, str] | None:
        """Return the first pair of globs that may be about one file, or None."""
        for first in one:
            for second in other:
                if any(
                    _sequences_meet(here, there)
                    for here in self._alternatives(first)
                    for there in self._alternatives(second)
                ):
                    return first, second
        return None

    def _alternatives(self, glob: str) -> tuple[tuple[str, ...], ...]:
        if glob not in self._known:
            plain = bool(glob) and not (_WILD & set(glob)) and not glob.endswith("/")
            self._known[glob] = self._named(glob) if plain else alternatives(glob)
        return self._known[glob]

    def _named(self, glob: str) -> tuple[tuple[str, ...], ...]:
        parts = tuple(part for part in glob.split("/") if part not in ("", "."))
        places = {parts} if "/" in glob else self._places.get(glob, {parts})
        return tuple(each for place in sorted(places) for each in self._below(place))

    def _below(self, place: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return what a place stands for: `.` is the root."""
        name = place[-1] if place else ""
        is_new = place not in self._places.get(name, ())
        may_be_folder = place in self._folders or (is_new and "." not in name)
        return (place, (*place, "**", "*")) if may_be_folder else (place,)

    def _place(self, parts: tuple[str, ...]) -> None:
        self._places.setdefault(parts[-1], set()).add(parts)


def within(glob: str, patterns: tuple[str, ...]) -> bool:
    """Say whether all that a glob matches is covered by the patterns, as far as can be told."""
    return matches(_sample(glob), patterns)


def _sample(glob: str) -> str:
    """Return a path that the glob matches and that no narrower glob would."""
    rooted = glob.removeprefix("./").removeprefix("/")  # paths are told without it
    deep = rooted.replace("**", f"{_ANY_NAME}/{_ANY_NAME}")
    return _CLASS.sub(_ANY_LETTER, deep).replace("*", _ANY_NAME).replace("?", _ANY_LETTER)


def _sequences_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Walk both at once; a `**` may use up any name of the other, or none."""
    for left, right in zip(one, other, strict=False):  # most pairs part at their first names
        if left == "**" or right == "**":
            break
        if not _names_meet(left, right):
            return False
    seen = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        here = todo.pop()
        if here == (len(one), len(other)):
            return True
        for step in _steps(one, other, *here):
            if step not in seen:
                seen.add(step)
                todo.append(step)
    return False


def _steps(
    one: tuple[str, ...], other: tuple[str, ...], i: int, j: int
) -> tuple[tuple[int, int], ...]:
    left = one[i] if i < len(one) else None
    right = other[j] if j < len(other) else None
    if left == "**" or right == "**":
        return tuple(
            step
            for step, possible in (
                ((i + 1, j), left == "**" or (left is not None and right == "**")),
                ((i, j + 1), right == "**" or (right is not None and left == "**")),
            )
            if possible
        )
    if left is None or right is None or not _names_meet(left, right):
        return ()
    return ((i + 1, j + 1),)


@lru_cache(maxsize=16_384)
def _names_meet(first: str, second: str) -> bool:
    """Say whether one name can match both patterns: the same walk, letter by letter."""
    if not (_WILD & set(first + second)):
        return first == second
    one, other = _letters(first), _letters(second)
    reach = {0}
    for letter in one:
        if letter == "*":
            reach = set(range(min(reach), len(other) + 1))
            continue
        reach = {
            at if other[at] == "*" else at + 1
            for at in _over_stars(reach, other)
            if at < len(other) and (letter == "?" or other[at] in (letter, "?", "*"))
        }
        if not reach:
            return False
    return len(other) in _over_stars(reach, other)


def _letters(pattern: str) -> str:
    return _CLASS.sub("?", pattern)


def _over_stars(reach: set[int], pattern: str) -> set[int]:
    """A star may match nothing: what follows it is in reach too."""
    out = set(reach)
    for at in sorted(reach):
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            out.add(at)
    return out
