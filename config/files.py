"""The one strict reader of YAML 1.2 and JSON files that people write."""

from pathlib import Path
from stat import S_ISREG
from typing import TypeVar

from pydantic import BaseModel

from config import json_text, yaml_text
from config.document import Caps, Document, build, refuse
from config.shape import fit

M = TypeVar("M", bound=BaseModel)
CAPS = Caps()


def load(path: Path, model: type[M], *, caps: Caps = CAPS) -> M:
    """Read a file as a record; raises `Refused` with the name, line, field and reason."""
    return parse(read_bytes(path, caps.size), model, str(path), caps=caps)


def parse(text: str | bytes, model: type[M], name: str, *, caps: Caps = CAPS) -> M:
    """Read text as a record; `name` stands in messages, and `.json` at its end asks for JSON."""
    return fit(read(text, name, caps=caps), model, name)


def read(text: str | bytes, name: str, *, caps: Caps = CAPS) -> Document:
    """Read text as plain values with lines; raises `Refused`.

    YAML 1.2 core schema or RFC 8259; no duplicate key, alias, tag, second document or NaN.
    """
    plain = _decode(text, name, caps.size)
    return build(
        (json_text if _is_json(plain, name) else yaml_text).events(plain, name), name, caps
    )


def read_bytes(path: Path, limit: int = CAPS.size) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes; raises `Refused`."""
    try:
        if not S_ISREG(path.stat().st_mode):
            raise refuse(str(path), "unreadable", "is not a regular file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be opened"
        raise refuse(str(path), "unreadable", reason.lower()) from None
    if len(data) > limit:
        raise _too_large(str(path), limit)
    return data


load_yaml = load


def _decode(text: str | bytes, name: str, limit: int) -> str:
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > limit:
            raise _too_large(name, limit)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise refuse(
            name, "not_utf8", "the text is not UTF-8", line, hint="save the file as UTF-8"
        ) from None
    except UnicodeEncodeError:
        raise refuse(name, "not_utf8", "the text is not UTF-8") from None


def _too_large(name: str, limit: int) -> Exception:
    return refuse(name, "too_large", f"is larger than {limit} bytes")


def _is_json(text: str, name: str) -> bool:
    if name.endswith((".yaml", ".yml")):
        return False
    return name.endswith(".json") or text.lstrip()[:1] == "{"
