"""Small projects that need no network: a module, a unittest, and ideas about them."""

import json
from pathlib import Path
from typing import Any

from tests.integrations.git_sandbox import make, make_bare

TEST = """import unittest

from calc import add


class AddTest(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(add(1, 2), 3)

    def test_adds_nothing(self):
        self.assertEqual(add(4, 0), 4)
"""
CALC = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": TEST,
}
HELLO = {"op": "add_file", "path": "hello.txt", "text": "hello\n"}
GREETED = {"id": "A1", "kind": "command", "command": "grep -q hello hello.txt"}


def project(folder: Path, files: dict[str, str] | None = None, *options: str) -> Path:
    """Make a work tree of the calculator with more files."""
    return make(folder, CALC | (files or {}), options=options)


def bare(folder: Path, files: dict[str, str] | None = None) -> Path:
    return make_bare(folder, CALC | (files or {}))


def idea(folder: Path, title: str, **parts: Any) -> Path:
    """Write an idea file; without more it adds hello.txt."""
    work = any(name in parts for name in ("changes", "tasks", "recipe", "goal"))
    spec = {
        "schema": "slipway.idea/1",
        "title": title,
        "acceptance": [GREETED],
        **({} if work else {"changes": [HELLO]}),
        **parts,
    }
    file = folder / f"{title.replace(' ', '-')}.json"
    file.write_text(json.dumps(spec))
    return file


def scripted(folder: Path, title: str, script: str, **parts: Any) -> Path:
    """Write an idea of one task that the agent `obedient` does by running a shell script."""
    agent = {"backend": "obedient", "prompt": script, "limits": parts.pop("limits", {})}
    task = {"id": "work", "title": title, "touches": parts.pop("touches", ["*.txt"]),
            "accepts": ["A1"], "agent": agent}  # fmt: skip
    return idea(folder, title, tasks=[task], **parts)
