"""Parameters of a function: one more, or another default."""

from collections.abc import Sequence

import libcst as cst

from domain.errors import Rejected
from domain.operation import AddParameter, ChangeDefault
from integrations.builtin.calls import calls_of, is_call_of
from integrations.builtin.definitions import Definition, Place, expression, place
from integrations.builtin.names import Names, parse
from integrations.builtin.work import Work


def add_parameter(operation: AddParameter, work: Work) -> None:
    """Add the parameter, and pass `argument` at each call that says nothing else."""
    where = place(work, operation.symbol)
    function = _function(where)
    if operation.name not in _named(function.params):
        _needs_a_value(operation, where)
        changed = where.changed(lambda node: _with_parameter(node, operation, where.path))
        work.put(where.path, where.document, changed.code)
    if operation.argument:
        _pass_argument(operation, work)


def change_default(operation: ChangeDefault, work: Work) -> None:
    """Change the default; raises `Rejected` when the parameter is not there."""
    where = place(work, operation.symbol)
    function = _function(where)
    parameter = _named(function.params).get(operation.name)
    if parameter is None:
        raise Rejected(
            f"{operation.symbol} has no parameter {operation.name}",
            code="parameter_missing",
            path=where.path,
        )
    value = expression(operation.default, where.path)
    if parameter.default is not None and parameter.default.deep_equals(value):
        return
    if parameter.default is None and not _may_have_default(function.params, operation.name):
        raise Rejected(
            f"{operation.name} stands before parameters without a default",
            code="parameter_order",
            path=where.path,
        )
    changed = where.changed(
        lambda node: node.with_deep_changes(parameter, default=value, equal=_equal(parameter))
    )
    work.put(where.path, where.document, changed.code)


def _function(where: Place) -> cst.FunctionDef:
    found = where.definition()
    if isinstance(found, cst.FunctionDef):
        return found
    raise Rejected(
        f"{'.'.join(where.symbol.names)} in {where.path} is not a function",
        code="not_a_function",
        path=where.path,
    )


def _named(parameters: cst.Parameters) -> dict[str, cst.Param]:
    every = (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params)
    return {parameter.name.value: parameter for parameter in every}


def _needs_a_value(operation: AddParameter, where: Place) -> None:
    if not operation.default and not operation.argument:
        raise Rejected(
            f"{operation.name} would break every caller",
            code="breaks_callers",
            path=where.path,
            hint="give a default, or an argument that each call passes",
        )


def _with_parameter(node: Definition, operation: AddParameter, path: str) -> cst.CSTNode:
    if not isinstance(node, cst.FunctionDef):
        return node
    parameter = cst.Param(
        cst.Name(operation.name),
        cst.Annotation(expression(operation.annotation, path)) if operation.annotation else None,
        default=expression(operation.default, path) if operation.default else None,
        equal=_equal(None, annotated=bool(operation.annotation))
        if operation.default
        else cst.MaybeSentinel.DEFAULT,
    )
    held = node.params
    keyword_only = operation.keyword_only or isinstance(held.star_arg, cst.Param | cst.ParamStar)
    if not operation.default and not keyword_only and _last_has_default(held):
        keyword_only = True
    if keyword_only:
        star = held.star_arg
        changed = held.with_changes(
            kwonly_params=(*_spaced(held.kwonly_params), parameter),
            star_arg=star if isinstance(star, cst.Param) else cst.ParamStar(),
        )
        if not isinstance(star, cst.Param):
            changed = changed.with_changes(params=_spaced(held.params))
        return node.with_changes(params=changed)
    return node.with_changes(params=held.with_changes(params=(*_spaced(held.params), parameter)))


def _spaced(parameters: Sequence[cst.Param]) -> tuple[cst.Param, ...]:
    """Return parameters so that another may follow; a trailing comma of a list of lines stays."""
    listed = tuple(parameters)
    if not listed or isinstance(listed[-1].comma, cst.Comma):
        return listed
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    return (*listed[:-1], listed[-1].with_changes(comma=comma))


def _last_has_default(parameters: cst.Parameters) -> bool:
    every = (*parameters.posonly_params, *parameters.params)
    return bool(every) and every[-1].default is not None


def _may_have_default(parameters: cst.Parameters, name: str) -> bool:
    every = [*parameters.posonly_params, *parameters.params]
    names = [parameter.name.value for parameter in every]
    if name not in names:
        return True
    return all(parameter.default is not None for parameter in every[names.index(name) + 1 :])


def _equal(parameter: cst.Param | None, *, annotated: bool = False) -> cst.AssignEqual:
    """Return the sign before a default: with spaces behind an annotation (PEP 8)."""
    spaced = annotated or (parameter is not None and parameter.annotation is not None)
    space = cst.SimpleWhitespace(" " if spaced else "")
    return cst.AssignEqual(space, space)


def _pass_argument(operation: AddParameter, work: Work) -> None:
    targets, callers = calls_of(work, operation.symbol, operation.paths)
    for each in callers:
        tree = parse(each.document)
        if tree is None:
            work.note(each.module.path, "left alone: it is not Python 3")
            continue
        passer = _Passer(Names(tree, each.module), targets, operation)
        changed = passer.names.tree.visit(passer)
        work.put(each.module.path, each.document, changed.code, passer.count)


class _Passer(cst.CSTTransformer):
    """Gives calls one more keyword argument."""

    def __init__(self, names: Names, targets: frozenset[str], operation: AddParameter) -> None:
        super().__init__()
        self.names = names
        self.count = 0
        self._targets = targets
        self._operation = operation

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        if not is_call_of(self.names, original_node, self._targets):
            return updated_node
        passed = {argument.keyword.value for argument in updated_node.args if argument.keyword}
        double = any(argument.star == "**" for argument in updated_node.args)
        if self._operation.name in passed or double:
            return updated_node
        self.count += 1
        tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        argument = cst.Arg(
            expression(self._operation.argument, self.names.module.path),
            cst.Name(self._operation.name),
            equal=tight,
        )
        return updated_node.with_changes(args=(*updated_node.args, argument))
