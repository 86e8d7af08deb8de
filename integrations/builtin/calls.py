"""Calls of a function: call another one instead, or wrap the call in one."""

from collections.abc import Callable

import libcst as cst

from domain.operation import ReplaceCall, WrapCall
from integrations.builtin.document import Document
from integrations.builtin.importing import add_import, bound_as, drop_unused
from integrations.builtin.modules import locate, split
from integrations.builtin.names import Names, parse, reexported
from integrations.builtin.survey import Survey, survey
from integrations.builtin.tree import Tree
from integrations.builtin.work import Work

Change = Callable[[cst.Call, cst.Call, str], cst.BaseExpression]


def replace_call(operation: ReplaceCall, work: Work) -> None:
    """Rewrite each call of `old`; its import goes where nothing else uses it."""

    def change(original: cst.Call, updated: cst.Call, spelled: str) -> cst.BaseExpression:
        args = tuple(_renamed(argument, operation.keywords) for argument in updated.args)
        return updated.with_changes(func=cst.parse_expression(spelled), args=args)

    _each_call(operation.old, operation.new, operation.paths, work, change, wrapping=False)


def wrap_call(operation: WrapCall, work: Work) -> None:
    """Put each call of `call` into one of `wrapper`, unless it stands in one already."""

    def change(original: cst.Call, updated: cst.Call, spelled: str) -> cst.BaseExpression:
        return cst.Call(
            cst.parse_expression(spelled), args=(cst.Arg(updated.with_changes(lpar=(), rpar=())),)
        )

    _each_call(operation.call, operation.wrapper, operation.paths, work, change, wrapping=True)


def _each_call(
    old: str, new: str, paths: tuple[str, ...], work: Work, change: Change, *, wrapping: bool
) -> None:
    surveys = _surveyed(work, old, paths, _root(work.tree, old, new))
    targets = _targets(old, surveys)
    owners = frozenset(target.rpartition(".")[0] for target in targets)
    for each in surveys:
        if not _concerns(each, targets, owners):
            continue
        tree = parse(each.document)
        if tree is None:
            work.note(each.module.path, "left alone: it is not Python 3")
            continue
        rewriter = _Rewriter(Names(tree, each.module), targets, new, change, wrapping=wrapping)
        if not rewriter.wanted():
            continue
        if not rewriter.spelled:
            work.note(each.module.path, f"left alone: {new} has no free name there")
            continue
        _finish(work, each.document, rewriter, old, new, wrapping=wrapping)


def calls_of(
    work: Work, symbol: str, paths: tuple[str, ...]
) -> tuple[frozenset[str], tuple[Survey, ...]]:
    """Return every qualified name of a function, and the files that may call it."""
    surveys = _surveyed(work, symbol, paths, _root(work.tree, symbol))
    targets = _targets(symbol, surveys)
    owners = frozenset(target.rpartition(".")[0] for target in targets)
    return targets, tuple(each for each in surveys if _concerns(each, targets, owners))


def _surveyed(work: Work, old: str, paths: tuple[str, ...], root: str) -> tuple[Survey, ...]:
    """Look at the files that spell the function, or the class that it belongs to."""
    name = split(old)[1].partition(".")[0]
    return survey(work, paths, name, root)


def _concerns(each: Survey, targets: frozenset[str], owners: frozenset[str]) -> bool:
    """Say whether a file may call one of these functions; the full parse then decides."""
    if "builtins" in owners:
        return True
    near = each.defines_part_of(owners) or each.imports_any(targets | owners, owners)
    return near or each.leads_to(owners)


def _finish(
    work: Work, document: Document, rewriter: "_Rewriter", old: str, new: str, *, wrapping: bool
) -> None:
    module = rewriter.names.module
    changed = rewriter.rewritten()
    if rewriter.imports is not None:
        name, alias = rewriter.imports
        changed = add_import(changed, module, split(new)[0], name, alias)
    if not wrapping:
        for source, name in sorted(rewriter.sources(old)):
            changed = drop_unused(Names(changed, module), source, name)
    work.put(module.path, document, changed.code, rewriter.count)


def _targets(old: str, surveys: tuple[Survey, ...]) -> frozenset[str]:
    """Return the qualified names that mean the old function: its own, and re-exports."""
    module, name = split(old)
    if not module:
        return frozenset({f"builtins.{name}"})
    first = name.partition(".")[0]
    rest = name.removeprefix(first)
    listing = {each.module: each.imports for each in surveys}
    return frozenset(known + rest for known in reexported((f"{module}.{first}",), listing))


def _root(tree: Tree, *symbols: str) -> str:
    """Return the import root of the first symbol that the repository defines."""
    for symbol in symbols:
        found = locate(tree, symbol)
        if found:
            return found.module.root
    return ""


def _renamed(argument: cst.Arg, keywords: dict[str, str]) -> cst.Arg:
    if argument.keyword is None or argument.keyword.value not in keywords:
        return argument
    return argument.with_changes(keyword=cst.Name(keywords[argument.keyword.value]))


class _Rewriter(cst.CSTTransformer):
    """Rewrites the calls in one file; `spelled` is how the file will call the new function."""

    def __init__(
        self, names: Names, targets: frozenset[str], new: str, change: Change, *, wrapping: bool
    ) -> None:
        super().__init__()
        self.names = names
        self.count = 0
        self.spelled = ""
        self.imports: tuple[str, str] | None = None  # name and alias to import
        self._targets = targets
        self._new = new
        self._change = change
        self._wrapping = wrapping
        self._inside: list[bool] = []

    def wanted(self) -> bool:
        """Find the calls; False when the file has none."""
        finder = _Finder(self.names, self._targets)
        self.names.tree.visit(finder)
        if finder.found:
            self.spelled = self._spelling(finder.found)
        return bool(finder.found)

    def sources(self, old: str) -> set[tuple[str, str]]:
        """Return the imports by which the file may have known the old function."""
        depth = split(old)[1].count(".") + 1
        parts = [target.rsplit(".", depth) for target in self._targets]
        return {(part[0], part[1]) for part in parts} | {(part[0], "") for part in parts}

    def rewritten(self) -> cst.Module:
        return self.names.tree.visit(self)

    def _spelling(self, calls: list[cst.Call]) -> str:
        """Choose a spelling that is free at every call, and set what must be imported."""
        source, name = split(self._new)
        first, _, rest = name.partition(".")
        tail = f".{rest}" if rest else ""
        if not source:
            return name if self._free(calls, name) else ""
        if source == self.names.module.name:
            return name
        known = bound_as(self.names.tree, self.names.module, source, first)
        if known:
            return known + tail
        known = bound_as(self.names.tree, self.names.module, source, "")
        if known:
            return f"{known}.{name}"
        by_name = any(isinstance(call.func, cst.Name) for call in calls)
        if by_name and self._free(calls, first):
            self.imports = (first, "")
            return first + tail
        top = source.partition(".")[0]
        if self._free(calls, top) or bound_as(self.names.tree, self.names.module, top, ""):
            self.imports = ("", "")
            return f"{source}.{name}"
        if self._free(calls, first):
            self.imports = (first, "")
            return first + tail
        return ""

    def _free(self, calls: list[cst.Call], name: str) -> bool:
        return not any(self.names.bound(call, name) for call in calls)

    def visit_Call(self, node: cst.Call) -> None:
        written = cst.Module([]).code_for_node(node.func)
        self._inside.append(self._wrapping and written == self.spelled)

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        self._inside.pop()
        wrapped = bool(self._inside) and self._inside[-1]
        if wrapped or not is_call_of(self.names, original_node, self._targets):
            return updated_node
        if self._is_own_body(original_node):
            return updated_node
        self.count += 1
        return self._change(original_node, updated_node, self.spelled)

    def _is_own_body(self, node: cst.Call) -> bool:
        """Say whether a call stands inside the new function itself, which would never end."""
        source, name = split(self._new)
        scope = self.names.scope(node)
        while source == self.names.module.name and scope is not None:
            if getattr(scope, "name", None) == name:
                return True
            scope = scope.parent if scope.parent is not scope else None
        return False


class _Finder(cst.CSTVisitor):
    def __init__(self, names: Names, targets: frozenset[str]) -> None:
        self.found: list[cst.Call] = []
        self._names = names
        self._targets = targets

    def visit_Call(self, node: cst.Call) -> None:
        if is_call_of(self._names, node, self._targets):
            self.found.append(node)


def is_call_of(names: Names, node: cst.Call, targets: frozenset[str]) -> bool:
    """Say whether a call calls one of these functions, and nothing else in any branch."""
    meaning = names.meaning(node.func)
    return bool(meaning) and meaning <= targets
