"""Tests from acceptance criteria with literals, in pytest's or in unittest's style."""

import re
import textwrap

import libcst as cst

from domain.criteria import Case, names_used, read_case
from domain.errors import Refused, Rejected
from domain.operation import Criterion, GenerateTests
from integrations.builtin.definitions import definitions
from integrations.builtin.document import Document
from integrations.builtin.importing import add_import
from integrations.builtin.imports import not_python
from integrations.builtin.modules import Module, module_at
from integrations.builtin.names import parse
from integrations.builtin.structure import BLANK, with_function
from integrations.builtin.tree import Tree
from integrations.builtin.work import Work

CLASS = "AcceptanceTests"


def generate_tests(operation: GenerateTests, work: Work) -> None:
    """Write the tests that are not there yet; raises `Rejected` when words are not understood."""
    cases = tuple(_case(criterion) for criterion in operation.criteria)
    there = work.tree.read(operation.path) is not None
    document = work.tree.need(operation.path) if there else Document(_header(operation))
    tree = parse(document)
    if tree is None:
        raise not_python(operation.path)
    module = module_at(operation.path, "")
    style = operation.style if operation.style != "auto" else style_of(work.tree)
    if style == "pytest":
        tree = _pytest(tree, module, cases, operation)
    else:
        tree = _unittest(tree, module, cases, operation)
    work.put_bytes(operation.path, document.encode(tree.code), len(cases))


def style_of(tree: Tree) -> str:
    """Return how the tests of the repository are written; without tests, unittest."""
    tests = ("test_*.py", "*_test.py", "conftest.py")
    for path in tree.files():
        name = path.rpartition("/")[2]
        if name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py":
            data = tree.read(path) or b""
            if name in tests[2:] or b"import pytest" in data or b"\ndef test_" in data:
                return "pytest"
    settings = (tree.read(path) or b"" for path in ("pyproject.toml", "pytest.ini", "setup.cfg"))
    return "pytest" if any(b"pytest" in data for data in settings) else "unittest"


def _with_names(
    tree: cst.Module, module: Module, cases: tuple[Case, ...], operation: GenerateTests
) -> cst.Module:
    """Import what the calls need from the module under test."""
    for name in sorted({name for case in cases for name in names_used(case)}):
        tree = add_import(tree, module, operation.module, name)
    return tree


def _case(criterion: Criterion) -> Case:
    try:
        return read_case(
            criterion.id, given=criterion.given, when=criterion.when, then=criterion.then
        )
    except Refused as refused:
        problem = refused.problems[0]
        raise Rejected(problem.message, code="criterion", hint=problem.hint) from None


def _header(operation: GenerateTests) -> str:
    return f'"""Acceptance of {operation.module.replace(":", ".")}."""\n'


def _pytest(
    tree: cst.Module, module: Module, cases: tuple[Case, ...], operation: GenerateTests
) -> cst.Module:
    if any(case.judgement in ("raises", "close") for case in cases):
        tree = add_import(tree, module, "pytest")
    tree = _with_names(tree, module, cases, operation)
    for case, criterion in zip(cases, operation.criteria, strict=True):
        code = _function(case, criterion, "", _pytest_lines(case))
        tree = with_function(tree, code, operation.path)
    return tree


def _unittest(
    tree: cst.Module, module: Module, cases: tuple[Case, ...], operation: GenerateTests
) -> cst.Module:
    tree = _with_names(add_import(tree, module, "unittest"), module, cases, operation)
    owner = next((d for d in definitions(tree.body) if d.name.value == CLASS), None)
    methods = [
        textwrap.indent(_function(case, criterion, "self", _unittest_lines(case)), "    ")
        for case, criterion in zip(cases, operation.criteria, strict=True)
    ]
    if owner is None:
        return with_function(
            tree, f"class {CLASS}(unittest.TestCase):\n" + "\n".join(methods), operation.path
        )
    for method in methods:
        tree = _with_method(tree, method, operation.path)
    return tree


def _with_method(tree: cst.Module, method: str, path: str) -> cst.Module:
    parsed = cst.parse_module(textwrap.dedent(method), tree.config_for_parsing).body[0]
    owner = next(d for d in definitions(tree.body) if d.name.value == CLASS)
    assert isinstance(parsed, cst.FunctionDef)
    for there in definitions(owner.body.body):
        if there.name.value == parsed.name.value:
            if _bare(there) == _bare(parsed):
                return tree
            raise Rejected(
                f"{path} defines {CLASS}.{there.name.value} already, with other code",
                code="name_taken",
                path=path,
            )
    body = [*owner.body.body, parsed.with_changes(leading_lines=(BLANK,))]
    return tree.with_deep_changes(owner.body, body=body)


def _bare(node: cst.FunctionDef | cst.ClassDef) -> str:
    return cst.Module([]).code_for_node(node.with_changes(leading_lines=())).strip()


def _function(case: Case, criterion: Criterion, parameter: str, lines: list[str]) -> str:
    name = re.sub(r"\W+", "_", f"test_{case.id}_{case.call}".lower()).strip("_")[:70].rstrip("_")
    setup = [f"{variable} = {value}" for variable, value in case.setup]
    body = [*_told(criterion), *setup, *lines]
    return f"def {name}({parameter}):\n" + "\n".join(f"    {line}" for line in body) + "\n"


def _told(criterion: Criterion) -> list[str]:
    words = f"{criterion.id}: when {criterion.when}, then {criterion.then}"
    plain = " ".join(words.split()).replace("\\", "/").replace('"""', "'''").rstrip('"')
    return [f"# {line}" for line in textwrap.wrap(plain, 90)]


def _pytest_lines(case: Case) -> list[str]:
    if case.judgement == "raises":
        saying = f", match={_escaped(case.message)}" if case.message else ""
        return [f"with pytest.raises({case.expected}{saying}):", f"    {case.call}"]
    if case.judgement == "holds":
        return [f"result = {case.call}", f"assert {case.expected}"]
    if case.judgement == "contains":
        return [f"assert {case.expected} in {case.call}"]
    if case.judgement == "close":
        return [f"assert {case.call} == pytest.approx({case.expected})"]
    return [f"assert {case.call} {_sign(case.expected)} {case.expected}"]


def _unittest_lines(case: Case) -> list[str]:
    if case.judgement == "raises" and case.message:
        shown = _escaped(case.message)
        return [f"with self.assertRaisesRegex({case.expected}, {shown}):", f"    {case.call}"]
    if case.judgement == "raises":
        return [f"with self.assertRaises({case.expected}):", f"    {case.call}"]
    if case.judgement == "holds":
        return [f"result = {case.call}", f"self.assertTrue({case.expected})"]
    if case.judgement == "contains":
        return [f"self.assertIn({case.expected}, {case.call})"]
    if case.judgement == "close":
        return [f"self.assertAlmostEqual({case.call}, {case.expected})"]
    if _sign(case.expected) == "is":
        return [f"self.assertIs({case.call}, {case.expected})"]
    return [f"self.assertEqual({case.call}, {case.expected})"]


def _sign(expected: str) -> str:
    return "is" if expected in ("True", "False", "None") else "=="


def _escaped(literal: str) -> str:
    """Return a pattern, as source, that matches the text of a string literal."""
    inner = str(cst.ensure_type(cst.parse_expression(literal), cst.SimpleString).evaluated_value)
    escaped = re.escape(inner)
    plain = '"' not in escaped and "\n" not in escaped
    return f'r"{escaped}"' if plain else repr(escaped)
