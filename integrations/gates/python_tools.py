"""Which tools a Python repository configures: test runner, linter, type checker."""

import configparser
import re
from typing import Any, Literal

from integrations.gates.ini_files import read_ini
from integrations.gates.snapshot import Snapshot

TEST_FOLDERS = ("tests", "test", "testing")


def test_runner(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> Literal["pytest", "unittest", ""]:
    modules = snap.test_modules()
    if not modules:
        return ""
    if pytest_config(snap, pyproject, setup_cfg) is not None:
        return "pytest"
    if any(path.endswith("conftest.py") for path in snap.paths):
        return "pytest"
    declared = "\n".join(
        snap.text(name) for name in snap.texts if name not in modules and not name.startswith("CH")
    )
    texts = [snap.text(path) for path in modules if path in snap.texts]
    if any(re.search(r"^\s*(?:import|from) pytest\b", text, re.M) for text in texts):
        return "pytest"
    if not any(re.search(r"^\s*(?:import|from) unittest\b", text, re.M) for text in texts):
        return "pytest" if any(re.search(r"^\s*def test_", text, re.M) for text in texts) else ""
    return "pytest" if re.search(r"\bpytest\b", declared) else "unittest"


def pytest_config(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> dict[str, Any] | None:
    """Return the repository's pytest settings; None if it has none."""
    table = pyproject.get("tool", {}).get("pytest")
    if table is not None:
        return dict(table.get("ini_options", table))
    for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest")):
        ini = read_ini(snap.text(name))
        if ini.has_section(section) or (name == "pytest.ini" and snap.has(name)):
            return dict(ini.items(section)) if ini.has_section(section) else {}
    return dict(setup_cfg.items("tool:pytest")) if setup_cfg.has_section("tool:pytest") else None


def targets(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> tuple[str, ...]:
    """Return the folders to collect from, unless the repository says so itself."""
    config = pytest_config(snap, pyproject, setup_cfg) or {}
    if config.get("testpaths"):
        return ()
    modules = snap.test_modules()
    folders = tuple(
        name for name in TEST_FOLDERS if any(path.startswith(f"{name}/") for path in modules)
    )
    if folders:
        return folders
    return tuple(name for name in ("test.py", "tests.py") if name in modules)


def tools(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> tuple[bool, bool, bool]:
    tool = pyproject.get("tool", {})
    ruff = "ruff" in tool or snap.has("ruff.toml") or snap.has(".ruff.toml")
    flake8 = snap.has(".flake8") or setup_cfg.has_section("flake8")
    tox = read_ini(snap.text("tox.ini"))
    mypy = "mypy" in tool or snap.has("mypy.ini") or snap.has(".mypy.ini")
    return (
        ruff,
        not ruff and (flake8 or tox.has_section("flake8")),
        mypy or setup_cfg.has_section("mypy"),
    )


def mypy_knows_files(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> bool:
    names = {"files", "packages", "modules"}
    if names & set(pyproject.get("tool", {}).get("mypy", {})):
        return True
    inis = (read_ini(snap.text("mypy.ini")), read_ini(snap.text(".mypy.ini")), setup_cfg)
    return any(ini.has_section("mypy") and names & set(ini.options("mypy")) for ini in inis)
