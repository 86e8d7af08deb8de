"""Functions, methods, fields and decorators: insert or replace."""

import libcst as cst

from domain.errors import Rejected
from domain.operation import (
    AddDataclassField,
    AddDecorator,
    InsertFunction,
    InsertMethod,
    ReplaceFunction,
)
from integrations.builtin.definitions import (
    Definition,
    Place,
    Statement,
    definitions,
    expression,
    one_definition,
    place,
    same_code,
)
from integrations.builtin.importing import add_import
from integrations.builtin.imports import not_python
from integrations.builtin.names import parse
from integrations.builtin.work import Work

BLANK = cst.EmptyLine(indent=False)


def insert_function(operation: InsertFunction, work: Work) -> None:
    """Add the definition; raises `Rejected` when its name is taken by other code."""
    document = work.tree.need(operation.path)
    tree = parse(document)
    if tree is None:
        raise not_python(operation.path)
    changed = with_function(tree, operation.code, operation.path, operation.after)
    work.put(operation.path, document, changed.code)


def with_function(tree: cst.Module, code: str, path: str, after: str = "") -> cst.Module:
    """Return the file with one more definition, two blank lines around it."""
    new = one_definition(code, tree, path)
    there = next((d for d in definitions(tree.body) if d.name.value == new.name.value), None)
    if there is not None:
        if same_code(there, new):
            return tree
        raise _taken(path, new.name.value)
    body = list(tree.body)
    at = _after(tree, after, path) if after else _end(tree)
    gap = (BLANK, BLANK) if at else ()
    body.insert(at, new.with_changes(leading_lines=(*gap, *new.leading_lines)))
    if at + 1 < len(body) and not _blank(body[at + 1]):
        following = body[at + 1]
        body[at + 1] = following.with_changes(
            leading_lines=(BLANK, BLANK, *following.leading_lines)
        )
    return tree.with_changes(body=body)


def replace_function(operation: ReplaceFunction, work: Work) -> None:
    """Put the new code in the place; comments above the definition stay."""
    where = place(work, operation.symbol)
    new = one_definition(operation.code, where.tree, where.path)
    if new.name.value != where.symbol.names[-1]:
        raise Rejected(
            f"the code defines {new.name.value}, not {where.symbol.names[-1]}",
            code="bad_code",
            path=where.path,
            hint="use rename_symbol to change a name",
        )
    old = where.definition()
    if not same_code(old, new):
        changed = where.changed(lambda node: new.with_changes(leading_lines=node.leading_lines))
        work.put(where.path, where.document, changed.code)


def insert_method(operation: InsertMethod, work: Work) -> None:
    """Add the method at the end of the class; raises `Rejected` when its name is taken."""
    where = place(work, operation.symbol)
    owner = _class(where)
    new = one_definition(operation.code, where.tree, where.path)
    there = next((d for d in definitions(owner.body.body) if d.name.value == new.name.value), None)
    if there is not None:
        if same_code(there, new):
            return
        raise _taken(where.path, f"{owner.name.value}.{new.name.value}")
    method = new.with_changes(leading_lines=(BLANK, *new.leading_lines))
    changed = where.changed(lambda node: _with_member(node, method, where, at=None))
    work.put(where.path, where.document, changed.code)


def add_dataclass_field(operation: AddDataclassField, work: Work) -> None:
    """Add the field; one of that name already there is no edit."""
    where = place(work, operation.symbol)
    owner = _class(where)
    fields = [index for index, node in enumerate(owner.body.body) if _field(node)]
    named = [_field(owner.body.body[index]) for index in fields]
    if operation.name in named:
        return
    defaulted = [index for index in fields if _has_default(owner.body.body[index])]
    if not operation.default and defaulted:
        at = defaulted[0]
    else:
        at = fields[-1] + 1 if fields else _docstring_end(owner)
    value = expression(operation.default, where.path) if operation.default else None
    line = cst.SimpleStatementLine(
        [
            cst.AnnAssign(
                cst.Name(operation.name),
                cst.Annotation(expression(operation.annotation, where.path)),
                value,
            )
        ]
    )
    changed = where.changed(lambda node: _with_member(node, line, where, at=at))
    work.put(where.path, where.document, changed.code)


def add_decorator(operation: AddDecorator, work: Work) -> None:
    """Decorate, outermost, and import what the decorator needs."""
    where = place(work, operation.symbol)
    written = operation.decorator.removeprefix("@").strip()
    decorator = cst.Decorator(expression(written, where.path))
    bare = cst.Module([])
    there = [bare.code_for_node(node.decorator) for node in where.definition().decorators]
    if written in there:
        return
    changed = where.changed(
        lambda node: node.with_changes(decorators=(decorator, *_decorators(node)))
    )
    if operation.module:
        changed = add_import(changed, where.symbol.module, operation.module, operation.name)
    work.put(where.path, where.document, changed.code)


def _decorators(node: Definition) -> tuple[cst.Decorator, ...]:
    return tuple(node.decorators)


def _class(where: Place) -> cst.ClassDef:
    found = where.definition()
    if isinstance(found, cst.ClassDef):
        return found
    raise Rejected(
        f"{'.'.join(where.symbol.names)} in {where.path} is not a class",
        code="not_a_class",
        path=where.path,
    )


def _with_member(
    owner: Definition, member: Statement, where: Place, *, at: int | None
) -> cst.CSTNode:
    """Return the class with one more statement; a class that is only `...` or `pass` loses it."""
    if not isinstance(owner.body, cst.IndentedBlock):
        raise Rejected(
            f"the class {owner.name.value} stands in one line", code="layout", path=where.path,
            hint="give it a body of its own lines first",
        )  # fmt: skip
    body = list(owner.body.body)
    if len(body) == 1 and _empty(body[0]):
        return owner.with_deep_changes(owner.body, body=[member.with_changes(leading_lines=())])
    body.insert(len(body) if at is None else at, member)
    return owner.with_deep_changes(owner.body, body=body)


def _empty(node: cst.BaseStatement) -> bool:
    return (
        isinstance(node, cst.SimpleStatementLine)
        and len(node.body) == 1
        and (
            isinstance(node.body[0], cst.Pass)
            or (isinstance(node.body[0], cst.Expr) and isinstance(node.body[0].value, cst.Ellipsis))
        )
    )


def _field(node: cst.CSTNode) -> str:
    """Return the name of the annotated field that a statement is, else empty."""
    if isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.AnnAssign):
        target = node.body[0].target
        return target.value if isinstance(target, cst.Name) else ""
    return ""


def _has_default(node: cst.CSTNode) -> bool:
    return (
        isinstance(node, cst.SimpleStatementLine)
        and isinstance(node.body[0], cst.AnnAssign)
        and node.body[0].value is not None
    )


def _docstring_end(owner: cst.ClassDef) -> int:
    return 1 if owner.get_docstring() is not None else 0


def _after(tree: cst.Module, name: str, path: str) -> int:
    for index, node in enumerate(tree.body):
        if isinstance(node, cst.FunctionDef | cst.ClassDef) and node.name.value == name:
            return index + 1
    raise Rejected(f"{path} defines no {name}", code="symbol_missing", path=path)


def _end(tree: cst.Module) -> int:
    """Return the end of a file, before the block that runs it as a script."""
    if tree.body and isinstance(tree.body[-1], cst.If):
        test = cst.Module([]).code_for_node(tree.body[-1].test)
        if "__name__" in test and "__main__" in test:
            return len(tree.body) - 1
    return len(tree.body)


def _blank(node: Statement) -> bool:
    lines = node.leading_lines
    return len(lines) >= 2 and all(line.comment is None for line in lines[:2])


def _taken(path: str, name: str) -> Rejected:
    return Rejected(
        f"{path} defines {name} already, with other code",
        code="name_taken",
        path=path,
        hint="use replace_function to change it",
    )
