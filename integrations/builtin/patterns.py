"""Rewrite expressions by shape, blind to spacing and quotes of what surrounds them."""

import re
from collections.abc import Sequence
from dataclasses import fields

import libcst as cst

from domain.errors import Rejected
from domain.operation import StructuralRewrite
from integrations.builtin.names import parse
from integrations.builtin.work import Work

HOLE = re.compile(r"(\$\$\$|\$)([A-Z][A-Z0-9_]*)")
ONE, MANY = "__slipway_one_", "__slipway_many_"
SKIPPED = (cst.BaseParenthesizableWhitespace, cst.Comma, cst.TrailingWhitespace, cst.EmptyLine)
Found = dict[str, cst.CSTNode | tuple[cst.Arg, ...]]


def structural_rewrite(operation: StructuralRewrite, work: Work) -> None:
    """Rewrite every match; a match inside a match is rewritten first."""
    pattern = _shape(operation.pattern)
    replacement = _shape(operation.replacement)
    _checked(operation)
    for path, document in work.tree.with_bytes(operation.paths, _needle(operation.pattern)):
        tree = parse(document)
        if tree is None:
            work.note(path, "left alone: it is not Python 3")
            continue
        rewriter = _Rewriter(pattern, replacement)
        changed = tree.visit(rewriter)
        if changed.visit(_Rewriter(pattern, replacement)).code != changed.code:
            raise Rejected(
                f"the pattern matches its own result in {path}, so each run would change it again",
                code="not_idempotent",
                path=path,
                hint="make the pattern narrower",
            )
        work.put(path, document, changed.code, rewriter.count)


def _shape(text: str) -> cst.BaseExpression:
    """Parse a pattern; holes become names that no program has."""
    holes = {"$": ONE, "$$$": MANY}
    code = HOLE.sub(lambda hole: holes[hole.group(1)] + hole.group(2), text)
    try:
        return cst.parse_expression(code.strip())
    except cst.ParserSyntaxError:
        raise Rejected(
            f"{text!r} is not a Python expression",
            code="pattern",
            hint="write an expression such as foo($A, $$$REST)",
        ) from None


def _checked(operation: StructuralRewrite) -> None:
    unknown = set(HOLE.findall(operation.replacement)) - set(HOLE.findall(operation.pattern))
    if unknown:
        names = ", ".join(sorted(sign + name for sign, name in unknown))
        raise Rejected(
            f"the replacement uses {names}, which the pattern does not bind", code="pattern"
        )


def _needle(pattern: str) -> bytes:
    """Return the longest name of a pattern, which every file that matches contains."""
    words = re.findall(r"(?<!\$)\b[A-Za-z_]\w*", HOLE.sub(" ", pattern))
    return max(words, key=len, default="").encode()


def match(pattern: cst.CSTNode, node: cst.CSTNode, found: Found) -> bool:
    """Say whether a node has the pattern's shape, and bind its holes; equal holes, equal code."""
    hole = _hole(pattern, ONE)
    if hole:
        if not isinstance(node, cst.BaseExpression):
            return False
        known = found.setdefault(hole, node)
        return isinstance(known, cst.CSTNode) and _text(known) == _text(node)
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, cst.SimpleString) and isinstance(node, cst.SimpleString):
        return pattern.evaluated_value == node.evaluated_value
    if isinstance(pattern, cst.Call) and isinstance(node, cst.Call):
        return match(pattern.func, node.func, found) and _arguments(
            tuple(pattern.args), tuple(node.args), found
        )
    return _parts(pattern, node, found)


def _parts(pattern: cst.CSTNode, node: cst.CSTNode, found: Found) -> bool:
    for name in (field.name for field in fields(pattern)):  # every node is a dataclass
        if name in ("lpar", "rpar") or name.startswith(("whitespace", "semicolon")):
            continue
        one, other = getattr(pattern, name), getattr(node, name)
        if isinstance(one, Sequence) and not isinstance(one, str):
            if len(one) != len(other) or not all(map(match, one, other, [found] * len(one))):
                return False
        elif isinstance(one, cst.CSTNode) and not isinstance(one, SKIPPED):
            if not isinstance(other, cst.CSTNode) or not match(one, other, found):
                return False
        elif isinstance(one, str | bool | None) and one != other:
            return False
    return True


def _arguments(wanted: tuple[cst.Arg, ...], there: tuple[cst.Arg, ...], found: Found) -> bool:
    for index, argument in enumerate(wanted):
        hole = _hole(argument.value, MANY)
        if hole:
            rest = len(wanted) - index - 1
            end = len(there) - rest
            if end < index or hole in found:
                return False
            found[hole] = there[index:end]
            return _arguments(wanted[index + 1 :], there[end:], found)
        if index >= len(there) or not _argument(argument, there[index], found):
            return False
    return len(wanted) == len(there)


def _argument(wanted: cst.Arg, there: cst.Arg, found: Found) -> bool:
    names = [argument.keyword.value if argument.keyword else "" for argument in (wanted, there)]
    same = names[0] == names[1] and wanted.star == there.star
    return same and match(wanted.value, there.value, found)


def _hole(node: cst.CSTNode, kind: str) -> str:
    if isinstance(node, cst.Name) and node.value.startswith(kind):
        return node.value.removeprefix(kind)
    return ""


def _text(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


class _Rewriter(cst.CSTTransformer):
    def __init__(self, pattern: cst.BaseExpression, replacement: cst.BaseExpression) -> None:
        super().__init__()
        self.count = 0
        self._pattern = pattern
        self._replacement = replacement

    def on_leave(self, original_node: cst.CSTNode, updated_node: object) -> object:  # type: ignore[override]
        result = super().on_leave(original_node, updated_node)  # type: ignore[type-var]
        if type(result) is not type(self._pattern) or not isinstance(result, cst.BaseExpression):
            return result
        found: Found = {}
        if not match(self._pattern, result, found):
            return result
        self.count += 1
        filled = self._replacement.deep_clone().visit(_Filler(found))
        if result.lpar and isinstance(filled, cst.BaseExpression) and not filled.lpar:
            return filled.with_changes(lpar=result.lpar, rpar=result.rpar)
        return filled


class _Filler(cst.CSTTransformer):
    """Puts what was bound into the holes of a replacement."""

    def __init__(self, found: Found) -> None:
        super().__init__()
        self._found = found

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        hole = _hole(updated_node, ONE)
        bound = self._found.get(hole) if hole else None
        if not isinstance(bound, cst.BaseExpression):
            return updated_node
        clone = bound.deep_clone()
        if isinstance(clone, ATOMS) or clone.lpar:
            return clone
        return clone.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """Drop the comma before arguments of which there were none."""
        fewer = len(updated_node.args) < len(original_node.args)
        if not fewer or not updated_node.args:
            return updated_node
        last = updated_node.args[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return updated_node.with_changes(args=(*updated_node.args[:-1], last))

    def leave_Arg(
        self, original_node: cst.Arg, updated_node: cst.Arg
    ) -> cst.Arg | cst.FlattenSentinel[cst.Arg] | cst.RemovalSentinel:
        whole = _hole(original_node.value, ONE)
        if whole and isinstance(updated_node.value, cst.BaseExpression):
            bound = self._found[whole]
            if isinstance(bound, cst.BaseExpression):  # an argument needs no parentheses
                return updated_node.with_changes(value=bound.deep_clone())
        hole = _hole(updated_node.value, MANY)
        if not hole:
            return updated_node
        several = self._found.get(hole)
        if not isinstance(several, tuple) or not several:
            return cst.RemoveFromParent()
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        arguments = [argument.deep_clone() for argument in several]
        spaced = [
            argument
            if isinstance(argument.comma, cst.Comma)
            else argument.with_changes(comma=comma)
            for argument in arguments
        ]
        last = spaced[-1].with_changes(comma=updated_node.comma)
        return cst.FlattenSentinel([*spaced[:-1], last])


ATOMS = (
    cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float, cst.SimpleString,
    cst.FormattedString, cst.List, cst.Dict, cst.Set, cst.ListComp, cst.DictComp, cst.SetComp,
)  # fmt: skip
