"""A document as read: its value, and the line of every part of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from domain.errors import Problem, Refused

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]
ECHO = 80  # characters of input that a message may repeat


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a reader; `text` is a scalar as written, for keys are never anything else."""

    kind: Literal["map", "list", "end", "scalar"]
    line: int
    value: bool | int | float | str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Caps:
    """How large a document may be: bytes before it is read, levels and parts while it is."""

    size: int = 64 * 1024
    depth: int = 24
    parts: int = 10_000


@dataclass(slots=True)
class Document:
    """A value, and the line (from 1) on which each part of it begins."""

    value: Value = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Return the line of this part, or of the nearest around it; 0: it never had lines."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1 if self.lines else 0)

    def find(self, path: Path) -> tuple[bool, Value]:
        """Return whether this part exists, and its value."""
        value: Value = self.value
        for step in path:
            if not _holds(value, step):
                return False, None
            value = value[step]  # type: ignore[index]  # just checked
        return True, value


def _holds(value: Value, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, dict) and step in value
    return isinstance(value, list) and step < len(value)


def refuse(
    name: str, code: str, text: str, line: int = 0, path: Path = (), hint: str = ""
) -> Refused:
    """Return the error for a document that cannot even be read."""
    message = f"{place_of(name, line)}: {text}"
    return Refused((Problem(code=code, message=message, path=spell(path), line=line, hint=hint),))


def place_of(name: str, line: int) -> str:
    """Say where in a document; one that was never text has no lines."""
    return f"{name}, line {line}" if line else name


def spell(path: Path) -> str:
    """Write a path as people do: `acceptance[0].command`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("-", "_").isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{echo(step, 40)}]"
    return text


def echo(value: object, limit: int = ECHO) -> str:
    """Repeat a piece of input in at most `limit` characters, nothing of it invisible."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if not isinstance(value, str):
        return _cut(str(value).lower() if isinstance(value, bool) else str(value), limit)
    shown = "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode()
        for char in value[:limit]
    )
    return _cut(f"'{shown}'" if len(value) <= limit else f"'{shown}...'", limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 4] + "...'"


def build(events: Iterable[Event], name: str, caps: Caps) -> Document:
    """Put events together without recursion; refuses what is too deep, too long or twice there."""
    builder = _Builder(name, caps)
    for event in events:
        builder.take(event)
    return builder.document


class _Builder:
    """Where the next value belongs: a stack of open containers and the path to the next value."""

    def __init__(self, name: str, caps: Caps) -> None:
        self.document = Document()
        self._name = name
        self._caps = caps
        self._open: list[dict[str, Value] | list[Value]] = []
        self._path: list[str | int] = []
        self._key_due: list[bool] = []
        self._count = 0

    def take(self, event: Event) -> None:
        if event.kind == "end":
            self._close()
        elif self._key_due and self._key_due[-1]:
            self._name_next(event)
        elif event.kind == "scalar":
            self._place(event.value, event.line)
        else:
            self._enter({} if event.kind == "map" else [], event.line)

    def _name_next(self, event: Event) -> None:
        if event.kind != "scalar":
            raise refuse(self._name, "bad_key", "a key must be text", event.line)
        key = event.text
        self._path.append(key)
        path = tuple(self._path)
        earlier = self.document.lines.get(path)
        if earlier is not None:
            raise refuse(
                self._name,
                "duplicate_key",
                f"{echo(key)} stands here and already on line {earlier}",
                event.line,
                path,
                "keep one of the two",
            )
        self.document.lines[path] = event.line
        self._key_due[-1] = False

    def _place(self, value: Value, line: int) -> None:
        self._count += 1
        if self._count > self._caps.parts:
            text = f"has more than {self._caps.parts} parts"
            raise refuse(self._name, "too_many_parts", text, line)
        if not self._open:
            self.document.value = value
            self.document.lines.setdefault((), line)
            return
        around = self._open[-1]
        if isinstance(around, list):
            self._path.append(len(around))
            self.document.lines[tuple(self._path)] = line
            around.append(value)
        else:
            around[str(self._path[-1])] = value
        if not isinstance(value, dict | list):
            self._step_out()

    def _enter(self, container: dict[str, Value] | list[Value], line: int) -> None:
        if len(self._open) >= self._caps.depth:
            text = f"is nested deeper than {self._caps.depth} levels"
            raise refuse(self._name, "too_deep", text, line)
        self._place(container, line)
        self._open.append(container)
        self._key_due.append(isinstance(container, dict))

    def _close(self) -> None:
        self._open.pop()
        self._key_due.pop()
        if self._open:
            self._step_out()

    def _step_out(self) -> None:
        """Leave the value just placed; a mapping awaits its next key."""
        self._path.pop()
        self._key_due[-1] = isinstance(self._open[-1], dict)
