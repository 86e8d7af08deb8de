"""YAML 1.2 (core schema, section 10.3.2) as events; no tags, anchors, aliases or second document.

PyYAML's own loader follows YAML 1.1: it reads `NO` as false, `12:30:45` as a number and keeps
the last of two equal keys. Only its scanner is used here.
"""

import re
from collections.abc import Iterator

import yaml

from config.document import Event, echo, refuse

_NULL = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_ENDLESS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
INTEGER_LIMIT = 2**63

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def events(text: str, name: str) -> Iterator[Event]:
    """Yield the events of the one document in `text`; raises `Refused`."""
    documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise refuse(name, "several_documents", "a second document begins", line)
                continue
            taken = _event(event, line, name)
            if taken is not None:
                yield taken
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.problem, error.context) if part)
        raise refuse(name, "bad_yaml", reason[:200], mark.line + 1 if mark else 0) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if error.position else 0
        reason = f"{error.reason} ({echo(text[error.position : error.position + 1])})"
        raise refuse(name, "bad_yaml", reason, line) from None
    if not documents:
        raise refuse(name, "empty", "the document is empty")


def _event(event: yaml.Event, line: int, name: str) -> Event | None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise refuse(
            name, "alias", "anchors (&) and aliases (*) are not read", line, hint="write it out"
        )
    tag = getattr(event, "tag", None)
    if tag:
        raise refuse(
            name,
            "tag",
            f"the tag {echo(tag)} is not read",
            line,
            hint="text that begins with ! needs quotes",
        )
    if isinstance(event, yaml.ScalarEvent):
        value = scalar(event.value, bool(event.implicit[0]), name, line)
        return Event("scalar", line, value, event.value)
    if isinstance(event, yaml.MappingStartEvent):
        return Event("map", line)
    if isinstance(event, yaml.SequenceStartEvent):
        return Event("list", line)
    if isinstance(event, yaml.CollectionEndEvent):
        return Event("end", line)
    return None


def scalar(text: str, plain: bool, name: str, line: int) -> bool | int | float | str | None:
    """Resolve one scalar; quoted text and all that the core schema does not name stays text."""
    if not plain:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if len(text) > 64:
        return text
    if _INT.fullmatch(text) or _OTHER_BASE.fullmatch(text):
        return bounded(int(text, 0 if text[:2] in ("0o", "0x") else 10), name, line)
    if _FLOAT.fullmatch(text):
        return finite(float(text), name, line)
    if _ENDLESS.fullmatch(text):
        raise refuse(name, "not_finite", f"{text} is not a number that can be used", line)
    return text


def bounded(number: int, name: str, line: int) -> int:
    """Return `number` if 64 bits hold it."""
    if not -INTEGER_LIMIT <= number < INTEGER_LIMIT:
        raise refuse(name, "too_large", f"{echo(str(number), 40)} does not fit 64 bits", line)
    return number


def finite(number: float, name: str, line: int) -> float:
    """Return `number` if it is finite: an exponent too large reads as infinity."""
    if number in (float("inf"), float("-inf")):
        raise refuse(name, "not_finite", "the number is too large", line)
    return number
