"""A quick look at Python files, so that only those that matter are parsed in full."""

import ast
import re
import warnings
from collections.abc import Collection
from typing import NamedTuple

from integrations.builtin.document import Document
from integrations.builtin.modules import Module, absolute, module_at
from integrations.builtin.names import Imported
from integrations.builtin.work import Work


class Survey(NamedTuple):
    """What one file says about one name; `texts` are the string literals that contain it."""

    module: Module
    document: Document
    imports: tuple[Imported, ...]
    attribute: bool
    texts: tuple[str, ...]

    def defines_part_of(self, owners: Collection[str]) -> bool:
        """Say whether the module, or something in it, is one of the owners."""
        return any(_inside(owner, self.module.name) for owner in owners)

    def imports_any(self, targets: Collection[str], owners: Collection[str]) -> bool:
        """Say whether an import binds one of the targets, by name or by a star."""
        return any(
            entry.module in owners if entry.name == "*" else _qualified(entry) in targets
            for entry in self.imports
        )

    def leads_to(self, owners: Collection[str]) -> bool:
        """Say whether an import binds something below which an owner can be reached."""
        starts = {
            entry.bound if not entry.name and entry.bound == _first(entry) else _qualified(entry)
            for entry in self.imports
        }
        return any(_inside(owner, start) for owner in owners for start in starts)


def survey(work: Work, paths: tuple[str, ...], name: str, root: str) -> tuple[Survey, ...]:
    """Look at every file under `paths` that spells a name; what is not Python 3 is noted.

    A star hands names on without spelling them, so files with one are looked at too.
    """
    word = re.compile(rf"\b{re.escape(name)}\b|\bimport\s+\*".encode())
    found = []
    for path in work.tree.editable(paths):
        data = work.tree.read(path)
        if data is None or not word.search(data):
            continue
        document = work.tree.document(path)
        if document is None:
            continue
        looked = look(document, module_at(path, root), name)
        if looked is None:
            work.note(path, "left alone: it is not Python 3")
        else:
            found.append(looked)
    return tuple(found)


def look(document: Document, module: Module, name: str) -> Survey | None:
    """Return what a file says; None when it is not Python 3."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the project's own literals
            tree = ast.parse(document.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    top = set(map(id, _top(tree)))
    imports: list[Imported] = []
    texts: list[str] = []
    attribute = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports += _imported(node, module, top=id(node) in top)
        elif isinstance(node, ast.Attribute):
            attribute = attribute or node.attr == name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and name in node.value:
            texts.append(node.value)
    return Survey(module, document, tuple(imports), attribute, tuple(texts))


def _top(node: ast.AST) -> list[ast.AST]:
    """Return the nodes that are in no function and no class."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            found += [child, *_top(child)]
    return found


def _imported(
    node: ast.Import | ast.ImportFrom, module: Module, *, top: bool
) -> tuple[Imported, ...]:
    if isinstance(node, ast.Import):
        return tuple(
            Imported(alias.name, "", alias.asname or alias.name.partition(".")[0], top)
            for alias in node.names
        )
    source = absolute(node.module or "", node.level, module.package)
    return tuple(
        Imported(source, alias.name, alias.asname or alias.name, top) for alias in node.names
    )


def _first(entry: Imported) -> str:
    return entry.module.partition(".")[0]


def _qualified(entry: Imported) -> str:
    return f"{entry.module}.{entry.name}" if entry.name else entry.module


def _inside(name: str, start: str) -> bool:
    return name == start or name.startswith(f"{start}.")
