"""Put imports into a Python file where they belong, and take out those that nothing uses."""

import re
from collections.abc import Sequence

import libcst as cst
from libcst.helpers import get_full_name_for_node

from integrations.builtin.modules import Module
from integrations.builtin.names import Imported, Names, import_source, imports

Block = cst.SimpleStatementLine | cst.BaseCompoundStatement


def bound_as(tree: cst.Module, module: Module, source: str, name: str) -> str:
    """Return the name by which a file knows `source` (or `name` of it) already, else empty."""
    for entry in imports(tree, module):
        if entry.top and (entry.module, entry.name) == (source, name):
            plain = not name and "." in source and entry.bound == source.partition(".")[0]
            return source if plain else entry.bound
    return ""


def add_import(
    tree: cst.Module, module: Module, source: str, name: str = "", alias: str = ""
) -> cst.Module:
    """Return the file with the import; one that is there already, or itself, is not added."""
    if source == module.name and name:
        return tree
    wanted = Imported(source, name, alias or name or source.partition(".")[0], True)
    if wanted in imports(tree, module):
        return tree
    if name:
        merged = _merged(tree, module, wanted)
        if merged is not None:
            return merged
    suffix = f" as {alias}" if alias else ""
    line = f"from {source} import {name}{suffix}" if name else f"import {source}{suffix}"
    at = _place(tree.body, line)
    rest = list(tree.body[at:])
    first = at == 0 or not _import_text(tree.body[at - 1])
    if first and rest and not _import_text(rest[0]) and not rest[0].leading_lines:
        gap = 1 if isinstance(rest[0], cst.SimpleStatementLine) else 2
        rest[0] = rest[0].with_changes(leading_lines=(cst.EmptyLine(indent=False),) * gap)
    return tree.with_changes(body=[*tree.body[:at], _statement(line, tree, at), *rest])


def _merged(tree: cst.Module, module: Module, wanted: Imported) -> cst.Module | None:
    """Return the file with one more name in a `from ... import` of the same module."""
    for index, block in enumerate(tree.body):
        if not isinstance(block, cst.SimpleStatementLine) or len(block.body) != 1:
            continue
        node = block.body[0]
        if not isinstance(node, cst.ImportFrom) or isinstance(node.names, cst.ImportStar):
            continue
        if node.lpar is not None or import_source(node, module) != wanted.module:
            continue
        if len(tree.code_for_node(block)) + len(wanted.name) + len(wanted.bound) > 84:
            continue
        body = list(tree.body)
        body[index] = block.with_changes(body=(_with_name(node, wanted),))
        return tree.with_changes(body=body)
    return None


def _with_name(node: cst.ImportFrom, wanted: Imported) -> cst.ImportFrom:
    alias = cst.ImportAlias(
        cst.Name(wanted.name),
        asname=cst.AsName(cst.Name(wanted.bound)) if wanted.bound != wanted.name else None,
    )
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    names = [*(node.names if not isinstance(node.names, cst.ImportStar) else ()), alias]
    ordered = [name.evaluated_name for name in names[:-1]]
    if ordered == sorted(ordered, key=str.lower):
        names.sort(key=lambda item: item.evaluated_name.lower())
    plain = [item.with_changes(comma=comma) for item in names[:-1]]
    return node.with_changes(
        names=(*plain, names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT))
    )


def _place(body: Sequence[Block], line: str) -> int:
    """Return where an import goes: before the first one that sorts behind it in its own group."""
    head = 1 if body and _is_docstring(body[0]) else 0
    lines = [(index, _import_text(block)) for index, block in enumerate(body)]
    block_end = head
    own: list[tuple[int, str]] = []
    for index, text in lines[head:]:
        if not text:
            break
        block_end = index + 1
        if not text.startswith("from __future__"):
            own.append((index, text))
    if not own:
        first = next((index for index, text in lines[head:] if text), None)
        return block_end if block_end > head or first is None else first
    if line.startswith("from __future__"):
        return own[0][0]
    root = _root(line)
    same = [(index, text) for index, text in own if _root(text) == root]
    for index, text in same:
        if _order(text) > _order(line):
            return index
    return same[-1][0] + 1 if same else block_end


def _order(text: str) -> tuple[bool, str]:
    return text.startswith("from "), text.lower()


def _root(text: str) -> str:
    found = re.match(r"(?:from|import)\s+(\.*\w*)", text)
    return found.group(1) if found else ""


def _statement(line: str, tree: cst.Module, at: int) -> cst.SimpleStatementLine:
    """Parse an import line; it takes over no comments, but a blank line behind a docstring."""
    statement = cst.parse_statement(line, config=tree.config_for_parsing)
    assert isinstance(statement, cst.SimpleStatementLine)
    if at == 1 and _is_docstring(tree.body[0]):
        return statement.with_changes(leading_lines=(cst.EmptyLine(indent=False),))
    return statement


def _is_docstring(block: Block) -> bool:
    return (
        isinstance(block, cst.SimpleStatementLine)
        and isinstance(block.body[0], cst.Expr)
        and isinstance(block.body[0].value, cst.SimpleString | cst.ConcatenatedString)
    )


def _import_text(block: Block) -> str:
    if isinstance(block, cst.SimpleStatementLine) and isinstance(
        block.body[0], cst.Import | cst.ImportFrom
    ):
        return cst.Module([block.with_changes(leading_lines=())]).code.strip()
    return ""


def drop_unused(names: Names, source: str, name: str) -> cst.Module:
    """Return the file without the import of `source` (or `name` of it) if nothing uses it.

    A name in `__all__`, a package's own re-export, or a line with `noqa` keeps the import.
    """
    dropper = _Dropper(names, source, name)
    return names.tree.visit(dropper)


class _Dropper(cst.CSTTransformer):
    def __init__(self, names: Names, source: str, name: str) -> None:
        super().__init__()
        self._names = names
        self._source = source
        self._name = name
        self._keep = names.module.path.endswith("__init__.py")

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        comment = updated_node.trailing_whitespace.comment
        if self._keep or (comment is not None and "noqa" in comment.value):
            return updated_node
        body = [self._without(statement) for statement in original_node.body]
        left = [statement for statement in body if statement is not None]
        if len(left) == len(body) and all(
            a is b for a, b in zip(left, original_node.body, strict=True)
        ):
            return updated_node
        if left:
            return updated_node.with_changes(body=left)
        return cst.RemoveFromParent()

    def _without(self, statement: cst.BaseSmallStatement) -> cst.BaseSmallStatement | None:
        if isinstance(statement, cst.ImportFrom) and self._name:
            if import_source(statement, self._names.module) != self._source:
                return statement
            return self._trimmed(statement, statement.names, self._name)
        if isinstance(statement, cst.Import) and not self._name:
            return self._trimmed(statement, statement.names, self._source)
        return statement

    def _trimmed(
        self,
        statement: cst.Import | cst.ImportFrom,
        aliases: cst.ImportStar | Sequence[cst.ImportAlias],
        wanted: str,
    ) -> cst.BaseSmallStatement | None:
        if isinstance(aliases, cst.ImportStar):
            return statement
        left = [
            alias
            for alias in aliases
            if alias.evaluated_name != wanted or self._used(statement, alias)
        ]
        if len(left) == len(aliases):
            return statement
        if not left:
            return None
        left[-1] = left[-1].with_changes(comma=aliases[-1].comma)
        return statement.with_changes(names=left)

    def _used(self, statement: cst.CSTNode, alias: cst.ImportAlias) -> bool:
        bound = alias.evaluated_alias or alias.evaluated_name
        scope = self._names.scope(statement)
        if scope is None:
            return True
        quoted = re.compile(rf"[\"'][^\"'\n]*\b{re.escape(bound)}\b")
        if quoted.search(self._names.tree.code):
            return True
        first = bound.partition(".")[0]
        return any(
            assignment.references
            for assignment in scope.assignments
            if assignment.name in (bound, first)
        )


def dotted(expression: cst.BaseExpression) -> str:
    """Return an attribute chain as text, else empty."""
    return get_full_name_for_node(expression) or ""
