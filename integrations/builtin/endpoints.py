"""One more route of a web service: FastAPI, Flask, or a table of routes."""

import re
from pprint import pformat

import libcst as cst

from domain.errors import Rejected
from domain.operation import AddEndpoint
from integrations.builtin.definitions import definitions, one_definition
from integrations.builtin.imports import not_python
from integrations.builtin.names import parse
from integrations.builtin.structure import with_function
from integrations.builtin.work import Work

FASTAPI = ("FastAPI", "APIRouter")
FLASK = ("Flask", "Blueprint")
TABLE = "ROUTES"
PLACE = re.compile(r"[{<](?:\w+:)?([A-Za-z_]\w*)(?::\w+)?[}>]")


def add_endpoint(operation: AddEndpoint, work: Work) -> None:
    """Add the function and its route; raises `Rejected` when the route is taken."""
    document = work.tree.need(operation.path)
    tree = parse(document)
    if tree is None:
        raise not_python(operation.path)
    framework, owner = _framework(tree, operation)
    if framework == "table":
        changed = _in_table(tree, operation)
    else:
        changed = _decorated(tree, operation, framework, owner)
    work.put(operation.path, document, changed.code)


def _framework(tree: cst.Module, operation: AddEndpoint) -> tuple[str, str]:
    """Return which framework the file uses, and the name of its application or router."""
    for node in tree.body:
        name, value = _assigned(node)
        made = cst.Module([]).code_for_node(value.func) if isinstance(value, cst.Call) else ""
        last = made.rpartition(".")[2]
        if last in FASTAPI and operation.framework in ("auto", "fastapi"):
            return "fastapi", name
        if last in FLASK and operation.framework in ("auto", "flask"):
            return "flask", name
        table = name == TABLE and isinstance(value, cst.Dict)
        if table and operation.framework in ("auto", "table"):
            return "table", name
    raise Rejected(
        f"{operation.path} makes no FastAPI or Flask application and has no table {TABLE}",
        code="no_framework",
        path=operation.path,
        hint="name the file that makes the application, or use insert_function",
    )


def _assigned(node: cst.CSTNode) -> tuple[str, cst.BaseExpression | None]:
    if not isinstance(node, cst.SimpleStatementLine):
        return "", None
    only = node.body[0]
    if isinstance(only, cst.Assign) and len(only.targets) == 1:
        target = only.targets[0].target
        return (target.value if isinstance(target, cst.Name) else ""), only.value
    if isinstance(only, cst.AnnAssign) and isinstance(only.target, cst.Name):
        return only.target.value, only.value
    return "", None


def _decorated(tree: cst.Module, operation: AddEndpoint, framework: str, owner: str) -> cst.Module:
    route = f'"{operation.route}"'
    if framework == "fastapi":
        decorator = f"@{owner}.{operation.method.lower()}({route})"
    else:
        decorator = f'@{owner}.route({route}, methods=["{operation.method}"])'
    typed = ": str" if framework == "fastapi" else ""
    places = ", ".join(f"{name}{typed}" for name in PLACE.findall(operation.route))
    code = operation.handler or _answer(operation, places)
    _free(tree, operation, decorator)
    return with_function(tree, f"{decorator}\n{_checked(code, tree, operation)}", operation.path)


def _free(tree: cst.Module, operation: AddEndpoint, decorator: str) -> None:
    """Refuse a route that another function answers already."""
    bare = cst.Module([])
    for definition in definitions(tree.body):
        written = ["@" + bare.code_for_node(node.decorator) for node in definition.decorators]
        if decorator in written and definition.name.value != operation.function:
            raise _taken(operation, definition.name.value)


def _in_table(tree: cst.Module, operation: AddEndpoint) -> cst.Module:
    statement = next(node for node in tree.body if _assigned(node)[0] == TABLE)
    table = cst.ensure_type(_assigned(statement)[1], cst.Dict)
    bare = cst.Module([])
    key = f'("{operation.method}", "{operation.route}")'
    entries = {
        bare.code_for_node(element.key).replace("'", '"'): bare.code_for_node(element.value)
        for element in table.elements
        if isinstance(element, cst.DictElement)
    }
    if entries.get(key, operation.function) != operation.function:
        raise _taken(operation, entries[key])
    parameters = _parameters(tree, tuple(entries.values()))
    code = operation.handler or _answer(operation, parameters)
    new = one_definition(_checked(code, tree, operation), tree, operation.path)
    if key not in entries:
        tree = tree.with_deep_changes(table, elements=_with_entry(table, key, operation.function))
    there = any(d.name.value == operation.function for d in definitions(tree.body))
    if there:
        return with_function(tree, bare.code_for_node(new), operation.path)
    gap = (cst.EmptyLine(indent=False), cst.EmptyLine(indent=False))
    at = next(index for index, node in enumerate(tree.body) if _assigned(node)[0] == TABLE)
    body = [*tree.body[:at], new.with_changes(leading_lines=gap), *tree.body[at:]]
    if not body[at + 1].leading_lines:
        body[at + 1] = body[at + 1].with_changes(leading_lines=gap)
    return tree.with_changes(body=body)


def _with_entry(table: cst.Dict, key: str, value: str) -> list[cst.BaseDictElement]:
    """Return the entries with one more, laid out as the last one is."""
    new = cst.DictElement(cst.parse_expression(key), cst.parse_expression(value))
    if not table.elements:
        return [new]
    *before, last = table.elements
    between = before[-1].comma if before else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    own_lines = isinstance(table.lbrace.whitespace_after, cst.ParenthesizedWhitespace)
    if not before and own_lines:
        between = cst.Comma(whitespace_after=table.lbrace.whitespace_after)
    return [*before, last.with_changes(comma=between), new.with_changes(comma=last.comma)]


def _parameters(tree: cst.Module, handlers: tuple[str, ...]) -> str:
    """Return the parameters that the handlers of a table take."""
    for definition in definitions(tree.body):
        if isinstance(definition, cst.FunctionDef) and definition.name.value in handlers:
            return cst.Module([]).code_for_node(definition.params)
    return ""


def _answer(operation: AddEndpoint, parameters: str) -> str:
    value = pformat(operation.response, width=80, sort_dicts=False).replace("\n", "\n           ")
    return (
        f"def {operation.function}({parameters}):\n"
        f'    """Answer {operation.method} {operation.route}."""\n'
        f"    return {_double_quoted(value)}\n"
    )


def _double_quoted(value: str) -> str:
    return value.replace("'", '"') if '"' not in value and "\\" not in value else value


def _checked(code: str, tree: cst.Module, operation: AddEndpoint) -> str:
    found = one_definition(code, tree, operation.path)
    if found.name.value != operation.function:
        raise Rejected(
            f"the handler defines {found.name.value}, not {operation.function}",
            code="bad_code",
            path=operation.path,
        )
    return cst.Module([]).code_for_node(found)


def _taken(operation: AddEndpoint, by: str) -> Rejected:
    return Rejected(
        f"{operation.method} {operation.route} is answered by {by} already",
        code="route_taken",
        path=operation.path,
        hint="choose another route, or change that function with replace_function",
    )
