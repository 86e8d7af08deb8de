"""One value in a JSON, YAML or TOML file; comments, order and indentation stay."""

import io
import json
import re
from typing import Any

import tomlkit
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tomlkit.exceptions import TOMLKitError

from domain.errors import Rejected
from domain.operation import SetKey
from integrations.builtin.work import Work


def set_key(operation: SetKey, work: Work) -> None:
    """Set the value; raises `Rejected` when the file is broken or the way to the key is not."""
    document = work.tree.need(operation.path)
    suffix = operation.path.rpartition(".")[2].lower()
    try:
        if suffix == "json":
            text = _json(operation, document.text)
        elif suffix == "toml":
            text = _toml(operation, document.text)
        elif suffix in ("yaml", "yml"):
            text = _yaml(operation, document.text)
        else:
            raise Rejected(
                f"{operation.path} is not .json, .yaml, .yml or .toml",
                code="format",
                path=operation.path,
                hint="use replace_text or regex_replace",
            )
    except (json.JSONDecodeError, TOMLKitError, YAMLError) as error:
        raise Rejected(
            f"{operation.path} cannot be read: {str(error).splitlines()[0]}",
            code="broken_file",
            path=operation.path,
        ) from None
    work.put(operation.path, document, text)


def _json(operation: SetKey, text: str) -> str:
    data = json.loads(text)
    if not _set(data, operation):
        return text
    indent = re.search(r"\n([ \t]+)\S", text)
    shown = json.dumps(data, indent=indent.group(1) if indent else None, ensure_ascii=False)
    return shown + ("\n" if text.endswith("\n") else "")


def _toml(operation: SetKey, text: str) -> str:
    data = tomlkit.parse(text)
    return tomlkit.dumps(data) if _set(data, operation) else text


def _yaml(operation: SetKey, text: str) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.indent(**_indentation(text))
    yaml.explicit_start = text.startswith("---")
    data = yaml.load(text)
    if data is None:
        data = {}
    if not _set(data, operation):
        return text
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _indentation(text: str) -> dict[str, int]:
    """Return how the file indents mappings and sequences, as ruamel wants to be told."""
    mapping = re.search(r"^[^\s#-][^\n]*:[ \t]*\n( +)[^\s#-]", text, re.MULTILINE)
    step = len(mapping.group(1)) if mapping else 2
    item = re.search(r"^( *)[^\s#-][^\n]*:[ \t]*\n( *)- ", text, re.MULTILINE)
    offset = len(item.group(2)) - len(item.group(1)) if item else 2
    return {"mapping": step, "sequence": offset + 2, "offset": offset}


def _set(data: Any, operation: SetKey) -> bool:
    """Set the value in place, making missing mappings; False when it is there already."""
    at = data
    for part in operation.key[:-1]:
        _reachable(at, part, operation)
        if isinstance(at, dict) and part not in at:
            at[part] = {}
        at = at[part]
    last = operation.key[-1]
    _reachable(at, last, operation)
    if isinstance(at, dict) and last not in at:
        at[last] = operation.value
        return True
    if _same(at[last], operation.value):
        return False
    at[last] = operation.value
    return True


def _same(there: Any, wanted: Any) -> bool:
    plain = there.unwrap() if hasattr(there, "unwrap") else there
    return bool(plain == wanted) and isinstance(plain, bool) == isinstance(wanted, bool)


def _reachable(at: Any, part: str | int, operation: SetKey) -> None:
    fits = isinstance(at, dict) or (
        isinstance(at, list) and isinstance(part, int) and -len(at) <= part < len(at)
    )
    if not fits:
        where = ".".join(str(name) for name in operation.key)
        raise Rejected(
            f"{operation.path} has no place {where}: {part} is not in a mapping or a list there",
            code="no_such_place",
            path=operation.path,
        )
