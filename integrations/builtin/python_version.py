"""The oldest Python that a project supports, as it says itself."""

import configparser
import re
import tomllib
from typing import Any

from domain.errors import Rejected
from integrations.builtin.tree import Tree

OLDEST, NEWEST = 7, 14  # minor versions of 3 for which ruff knows rules
UNSAID = 9  # minor version assumed where nothing is said
LOWER = re.compile(r"(>=|~=|==|>|\^|~)\s*(\d+)(?:\.(\d+))?")


def target_version(tree: Tree) -> str:
    """Return ruff's name of that version, such as `py39`.

    Raises `Rejected` when the project supports Python 2, where nothing of this is safe.
    """
    said = _pyproject(tree) or _setup_cfg(tree) or _setup_py(tree)
    if "2" in _majors(said) or (not said and _classified_two(tree)):
        raise Rejected(
            f"the project says that it supports Python 2 ({said or 'in its classifiers'})",
            code="python_two",
            hint="give the parameter target, for example py39, if that is no longer true",
        )
    return f"py3{min(max(_minor(said), OLDEST), NEWEST)}"


def _majors(said: str) -> set[str]:
    return {major for _, major, _ in LOWER.findall(said)}


def _minor(said: str) -> int:
    minors = [
        int(minor or 0) + (operator == ">" and bool(minor))
        for operator, major, minor in LOWER.findall(said)
        if major == "3"
    ]
    return max(minors) if minors else UNSAID


def _pyproject(tree: Tree) -> str:
    try:
        data: dict[str, Any] = tomllib.loads(_text(tree, "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return ""
    return (
        _value(data, "project", "requires-python")
        or _value(data, "tool", "poetry", "dependencies", "python")
        or _value(data, "tool", "flit", "metadata", "requires-python")
    )


def _value(data: Any, *names: str) -> str:
    """Return the text below these names; empty when there is none."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""


def _setup_cfg(tree: Tree) -> str:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(tree, "setup.cfg"))
    except configparser.Error:
        return ""
    return parser.get("options", "python_requires", fallback="")


def _setup_py(tree: Tree) -> str:
    found = re.search(r"""python_requires\s*=\s*["']([^"']+)["']""", _text(tree, "setup.py"))
    return found.group(1) if found else ""


def _classified_two(tree: Tree) -> bool:
    texts = (_text(tree, path) for path in ("pyproject.toml", "setup.cfg", "setup.py"))
    return any("Programming Language :: Python :: 2.7" in text for text in texts)


def _text(tree: Tree, path: str) -> str:
    return (tree.read(path) or b"").decode(errors="replace")
