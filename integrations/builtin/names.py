"""What the names in one Python file mean: qualified names by scope, with absolute modules."""

from collections.abc import Collection
from typing import NamedTuple

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import MetadataWrapper, Scope, ScopeProvider

from integrations.builtin.document import Document
from integrations.builtin.modules import Module, absolute


class Imported(NamedTuple):
    """One name that an import statement binds; `module` is absolute, `name` empty for `import`."""

    module: str
    name: str
    bound: str
    top: bool  # outside every function and class


def parse(document: Document) -> cst.Module | None:
    """Return the syntax tree; None for what is not Python 3."""
    try:
        return cst.parse_module(document.text)
    except (cst.ParserSyntaxError, RecursionError):
        return None


class Names:
    """A parsed file whose names can be asked for their meaning."""

    def __init__(self, tree: cst.Module, module: Module) -> None:
        wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
        self.tree = wrapper.module
        self.module = module
        self._scopes = wrapper.resolve(ScopeProvider)

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """Return the scope in which a node stands."""
        found = self._scopes.get(node)
        return found if isinstance(found, Scope) else None

    def meaning(self, node: cst.CSTNode) -> frozenset[str]:
        """Return the absolute qualified names that a name or an attribute may have."""
        scope = self.scope(node)
        return self.meaning_of(scope, node) if scope else frozenset()

    def meaning_of(self, scope: Scope, name: str | cst.CSTNode) -> frozenset[str]:
        """Return what a name means in a scope."""
        return frozenset(
            self._absolute(found.name, found.source.name)
            for found in scope.get_qualified_names_for(name)
        )

    def bound(self, node: cst.CSTNode, name: str) -> bool:
        """Say whether `name` is taken where `node` stands, by anything but a builtin."""
        scope = self.scope(node)
        if scope is None:
            return False
        return any(found.source.name != "BUILTIN" for found in scope.get_qualified_names_for(name))

    def _absolute(self, name: str, source: str) -> str:
        if source == "LOCAL":
            return f"{self.module.name}.{name}"
        if source == "BUILTIN":
            return name
        level = len(name) - len(name.lstrip("."))
        return absolute(name[level:], level, self.module.package)


def import_source(node: cst.ImportFrom, module: Module) -> str:
    """Return the absolute module of a `from ... import` statement."""
    written = get_full_name_for_node(node.module) if node.module else ""
    return absolute(written or "", len(node.relative), module.package)


def imports(tree: cst.Module, module: Module) -> tuple[Imported, ...]:
    """Return what every import statement of a file binds; a star has the name `*`."""
    collector = _Imports(module)
    tree.visit(collector)
    return tuple(collector.found)


class _Imports(cst.CSTVisitor):
    def __init__(self, module: Module) -> None:
        self.found: list[Imported] = []
        self._module = module
        self._depth = 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self._depth += 1

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._depth -= 1

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self._depth += 1

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:
        self._depth -= 1

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> bool:
        for statement in node.body:
            if isinstance(statement, cst.ImportFrom):
                self._from(statement)
            elif isinstance(statement, cst.Import):
                self._plain(statement)
        return False

    def _from(self, node: cst.ImportFrom) -> None:
        source = import_source(node, self._module)
        if isinstance(node.names, cst.ImportStar):
            self.found.append(Imported(source, "*", "*", self._depth == 0))
            return
        for alias in node.names:
            name = alias.evaluated_name
            self.found.append(
                Imported(source, name, alias.evaluated_alias or name, self._depth == 0)
            )

    def _plain(self, node: cst.Import) -> None:
        for alias in node.names:
            name = alias.evaluated_name
            bound = alias.evaluated_alias or name.partition(".")[0]
            self.found.append(Imported(name, "", bound, self._depth == 0))


def reexported(
    targets: Collection[str], files: dict[Module, tuple[Imported, ...]]
) -> frozenset[str]:
    """Return the targets and every other dotted name by which modules hand them on."""
    known = set(targets)
    while True:
        more = {
            f"{module.name}.{name}"
            for module, found in files.items()
            for imported in found
            if imported.top
            for name in _handed_on(imported, known)
        } - known
        if not more:
            return frozenset(known)
        known |= more


def _handed_on(imported: Imported, known: set[str]) -> tuple[str, ...]:
    if imported.name == "*":
        start = f"{imported.module}."
        tails = (name.removeprefix(start) for name in known if name.startswith(start))
        return tuple(tail for tail in tails if "." not in tail)
    return (imported.bound,) if f"{imported.module}.{imported.name}" in known else ()
