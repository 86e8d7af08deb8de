"""Find one definition in a file, and put something else in its place."""

import textwrap
from collections.abc import Callable, Sequence

import libcst as cst

from domain.errors import Rejected
from integrations.builtin.document import Document
from integrations.builtin.imports import not_python
from integrations.builtin.modules import Symbol
from integrations.builtin.modules import need as need_symbol
from integrations.builtin.names import parse
from integrations.builtin.work import Work

Definition = cst.FunctionDef | cst.ClassDef
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


class Place:
    """A definition in its file."""

    def __init__(self, symbol: Symbol, document: Document, tree: cst.Module) -> None:
        self.symbol = symbol
        self.path = symbol.module.path
        self.document = document
        self.tree = tree

    def definition(self) -> Definition:
        """Return the definition; raises `Rejected` when the file has none of that name."""
        found: Definition | None = None
        body: Sequence[cst.BaseStatement | cst.BaseSmallStatement] = self.tree.body
        for name in self.symbol.names:
            found = next((node for node in definitions(body) if node.name.value == name), None)
            if found is None:
                raise self.missing()
            body = found.body.body
        if found is None:
            raise self.missing()
        return found

    def missing(self) -> Rejected:
        """Say that the definition is not there."""
        return Rejected(
            f"{self.path} defines no {'.'.join(self.symbol.names)}",
            code="symbol_missing",
            path=self.path,
            hint="only functions and classes of a module, and members of a class, can be named",
        )

    def changed(self, change: Callable[[Definition], cst.CSTNode]) -> cst.Module:
        """Return the file with another node in the place of the definition."""
        old = self.definition()
        result = self.tree.deep_replace(old, change(old))
        assert isinstance(result, cst.Module)
        return result


def place(work: Work, dotted: str) -> Place:
    """Find the file of a symbol; raises `Rejected` when it cannot be edited."""
    symbol = need_symbol(work.tree, dotted)
    document = work.tree.need(symbol.module.path)
    tree = parse(document)
    if tree is None:
        raise not_python(symbol.module.path)
    return Place(symbol, document, tree)


def definitions(body: Sequence[cst.CSTNode]) -> list[Definition]:
    """Return the functions and classes of a body, those under `if` and `try` too."""
    found: list[Definition] = []
    for node in body:
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            found.append(node)
        elif isinstance(node, cst.If | cst.Else | cst.Try | cst.ExceptHandler | cst.With):
            found += definitions(node.body.body)
            for part in (getattr(node, "orelse", None), *getattr(node, "handlers", ())):
                if part is not None:
                    found += definitions([part])
    return found


def one_definition(code: str, tree: cst.Module, path: str) -> Definition:
    """Parse code that is one function or class; raises `Rejected` for anything else."""
    try:
        parsed = cst.parse_module(textwrap.dedent(code).strip("\n") + "\n", tree.config_for_parsing)
    except cst.ParserSyntaxError as error:
        raise Rejected(
            f"the code for {path} is not valid Python: {error.message} in line {error.raw_line}",
            code="bad_code",
            path=path,
        ) from None
    if len(parsed.body) == 1 and isinstance(parsed.body[0], cst.FunctionDef | cst.ClassDef):
        return (
            parsed.body[0].with_changes(leading_lines=parsed.header)
            if parsed.header
            else parsed.body[0]
        )
    raise Rejected(
        f"the code for {path} must be exactly one function or class",
        code="bad_code",
        path=path,
        hint="put imports into ensure_import",
    )


def expression(code: str, path: str) -> cst.BaseExpression:
    """Parse an expression; raises `Rejected` for what is none."""
    try:
        return cst.parse_expression(code.strip())
    except cst.ParserSyntaxError:
        raise Rejected(f"{code!r} is not a Python expression", code="bad_code", path=path) from None


def same_code(one: cst.CSTNode, other: cst.CSTNode) -> bool:
    """Say whether two definitions read the same, blank lines above them aside."""
    bare = cst.Module([])
    codes = (bare.code_for_node(node.with_changes(leading_lines=())) for node in (one, other))
    first, second = (code.strip() for code in codes)
    return first == second
