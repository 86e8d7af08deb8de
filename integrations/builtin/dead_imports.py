"""Imports that nothing uses: ruff finds them, and other files are asked before they go."""

import re

import libcst as cst

from domain.operation import RemoveDeadImports
from integrations.builtin.document import Document
from integrations.builtin.importing import drop_unused
from integrations.builtin.modules import Module, module_at
from integrations.builtin.names import Imported, Names, imports, parse
from integrations.builtin.ruff import unused_imports
from integrations.builtin.work import Work


def remove_dead_imports(operation: RemoveDeadImports, work: Work) -> None:
    """Remove them, except where another file may reach the name through the module.

    Packages' own `__init__.py` are left alone: what they import is usually handed on.
    """
    unused = unused_imports(work, work.tree.editable(operation.paths))
    for path, names in sorted(unused.items()):
        document = work.tree.document(path)
        if document is None or path.endswith(("/__init__.py", "/conftest.py")):
            continue
        tree = parse(document)
        if tree is not None:
            _clean(work, path, document, tree, names)


def _clean(
    work: Work, path: str, document: Document, tree: cst.Module, unused: tuple[str, ...]
) -> None:
    module = module_at(path, "")
    count = 0
    for entry in imports(tree, module):
        if not entry.top or _spelled(entry) not in unused:
            continue
        if _reached(work, module, entry.bound):
            work.note(path, f"keeps {entry.bound}: another file may reach it here")
            continue
        changed = drop_unused(Names(tree, module), entry.module, entry.name)
        count += changed is not tree
        tree = changed
    work.put(path, document, tree.code, count)


def _spelled(entry: Imported) -> str:
    return f"{entry.module}.{entry.name}" if entry.name else entry.module


def _reached(work: Work, module: Module, name: str) -> bool:
    """Say whether another file names both the module and, as one of its parts, the name."""
    last = module.name.rpartition(".")[2]
    through = re.compile(
        rf"\b{re.escape(last)}\b(?:\.|[^\n]*\bimport\b[^#]*?\b){re.escape(name)}\b"
    )
    star = re.compile(rf"\b{re.escape(last)}\s+import\s+\*")
    aliased = re.compile(rf"\b{re.escape(last)}\s+as\s+(\w+)")
    for path, document in work.tree.python_with_bytes(last.encode()):
        if path == module.path:
            continue
        text = document.text
        if through.search(text) or star.search(text):
            return True
        for alias in aliased.findall(text):
            if re.search(rf"\b{alias}\.{re.escape(name)}\b", text):
                return True
    return False
