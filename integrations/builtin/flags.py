"""Feature flags in a module of their own, and functions behind them."""

import libcst as cst

from domain.errors import Rejected
from domain.operation import AddFeatureFlag
from integrations.builtin.definitions import Place, expression, place
from integrations.builtin.document import Document
from integrations.builtin.importing import add_import, bound_as
from integrations.builtin.imports import not_python
from integrations.builtin.modules import module_at
from integrations.builtin.names import Names, parse
from integrations.builtin.work import Work

MODULE = '''"""Feature flags; FLAG_<NAME>=1 or =0 in the environment overrides a default."""

import os

FLAGS = {
}


def enabled(name: str) -> bool:
    """Say whether a flag is on."""
    default = "1" if FLAGS[name] else "0"
    return os.environ.get(f"FLAG_{name.upper()}", default) == "1"
'''


def add_feature_flag(operation: AddFeatureFlag, work: Work) -> None:
    """Declare the flag; guard a function with it if one is named."""
    there = work.tree.read(operation.path) is not None
    document = work.tree.need(operation.path) if there else Document(MODULE)
    text = _declared(operation, document)
    work.put_bytes(operation.path, document.encode(text))
    if operation.guard:
        _guard(operation, place(work, operation.guard), work)


def _declared(operation: AddFeatureFlag, document: Document) -> str:
    tree = parse(document)
    if tree is None:
        raise not_python(operation.path)
    finder = _Table()
    tree.visit(finder)
    if finder.table is None or "def enabled(" not in document.text:
        raise Rejected(
            f"{operation.path} has no table FLAGS with a function enabled",
            code="no_flags",
            path=operation.path,
            hint="name a file that does not exist yet, and it is written",
        )
    elements = list(finder.table.elements)
    for element in elements:
        if isinstance(element, cst.DictElement) and _key(element) == operation.name:
            return document.text
    indent = cst.ParenthesizedWhitespace(last_line=cst.SimpleWhitespace("    "))
    close = cst.ParenthesizedWhitespace()
    new = cst.DictElement(
        cst.SimpleString(f'"{operation.name}"'),
        cst.Name(str(operation.default)),
        comma=cst.Comma(whitespace_after=close),
    )
    if elements:
        elements[-1] = elements[-1].with_changes(comma=cst.Comma(whitespace_after=indent))
    table = finder.table.with_changes(
        elements=[*elements, new], lbrace=cst.LeftCurlyBrace(whitespace_after=indent)
    )
    table = table.with_changes(rbrace=cst.RightCurlyBrace())
    changed = tree.deep_replace(finder.table, table)
    assert isinstance(changed, cst.Module)
    return changed.code


def _guard(operation: AddFeatureFlag, where: Place, work: Work) -> None:
    function = where.definition()
    if not isinstance(function, cst.FunctionDef) or not isinstance(
        function.body, cst.IndentedBlock
    ):
        raise Rejected(
            f"{operation.guard} is not a function with a body of its own lines",
            code="not_a_function",
            path=where.path,
        )
    test = f'if not enabled("{operation.name}"):'
    if any(test in cst.Module([]).code_for_node(node) for node in function.body.body[:2]):
        return
    module = where.symbol.module
    source = module_at(operation.path, module.root).name
    known = bound_as(where.tree, module, source, "enabled")
    if not known and Names(where.tree, module).bound(where.tree, "enabled"):
        raise Rejected(
            f"{where.path} uses the name enabled for something else",
            code="name_taken",
            path=where.path,
        )
    answer = cst.Module([]).code_for_node(expression(operation.otherwise, where.path))
    guard = cst.parse_statement(
        f"{test}\n    return {answer}\n", config=where.tree.config_for_parsing
    )
    at = 1 if function.get_docstring() is not None else 0
    body = [*function.body.body[:at], guard, *function.body.body[at:]]
    changed = where.tree.with_deep_changes(function.body, body=body)
    changed = add_import(changed, module, source, "enabled")
    work.put(where.path, where.document, changed.code)


class _Table(cst.CSTVisitor):
    """Finds the dictionary that is assigned to FLAGS."""

    def __init__(self) -> None:
        self.table: cst.Dict | None = None

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        if isinstance(target, cst.Name) and target.value == "FLAGS":
            self._take(node.value)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        if isinstance(node.target, cst.Name) and node.target.value == "FLAGS":
            self._take(node.value)

    def _take(self, value: cst.BaseExpression | None) -> None:
        if isinstance(value, cst.Dict):
            self.table = value


def _key(element: cst.DictElement) -> str:
    key = element.key
    return str(key.evaluated_value) if isinstance(key, cst.SimpleString) else ""
