"""Rename a symbol where it is defined, imported and used, by scope and not by spelling."""

from collections.abc import Iterable

import libcst as cst

from domain.operation import PYTHON, RenameSymbol
from integrations.builtin.modules import Module, Symbol, locate
from integrations.builtin.names import Imported, Names, parse, reexported
from integrations.builtin.renamer import Renamer
from integrations.builtin.survey import Survey, survey
from integrations.builtin.work import Work


def rename_symbol(operation: RenameSymbol, work: Work) -> None:
    """Rename; a symbol that is not there is no edit, a name that is taken is refused."""
    symbol = locate(work.tree, operation.symbol)
    if symbol is None or len(symbol.names) > 2:
        work.note("", f"no module of the repository holds {operation.symbol}")
        return
    old = symbol.names[-1]
    surveys = survey(work, operation.paths, old, symbol.module.root)
    owners = _owners(symbol, surveys, work)
    targets = frozenset(f"{owner}.{old}" for owner in owners)
    places = 0
    for each in surveys:
        if _concerns(each, operation, targets, owners):
            places += _rename_in(each, operation, symbol, targets, owners, work)
    if not places:
        work.note(symbol.module.path, f"nothing named {operation.symbol} was found")


def _rename_in(
    each: Survey,
    operation: RenameSymbol,
    symbol: Symbol,
    targets: frozenset[str],
    owners: frozenset[str],
    work: Work,
) -> int:
    """Rename in one file; return in how many places."""
    tree = parse(each.document)
    if tree is None:
        work.note(each.module.path, "left alone: it is not Python 3")
        return 0
    names = Names(tree, each.module)
    renamer = Renamer(names, operation, symbol, targets, owners, each.imports)
    work.put(each.module.path, each.document, renamer.run(), renamer.count)
    return renamer.count


def _concerns(
    each: Survey, operation: RenameSymbol, targets: frozenset[str], owners: frozenset[str]
) -> bool:
    """Say whether a file may speak of the symbol; the full parse then decides."""
    if each.defines_part_of(owners) or each.imports_any(targets | owners, owners):
        return True
    if operation.strings == "words" and each.texts:
        return True
    if operation.attributes and each.attribute:
        return True
    if any(owner in text for owner in owners for text in each.texts):
        return True
    return (each.attribute or bool(each.texts)) and each.leads_to(owners)


def _owners(symbol: Symbol, surveys: tuple[Survey, ...], work: Work) -> frozenset[str]:
    """Return what may stand before the last name: modules, or a class and its heirs."""
    if len(symbol.names) == 1:
        handed = reexported((symbol.qualified,), {each.module: each.imports for each in surveys})
        return frozenset(name.rpartition(".")[0] for name in handed)
    family = _Family(symbol, work)
    return family.members(symbol.qualified.rpartition(".")[0])


class _Family:
    """A class, its heirs and theirs, under every name by which modules hand them on."""

    def __init__(self, symbol: Symbol, work: Work) -> None:
        self._root = symbol.module.root
        self._work = work
        self._listing: dict[Module, tuple[Imported, ...]] = {}
        self._bases: list[tuple[str, frozenset[str]]] = []
        self._asked: set[str] = set()

    def members(self, first: str) -> frozenset[str]:
        known = frozenset({first})
        while True:
            for name in sorted({each.rpartition(".")[2] for each in known} - self._asked):
                self._ask(name)
            heirs = {name for name, above in self._bases if not above.isdisjoint(known)}
            more = reexported((*known, *heirs), self._listing)
            if more == known:
                return known
            known = more

    def _ask(self, name: str) -> None:
        """Look into every file that spells the name of a class."""
        self._asked.add(name)
        for each in survey(self._work, PYTHON, name, self._root):
            if each.module in self._listing:
                continue
            self._listing[each.module] = each.imports
            tree = parse(each.document) if "class " in each.document.text else None
            if tree is not None:
                self._bases += _classes(Names(tree, each.module))


def _classes(names: Names) -> Iterable[tuple[str, frozenset[str]]]:
    """Yield the qualified names of the classes of a file, each with those of its bases."""
    for statement in names.tree.body:
        if isinstance(statement, cst.ClassDef):
            bases = (names.meaning(argument.value) for argument in statement.bases)
            qualified = f"{names.module.name}.{statement.name.value}"
            yield qualified, frozenset(name for base in bases for name in base)
