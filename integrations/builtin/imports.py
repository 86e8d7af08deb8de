"""Import statements as operations: make sure of one, remove one that nothing uses."""

from domain.errors import Rejected
from domain.operation import EnsureImport, RemoveImport
from integrations.builtin.importing import add_import, drop_unused
from integrations.builtin.modules import module_at
from integrations.builtin.names import Names, parse
from integrations.builtin.work import Work


def ensure_import(operation: EnsureImport, work: Work) -> None:
    """Import; raises `Rejected` when the file is not Python 3."""
    document = work.tree.need(operation.path)
    tree = parse(document)
    if tree is None:
        raise not_python(operation.path)
    module = module_at(operation.path, "")
    changed = add_import(tree, module, operation.module, operation.name, operation.alias)
    work.put(operation.path, document, changed.code)


def remove_import(operation: RemoveImport, work: Work) -> None:
    """Remove the import in every file of `paths` where nothing uses it."""
    needle = operation.module.rpartition(".")[2]
    for path, document in work.tree.with_bytes(operation.paths, needle.encode()):
        tree = parse(document)
        if tree is None:
            work.note(path, "left alone: it is not Python 3")
            continue
        changed = drop_unused(Names(tree, module_at(path, "")), operation.module, operation.name)
        work.put(path, document, changed.code)


def not_python(path: str) -> Rejected:
    """Say that a file cannot be parsed."""
    return Rejected(
        f"{path} is not valid Python 3",
        code="not_python",
        path=path,
        hint="mend its syntax first",
    )
