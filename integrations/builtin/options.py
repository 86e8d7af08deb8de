"""One more option of a command line: argparse or click."""

from collections.abc import Sequence

import libcst as cst
import libcst.matchers as m

from domain.errors import Rejected
from domain.operation import AddCliOption
from integrations.builtin.definitions import definitions
from integrations.builtin.imports import not_python
from integrations.builtin.names import parse
from integrations.builtin.work import Work

TYPES = {"int": "int", "float": "float"}
ADDED = m.SimpleStatementLine(
    [m.OneOf(
        m.Expr(m.Call(m.Attribute(attr=m.Name("add_argument")))),
        m.Assign(value=m.Call(m.Attribute(attr=m.Name("add_argument")))),
    )]
)  # fmt: skip
PARSER = m.SimpleStatementLine(
    [m.Assign(value=m.Call(m.OneOf(m.Name("ArgumentParser"),
                                   m.Attribute(attr=m.Name("ArgumentParser")))))]
)  # fmt: skip


def add_cli_option(operation: AddCliOption, work: Work) -> None:
    """Add the option; one of that name already there is no edit."""
    document = work.tree.need(operation.path)
    tree = parse(document)
    if tree is None:
        raise not_python(operation.path)
    if f'"{operation.option}"' in document.text or f"'{operation.option}'" in document.text:
        return
    command = _command(tree, operation)
    changed = _with_click(tree, command, operation) if command else _with_argparse(tree, operation)
    work.put(operation.path, document, changed.code)


def _command(tree: cst.Module, operation: AddCliOption) -> cst.FunctionDef | None:
    """Return the click command to extend: the named one, or the only one."""
    commands = [
        node
        for node in definitions(tree.body)
        if isinstance(node, cst.FunctionDef)
        and any(_is_command(decorator) for decorator in node.decorators)
        and operation.function in ("", node.name.value)
    ]
    if len(commands) > 1:
        raise Rejected(
            f"{operation.path} has several commands",
            code="ambiguous",
            path=operation.path,
            hint="name one as function",
        )
    return commands[0] if commands else None


def _is_command(decorator: cst.Decorator) -> bool:
    written = cst.Module([]).code_for_node(decorator.decorator).partition("(")[0]
    return written.rpartition(".")[2] in ("command", "group")


def _with_click(tree: cst.Module, command: cst.FunctionDef, operation: AddCliOption) -> cst.Module:
    name = operation.option.removeprefix("--").replace("-", "_")
    written = [f'"{operation.option}"']
    if operation.kind == "flag":
        written.append("is_flag=True")
    elif operation.kind in TYPES:
        written.append(f"type={operation.kind}")
    written += _told(operation)
    decorator = cst.Decorator(cst.parse_expression(f"click.option({', '.join(written)})"))
    changed = command.with_changes(
        decorators=(*command.decorators, decorator), params=_with_parameter(command.params, name)
    )
    result = tree.deep_replace(command, changed)
    assert isinstance(result, cst.Module)
    return result


def _with_parameter(held: cst.Parameters, name: str) -> cst.Parameters:
    """Return the parameters with one more, by keyword where others have defaults."""
    parameter = cst.Param(cst.Name(name))
    if not any(each.default for each in held.params):
        return held.with_changes(params=(*_open_ended(held.params), parameter))
    star = held.star_arg if isinstance(held.star_arg, cst.Param) else cst.ParamStar()
    return held.with_changes(
        params=_open_ended(held.params),
        star_arg=star,
        kwonly_params=(*_open_ended(held.kwonly_params), parameter),
    )


def _open_ended(parameters: Sequence[cst.Param]) -> tuple[cst.Param, ...]:
    listed = tuple(parameters)
    if not listed:
        return ()
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    return (*listed[:-1], listed[-1].with_changes(comma=comma))


def _with_argparse(tree: cst.Module, operation: AddCliOption) -> cst.Module:
    finder = _Finder(operation.function)
    tree.visit(finder)
    last = finder.added or finder.parser
    if last is None:
        raise Rejected(
            f"{operation.path} has no argparse parser and no click command",
            code="no_parser",
            path=operation.path,
            hint="name the file, and the function, that makes the parser",
        )
    written = [f'"{operation.option}"']
    if operation.kind == "flag":
        written.append('action="store_true"')
    elif operation.kind in TYPES:
        written.append(f"type={operation.kind}")
    written += _told(operation)
    line = f"{_parser_name(last)}.add_argument({', '.join(written)})"
    statement = cst.parse_statement(line, config=tree.config_for_parsing)
    inserter = _Inserter(last, cst.ensure_type(statement, cst.SimpleStatementLine))
    return tree.visit(inserter)


def _told(operation: AddCliOption) -> list[str]:
    words = []
    if operation.default is not None and operation.kind != "flag":
        words.append(f"default={_source(operation.default)}")
    if operation.help:
        words.append(f"help={_source(operation.help)}")
    return words


def _source(value: str | int | float | bool) -> str:
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown


def _parser_name(statement: cst.SimpleStatementLine) -> str:
    """Return the parser that a statement makes or extends."""
    only = statement.body[0]
    bare = cst.Module([])
    call = only.value if isinstance(only, cst.Expr | cst.Assign) else None
    if isinstance(call, cst.Call) and m.matches(
        call.func, m.Attribute(attr=m.Name("add_argument"))
    ):
        return bare.code_for_node(cst.ensure_type(call.func, cst.Attribute).value)
    return bare.code_for_node(cst.ensure_type(only, cst.Assign).targets[0].target)


class _Finder(cst.CSTVisitor):
    """Finds the last option of the first parser, in the named function if one is named."""

    def __init__(self, function: str) -> None:
        self.parser: cst.SimpleStatementLine | None = None
        self.added: cst.SimpleStatementLine | None = None
        self._function = function
        self._inside: list[str] = []

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self._inside.append(node.name.value)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._inside.pop()

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> None:
        if self._function and self._function not in self._inside:
            return
        if self.parser is None and m.matches(node, PARSER):
            self.parser = node
        elif m.matches(node, ADDED) and (
            self.parser is None or _parser_name(node) == _parser_name(self.parser)
        ):
            self.added = node


class _Inserter(cst.CSTTransformer):
    """Puts a statement behind another."""

    def __init__(self, behind: cst.SimpleStatementLine, new: cst.SimpleStatementLine) -> None:
        super().__init__()
        self._behind = behind
        self._new = new

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.BaseStatement]:
        if original_node is not self._behind:
            return updated_node
        return cst.FlattenSentinel([updated_node, self._new])
