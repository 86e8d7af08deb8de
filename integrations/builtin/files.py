"""Whole files: add, add from a template, move, delete."""

import re

from domain.errors import Rejected
from domain.operation import AddFile, AddFileFromTemplate, DeleteFile, MoveFile
from integrations.builtin.work import Work

SLOT = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def add_file(operation: AddFile, work: Work) -> None:
    """Write the file; raises `Rejected` when another text is there already."""
    _add(work, operation.path, operation.text, executable=operation.executable)


def add_file_from_template(operation: AddFileFromTemplate, work: Work) -> None:
    """Fill the template and write it; raises `Rejected` for a slot without a value."""
    missing = sorted(set(SLOT.findall(operation.template)) - set(operation.values))
    if missing:
        raise Rejected(
            f"the template of {operation.path} has no value for {', '.join(missing)}",
            code="template_value",
            path=operation.path,
            hint="add them to values",
        )
    text = SLOT.sub(lambda slot: operation.values[slot.group(1)], operation.template)
    _add(work, operation.path, text)


def delete_file(operation: DeleteFile, work: Work) -> None:
    """Remove the file if it is there."""
    if work.tree.read(operation.path) is not None:
        work.put_bytes(operation.path, None)


def move_file(operation: MoveFile, work: Work) -> None:
    """Rename the file; moved already is no edit."""
    data = work.tree.read(operation.path)
    there = work.tree.read(operation.to)
    if data is None and there is not None:
        return
    if data is None:
        raise Rejected(
            f"{operation.path} cannot be moved: it does not exist",
            code="file_missing",
            path=operation.path,
        )
    if there is not None:
        raise _occupied(operation.to)
    work.put_bytes(operation.to, data)
    work.put_bytes(operation.path, None)


def _add(work: Work, path: str, text: str, *, executable: bool = False) -> None:
    data = text.encode("utf-8")
    there = work.tree.read(path)
    if there is not None and there != data:
        raise _occupied(path)
    work.put_bytes(path, data, executable=executable)


def _occupied(path: str) -> Rejected:
    return Rejected(
        f"{path} exists already with other content",
        code="file_exists",
        path=path,
        hint="choose another path, or edit the file with replace_text",
    )
