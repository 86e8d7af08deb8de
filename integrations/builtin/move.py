"""Move a definition to another module; the imports of everybody follow."""

import libcst as cst

from domain.errors import Rejected
from domain.operation import MoveSymbol
from integrations.builtin.definitions import Statement
from integrations.builtin.document import Document
from integrations.builtin.importing import add_import, drop_unused
from integrations.builtin.modules import Module, Symbol, find_module, locate
from integrations.builtin.names import Imported, Names, import_source, imports, parse
from integrations.builtin.structure import BLANK
from integrations.builtin.survey import Survey, survey
from integrations.builtin.work import Work


def move_symbol(operation: MoveSymbol, work: Work) -> None:
    """Move; moved already is no edit, and what would import in a circle is refused."""
    symbol = locate(work.tree, operation.symbol)
    if symbol is None or len(symbol.names) != 1:
        work.note("", f"no module of the repository holds {operation.symbol}")
        return
    mover = _Mover(symbol, operation, work)
    if mover.statement is not None:
        mover.move()


class _Mover:
    def __init__(self, symbol: Symbol, operation: MoveSymbol, work: Work) -> None:
        self._symbol = symbol
        self._name = symbol.names[0]
        self._operation = operation
        self._work = work
        self._target = find_module(work.tree, operation.to) or _new_module(symbol, operation.to)
        self._document = work.tree.need(symbol.module.path)
        self._source = _parsed(self._document, symbol.module.path)
        self._names = Names(self._source, symbol.module)
        self.statement = _statement(self._names.tree, self._name)

    def move(self) -> None:
        """Edit the target first, then the source, then who imports from it."""
        needed = self._needed()
        self._extend_target(needed)
        importers = self._importers()
        by_attribute = self._shrink_source(needed, importers)
        for each, names in importers:
            changed = names.tree.visit(_Redirect(each.module, self._symbol, self._target))
            self._work.put(each.module.path, each.document, changed.code)
        if by_attribute:
            self._work.note(self._symbol.module.path, "still hands the name on, as others use it")

    def _importers(self) -> list[tuple[Survey, Names]]:
        """Return the files that may know the symbol by its old module."""
        own = (self._symbol.module.path, self._target.path)
        owners = (self._symbol.module.name,)
        found = []
        for each in survey(self._work, self._operation.paths, self._name, self._symbol.module.root):
            near = each.imports_any((self._symbol.qualified,), owners) or each.leads_to(owners)
            named = any(owner in text for owner in owners for text in each.texts)
            tree = parse(each.document) if near or named else None
            if tree is not None and each.module.path not in own:
                found.append((each, Names(tree, each.module)))
        return found

    def _needed(self) -> tuple[Imported, ...]:
        """Return what the moved code imports; raises `Rejected` when it needs its old module."""
        used = _Used()
        assert self.statement is not None
        self.statement.visit(used)
        own = {self._name}
        scope = self._names.scope(self._names.tree)
        local = {
            name
            for name in used.names - own
            if scope is not None
            and f"{self._symbol.module.name}.{name}" in self._names.meaning_of(scope, name)
        }
        if local:
            raise Rejected(
                f"{self._name} uses {', '.join(sorted(local))} of {self._symbol.module.path}, "
                "which would be imported in a circle",
                code="circle",
                path=self._symbol.module.path,
                hint="move what it uses first",
            )
        return tuple(
            entry
            for entry in imports(self._names.tree, self._symbol.module)
            if entry.top
            and (entry.bound in used.names or entry.module == "__future__")
            and entry.module != self._target.name
        )

    def _extend_target(self, needed: tuple[Imported, ...]) -> None:
        there = self._work.tree.read(self._target.path) is not None
        document = self._work.tree.need(self._target.path) if there else Document("")
        tree = _parsed(document, self._target.path)
        taken = _statement(tree, self._name)
        if taken is not None:
            raise Rejected(
                f"{self._target.path} defines {self._name} already",
                code="name_taken",
                path=self._target.path,
            )
        assert self.statement is not None
        gap = (BLANK, BLANK) if tree.body else ()
        comments = tuple(line for line in self.statement.leading_lines if line.comment)
        moved = self.statement.deep_clone().with_changes(leading_lines=(*gap, *comments))
        tree = tree.with_changes(body=[*tree.body, moved], has_trailing_newline=True)
        for entry in needed:
            alias = (
                entry.bound
                if entry.bound not in (entry.name, entry.module.partition(".")[0])
                else ""
            )
            tree = add_import(tree, self._target, entry.module, entry.name, alias)
        unbound = Names(tree, self._target)
        tree = drop_unused(unbound, self._symbol.module.name, self._name)
        data = document.encode(tree.code)
        self._work.put_bytes(self._target.path, data)

    def _shrink_source(
        self,
        needed: tuple[Imported, ...],
        importers: list[tuple[Survey, Names]],
    ) -> bool:
        """Take the definition out; hand the name on where someone reaches it through here."""
        qualified = self._symbol.qualified
        reached = any(_reaches(names, qualified) for _, names in importers)
        body = [node for node in self._names.tree.body if node is not self.statement]
        tree = self._names.tree.with_changes(body=body)
        still = _Used()
        tree.visit(still)
        if reached or self._name in still.names or f'"{self._name}"' in tree.code:
            tree = add_import(tree, self._symbol.module, self._target.name, self._name)
        for entry in needed:
            if entry.bound not in still.names and entry.module != "__future__":
                tree = drop_unused(Names(tree, self._symbol.module), entry.module, entry.name)
        self._work.put(self._symbol.module.path, self._document, tree.code)
        return reached


def _new_module(symbol: Symbol, name: str) -> Module:
    return Module(name, f"{symbol.module.root}{name.replace('.', '/')}.py", symbol.module.root)


def _parsed(document: Document, path: str) -> cst.Module:
    tree = parse(document)
    if tree is None:
        raise Rejected(f"{path} is not valid Python 3", code="not_python", path=path)
    return tree


def _statement(tree: cst.Module, name: str) -> Statement | None:
    """Return the statement of a module that defines a name, if it defines nothing else."""
    for node in tree.body:
        if isinstance(node, cst.FunctionDef | cst.ClassDef) and node.name.value == name:
            return node
        if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
            only = node.body[0]
            targets = (
                [target.target for target in only.targets] if isinstance(only, cst.Assign)
                else [only.target] if isinstance(only, cst.AnnAssign)
                else []
            )  # fmt: skip
            if len(targets) == 1 and isinstance(targets[0], cst.Name) and targets[0].value == name:
                return node
    return None


def _reaches(names: Names, qualified: str) -> bool:
    finder = _Reach(names, qualified)
    names.tree.visit(finder)
    return finder.found


class _Reach(cst.CSTVisitor):
    """Looks for `module.name`, which an import statement alone cannot redirect."""

    def __init__(self, names: Names, qualified: str) -> None:
        self.found = False
        self._names = names
        self._qualified = qualified
        self._quoted = qualified in names.tree.code

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self.found = self.found or self._qualified in self._names.meaning(node)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        self.found = self.found or (self._quoted and self._qualified in node.value)


class _Used(cst.CSTVisitor):
    """Collects every name that is spelled; attributes too, which only keeps more imports."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Name(self, node: cst.Name) -> None:
        self.names.add(node.value)

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False


class _Redirect(cst.CSTTransformer):
    """Imports a name from its new module."""

    def __init__(self, module: Module, symbol: Symbol, target: Module) -> None:
        super().__init__()
        self._module = module
        self._symbol = symbol
        self._target = target

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.BaseStatement]:
        only = updated_node.body[0]
        if not isinstance(only, cst.ImportFrom) or isinstance(only.names, cst.ImportStar):
            return updated_node
        if import_source(only, self._module) != self._symbol.module.name:
            return updated_node
        name = self._symbol.names[0]
        moved = [alias for alias in only.names if alias.evaluated_name == name]
        left = [alias for alias in only.names if alias.evaluated_name != name]
        if not moved:
            return updated_node
        plain = moved[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        target = cst.ImportFrom(_dotted(self._target.name), (plain,))
        line = cst.SimpleStatementLine([target])
        if not left:
            return updated_node.with_changes(body=(target,))
        left[-1] = left[-1].with_changes(comma=only.names[-1].comma)
        return cst.FlattenSentinel(
            [updated_node.with_changes(body=(only.with_changes(names=left),)), line]
        )


def _dotted(name: str) -> cst.Attribute | cst.Name:
    expression = cst.parse_expression(name)
    assert isinstance(expression, cst.Attribute | cst.Name)
    return expression
