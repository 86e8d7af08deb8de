"""One pass over one file that gives a symbol its new name."""

import re

import libcst as cst
from libcst.metadata import ClassScope

from domain.errors import Rejected
from domain.operation import RenameSymbol
from integrations.builtin.modules import Symbol
from integrations.builtin.names import Imported, Names, import_source


class Renamer(cst.CSTTransformer):
    """Changes names, attributes, imports and the strings that are code, by their meaning."""

    def __init__(
        self,
        names: Names,
        operation: RenameSymbol,
        symbol: Symbol,
        targets: frozenset[str],
        owners: frozenset[str],
        imported: tuple[Imported, ...],
    ) -> None:
        super().__init__()
        self.count = 0
        self._names = names
        self._operation = operation
        self._old = symbol.names[-1]
        self._new = operation.new_name
        self._member = len(symbol.names) == 2
        self._targets = targets
        self._owners = owners
        self._aliased = False  # the new name is taken here: import it under the old one
        self._annotations = 0
        self._prose = 0
        self._selves: list[str] = []
        self._related: list[bool] = []
        self._defines = names.module.name in owners and not any(
            entry.bound == self._old for entry in imported
        )
        self._star = any(
            entry.name == "*" and f"{entry.module}.{self._old}" in targets for entry in imported
        )
        self._word = re.compile(rf"\b{re.escape(self._old)}\b")

    def run(self) -> str:
        """Return the text of the file with the new name."""
        self._aliased = not self._member and self._taken()
        return self._names.tree.visit(self).code

    def _taken(self) -> bool:
        """Say whether the new name means something else where the old one is used."""
        users = _Users(self._old)
        self._names.tree.visit(users)
        hit = next(
            (
                node
                for node in users.found
                if self._hit(node) and self._names.bound(node, self._new)
            ),
            None,
        )
        if hit is None:
            return False
        if self._defines or self._star:
            raise Rejected(
                f"{self._new} already means something else in {self._names.module.path}",
                code="name_taken",
                path=self._names.module.path,
                hint="choose another new name",
            )
        return True

    def _hit(self, node: cst.Name | cst.Attribute) -> bool:
        meaning = self._names.meaning(node)
        if not meaning:
            unresolved = isinstance(node, cst.Name) and self._names.scope(node) is not None
            return self._star and unresolved
        return not meaning.isdisjoint(self._targets)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        if original_node.value != self._old or self._aliased:
            return updated_node
        if self._member and not isinstance(self._names.scope(original_node), ClassScope):
            return updated_node
        return self._renamed(updated_node) if self._hit(original_node) else updated_node

    def leave_NameItem(
        self, original_node: cst.NameItem, updated_node: cst.NameItem
    ) -> cst.NameItem:
        declared = original_node.name.value == self._old and not self._member
        if declared and f"{self._names.module.name}.{self._old}" in self._targets:
            return updated_node.with_changes(
                name=self._renamed(cst.ensure_type(updated_node.name, cst.Name))
            )
        return updated_node

    def leave_Attribute(
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.Attribute:
        if original_node.attr.value != self._old:
            return updated_node
        if self._hit_attribute(original_node):
            return updated_node.with_changes(attr=self._renamed(updated_node.attr))
        return updated_node

    def _hit_attribute(self, node: cst.Attribute) -> bool:
        if not self._names.meaning(node).isdisjoint(self._targets):
            return True
        if not self._member:
            return False
        return self._operation.attributes or self._on_self(node.value)

    def _on_self(self, value: cst.BaseExpression) -> bool:
        """Say whether a value is `self`, `cls` or `super()` in a class that has the member."""
        if not self._selves or not self._selves[-1]:
            return False
        if isinstance(value, cst.Call):
            return isinstance(value.func, cst.Name) and value.func.value == "super"
        return isinstance(value, cst.Name) and value.value == self._selves[-1]

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom:
        source = import_source(original_node, self._names.module)
        hit = not self._member and f"{source}.{self._old}" in self._targets
        if not hit or isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        aliases = tuple(
            self._alias(alias) if alias.evaluated_name == self._old else alias
            for alias in updated_node.names
        )
        return updated_node.with_changes(names=aliases)

    def _alias(self, alias: cst.ImportAlias) -> cst.ImportAlias:
        changed = alias.with_changes(name=self._renamed(cst.Name(self._old)))
        if alias.evaluated_alias == self._old and not self._aliased:
            return changed.with_changes(asname=_as(self._new))
        if alias.asname is None and self._aliased:
            return changed.with_changes(asname=_as(self._old))
        return changed

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        meaning = self._names.meaning(node.name)
        self._related.append(self._member and not meaning.isdisjoint(self._owners))

    def leave_ClassDef(
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        self._related.pop()
        return updated_node

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        first = next(iter((*node.params.posonly_params, *node.params.params)), None)
        method = isinstance(self._names.scope(node.name), ClassScope)
        if method and first is not None and self._related and self._related[-1]:
            self._selves.append(first.name.value)
        else:
            self._selves.append(self._selves[-1] if self._selves and not method else "")

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        self._selves.pop()
        return updated_node

    def visit_Annotation(self, node: cst.Annotation) -> None:
        self._annotations += 1

    def leave_Annotation(
        self, original_node: cst.Annotation, updated_node: cst.Annotation
    ) -> cst.Annotation:
        self._annotations -= 1
        return updated_node

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        value = updated_node.value
        if self._old not in value:
            return updated_node
        if self._operation.strings == "words" or self._forward(original_node):
            return self._string(updated_node, self._word.sub(self._new, value))
        if self._operation.strings == "dotted":
            return self._string(updated_node, self._dotted(value))
        return updated_node

    def _forward(self, node: cst.SimpleString) -> bool:
        """Say whether a string is an annotation in which the old name means the symbol."""
        if not self._annotations or self._member or self._aliased:
            return False
        return self._visible(node)

    def _visible(self, node: cst.CSTNode) -> bool:
        scope = self._names.scope(node)
        if scope is None:
            return f"{self._names.module.name}.{self._old}" in self._targets
        found = self._names.meaning_of(scope, self._old)
        return not found.isdisjoint(self._targets) or (self._star and not found)

    def _dotted(self, value: str) -> str:
        """Rename in a string that is a dotted path to the symbol, as patches and loaders use."""
        for target in self._targets:
            owner = target.rpartition(".")[0]
            path = rf"^(\w*[\"']+{re.escape(owner)}[.:]){re.escape(self._old)}(?=[.:\"'\[])"
            value = re.sub(path, rf"\g<1>{self._new}", value)
        return value

    def _string(self, node: cst.SimpleString, value: str) -> cst.SimpleString:
        if value == node.value:
            return node
        self.count += 1
        return node.with_changes(value=value)

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        named = any(_is_all(target.target) for target in original_node.targets)
        return (
            updated_node.with_changes(value=self._exported(updated_node.value))
            if named
            else updated_node
        )

    def leave_AugAssign(
        self, original_node: cst.AugAssign, updated_node: cst.AugAssign
    ) -> cst.AugAssign:
        if not _is_all(original_node.target):
            return updated_node
        return updated_node.with_changes(value=self._exported(updated_node.value))

    def leave_AnnAssign(
        self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign
    ) -> cst.AnnAssign:
        if not _is_all(original_node.target) or updated_node.value is None:
            return updated_node
        return updated_node.with_changes(value=self._exported(updated_node.value))

    def _exported(self, value: cst.BaseExpression) -> cst.BaseExpression:
        """Rename in `__all__`, which is code though it is made of strings."""
        own = f"{self._names.module.name}.{self._old}" in self._targets
        if self._member or self._aliased or not own:
            return value
        changed = value.visit(_Quoted(self._old, self._new))
        if isinstance(changed, cst.BaseExpression) and not changed.deep_equals(value):
            self.count += 1
            return changed
        return value

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """Rename in `setattr(owner, "name", ...)` and its relatives in tests."""
        if self._operation.strings == "none" or len(original_node.args) < 2:
            return updated_node
        owner, named = original_node.args[0].value, updated_node.args[1].value
        if not isinstance(named, cst.SimpleString) or named.evaluated_value != self._old:
            return updated_node
        if self._names.meaning(owner).isdisjoint(self._owners):
            return updated_node
        changed = self._string(named, named.value.replace(self._old, self._new))
        second = updated_node.args[1].with_changes(value=changed)
        return updated_node.with_changes(
            args=(updated_node.args[0], second, *updated_node.args[2:])
        )

    def _renamed(self, node: cst.Name) -> cst.Name:
        self.count += 1
        return node.with_changes(value=self._new)


class _Users(cst.CSTVisitor):
    """Collects the nodes that spell a name."""

    def __init__(self, name: str) -> None:
        self.found: list[cst.Name] = []
        self._name = name

    def visit_Name(self, node: cst.Name) -> None:
        if node.value == self._name:
            self.found.append(node)


class _Quoted(cst.CSTTransformer):
    """Renames strings that are exactly a name."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__()
        self._old = old
        self._new = new

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        if updated_node.evaluated_value != self._old:
            return updated_node
        return updated_node.with_changes(value=updated_node.value.replace(self._old, self._new))


def _as(name: str) -> cst.AsName:
    return cst.AsName(cst.Name(name))


def _is_all(target: cst.BaseExpression) -> bool:
    return isinstance(target, cst.Name) and target.value == "__all__"
