"""A folder of files, an operation on it, and what is there afterwards."""

import textwrap
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from domain.operation import Operation
from integrations.builtin.engine import run
from integrations.builtin.order import Order, Result

OPERATION: TypeAdapter[Operation] = TypeAdapter(Operation)


def text(code: str) -> str:
    """Return a block as file text."""
    return textwrap.dedent(code).lstrip("\n")


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text(content).encode())


def read(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes().decode()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def order(root: Path, *operations: dict[str, Any], **rest: Any) -> Result:
    """Apply operations to the folder as it is."""
    parsed = tuple(OPERATION.validate_python(operation) for operation in operations)
    return run(Order(operations=parsed, **rest), root)


def applied(root: Path, files: dict[str, str], **operation: Any) -> dict[str, str]:
    """Apply one operation; return the changed and new files, and prove that twice is once."""
    write(root, files)
    before = read(root)
    result = order(root, operation)
    assert result.error == ""
    after = read(root)
    again = order(root, operation)
    assert (again.status, again.edits) == ("no_change", ())
    assert read(root) == after
    changed = {path: content for path, content in after.items() if before.get(path) != content}
    assert {edit.path for edit in result.edits} >= set(changed)
    return changed


def refused(root: Path, files: dict[str, str], **operation: Any) -> Result:
    """Apply one operation that must fail, and prove that nothing was written."""
    write(root, files)
    before = read(root)
    result = order(root, operation)
    assert (result.status, result.edits) == ("failed", ())
    assert read(root) == before
    return result
