"""What a project's files say about how it is installed, tested, linted and typed."""

import pytest

from domain.repo_config import RepoConfig
from domain.review import GateSpec
from integrations.gates import locks, node_environment, python_project, selection
from integrations.gates.environments import project_of
from integrations.gates.python_layout import guess_packages, guess_roots, top_packages
from integrations.gates.snapshot import Snapshot
from integrations.gates.versions import allows, from_poetry, numbers


def files(texts: dict[str, str]) -> Snapshot:
    return Snapshot(sha="s", tree="t", paths=tuple(sorted(texts)), texts=texts)


PYTEST = {"tests/test_a.py": "import pytest\n"}
UNITTEST = {"tests/test_a.py": "import unittest\n"}


@pytest.mark.parametrize(
    ("specifier", "version", "allowed"),
    [
        ("", (3, 11, 7), True),
        (">=3.9", (3, 11, 7), True),
        (">=3.12,!=3.14.1", (3, 11, 7), False),
        (">=3.12,!=3.14.1", (3, 14, 1), False),
        (">=3.12,!=3.14.1", (3, 14, 0), True),
        ("<3.12", (3, 11, 7), True),
        (">3.11", (3, 11, 0), False),
        ("==3.11.*", (3, 11, 7), True),
        ("!=3.11.*", (3, 11, 7), False),
        ("~=3.9", (3, 11, 7), True),
        ("~=3.9", (4, 0), False),
        ("==3.11", (3, 11, 0), True),
        ("<=3.11", (3, 11, 7), False),
        ("something odd", (3, 11), True),
    ],
)
def test_specifiers(specifier: str, version: tuple[int, ...], allowed: bool) -> None:
    assert allows(specifier, version) is allowed


@pytest.mark.parametrize(
    ("poetry", "pep440"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0", ">=0.0,<0.1"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("*", ""),
        ("1.19.1", "==1.19.1"),
        (">=1,<3", ">=1,<3"),
        ("^1 || ^2", ""),
    ],
)
def test_poetry_notation(poetry: str, pep440: str) -> None:
    assert from_poetry(poetry) == pep440


def test_reads_the_numeric_part_of_a_version() -> None:
    assert numbers("v1.2rc1") == (1, 2)
    assert numbers("none") == ()


EXTRAS = """\
[project]
name = "x"
requires-python = ">=3.9"
[project.optional-dependencies]
Tests = ["pytest"]
docs = ["sphinx"]
dev = ["tox"]
"""
GROUPS = """\
[project]
name = "my.x"
dependencies = ["idna"]
[dependency-groups]
test = ["pytest>8", "my-x[socks,fast]", {include-group = "cover"}]
cover = ["coverage"]
dev = ["black"]
"""
POETRY = """\
[tool.poetry]
name = "x"
[tool.poetry.dependencies]
python = "^3.9"
[tool.poetry.group.dev.dependencies]
pytest = "^7.2"
local = {path = "../y"}
attrs = [{version = "^22", python = "<3.8"}, {version = "*", extras = ["a"], markers = "m > '1'"}]
"""
SETUP_PY = """\
from setuptools import setup
extra = {"test": ["pytest"], "docs": []}
setup(name="x", python_requires=">=3.8", install_requires=["a"], extras_require=extra)
"""
SETUP_CFG = """\
[metadata]
name = x
[options]
python_requires = >=3.7
install_requires = a
[options.extras_require]
testing = pytest
[flake8]
max-line-length = 100
[mypy]
files = x
"""


def test_reads_extras_for_tests_before_those_for_development() -> None:
    project = python_project.read(files({"pyproject.toml": EXTRAS, **PYTEST}))

    assert project.extras == ("Tests",)
    assert (project.installable, project.requires_python) == (True, ">=3.9")


def test_reads_groups_with_includes_and_turns_own_extras_into_extras() -> None:
    project = python_project.read(files({"pyproject.toml": GROUPS, **PYTEST}))

    assert project.specs == ("pytest>8", "coverage")
    assert project.extras == ("socks", "fast")


def test_a_group_that_includes_itself_ends() -> None:
    text = '[dependency-groups]\ntest = ["a", {include-group = "test"}]\n'

    assert python_project.read(files({"pyproject.toml": text, **PYTEST})).specs == ("a", "pytest")


def test_reads_poetry() -> None:
    project = python_project.read(files({"pyproject.toml": POETRY, **PYTEST}))

    assert project.requires_python == ">=3.9,<4"
    assert project.specs == (
        "pytest>=7.2,<8",
        'attrs>=22,<23 ; python_version < "3.8"',
        "attrs[a] ; m > '1'",
    )


def test_reads_setup_py_without_running_it() -> None:
    project = python_project.read(files({"setup.py": SETUP_PY, **PYTEST}))

    assert (project.extras, project.requires_python) == (("test",), ">=3.8")
    assert project.dependencies
    broken = files({"setup.py": "import os; os.abort(\n", **UNITTEST})
    assert python_project.read(broken).extras == ()


def test_reads_setup_cfg() -> None:
    project = python_project.read(files({"setup.cfg": SETUP_CFG, **PYTEST}))

    assert (project.extras, project.requires_python) == (("testing",), ">=3.7")
    assert (project.flake8, project.mypy, project.mypy_configured) == (True, True, True)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("requirements/testing.txt", "requirements/development.txt"), "requirements/testing.txt"),
        (("requirements-dev.txt",), "requirements-dev.txt"),
        (("dev.requirements.txt",), "dev.requirements.txt"),
        (("requirements_test.txt", "requirements-dev.txt"), "requirements_test.txt"),
    ],
)
def test_falls_back_to_requirements_files(names: tuple[str, ...], found: str) -> None:
    project = python_project.read(files(dict.fromkeys(names, "a\n") | PYTEST))

    assert project.files == (found,)


def test_plain_requirements_serve_a_project_that_declares_nothing_else() -> None:
    both = {"requirements.txt": "a\n", "requirements-dev.txt": "b\n", **PYTEST}
    declared = {**both, "pyproject.toml": '[project]\nname = "x"\ndependencies = ["a"]\n'}

    assert python_project.read(files(both)).files == ("requirements.txt", "requirements-dev.txt")
    assert python_project.read(files(declared)).files == ("requirements-dev.txt",)


def test_falls_back_to_tox() -> None:
    tox = "[testenv]\ndeps =\n    pytest>=6\n    py37: old\n    -rx.txt\n    mock[a]\n"

    assert python_project.read(files({"tox.ini": tox, **PYTEST})).specs == ("pytest>=6", "mock[a]")


@pytest.mark.parametrize(
    ("texts", "runner", "targets"),
    [
        ({}, "", ()),
        (PYTEST, "pytest", ("tests",)),
        (UNITTEST, "unittest", ("tests",)),
        ({"tests/test_a.py": "def test_x(): pass\n"}, "pytest", ("tests",)),
        ({"tests/test_a.py": "x = 1\n"}, "", ("tests",)),
        ({**UNITTEST, "tests/conftest.py": ""}, "pytest", ("tests",)),
        ({**UNITTEST, "tox.ini": "[testenv]\ncommands = pytest\n"}, "pytest", ("tests",)),
        ({**UNITTEST, "pytest.ini": "[pytest]\ntestpaths = tests\n"}, "pytest", ()),
        ({**UNITTEST, "setup.cfg": "[tool:pytest]\naddopts = -q\n"}, "pytest", ("tests",)),
        ({**UNITTEST, "pyproject.toml": "[tool.pytest]\ntestpaths = ['tests']\n"}, "pytest", ()),
        ({"test.py": "import unittest\n", "a.py": ""}, "unittest", ("test.py",)),
        ({"pkg/tests/test_a.py": "import pytest\n"}, "pytest", ()),
    ],
)
def test_tells_pytest_from_unittest(
    texts: dict[str, str], runner: str, targets: tuple[str, ...]
) -> None:
    project = python_project.read(files(texts))

    assert project.runner == runner
    assert project.targets == targets


def test_the_standard_library_alone_needs_no_installation() -> None:
    plain = {"pyproject.toml": '[project]\nname = "x"\n', "x.py": "", **UNITTEST}

    assert python_project.read(files(plain)).plain
    assert not python_project.read(files({**plain, **PYTEST})).plain
    assert not python_project.read(files({**plain, "requirements.txt": "a"})).plain


def test_settings_of_linters_and_changelogs_do_not_change_the_environment() -> None:
    before = files({"pyproject.toml": EXTRAS, **PYTEST})
    settings = EXTRAS + "[tool.ruff]\nline-length = 80\n"
    linted = files({"pyproject.toml": settings, "CHANGES.md": "1.2.3\n", **PYTEST})
    another = files({"pyproject.toml": EXTRAS.replace("pytest", "nose"), **PYTEST})

    assert python_project.inputs(before) == python_project.inputs(linted)
    assert python_project.inputs(before) != python_project.inputs(another)


UV = """\
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "b"
version = "1.0"
[[package]]
name = "b"
version = "2.0"
[[package]]
name = "x"
version = "0.1"
source = { editable = "." }
[[package]]
name = "bad name; rm"
version = "1"
"""


def test_locks_pin_what_has_one_version() -> None:
    assert locks.constraints(files({"uv.lock": UV})) == ("a==1.0",)
    assert locks.constraints(files({"poetry.lock": UV})) == ("a==1.0",)
    assert locks.constraints(files({"uv.lock": "broken ["})) == ()


def test_reads_pipfiles() -> None:
    lock = '{"default": {"a": {"version": "==1.0"}}, "develop": {"b": {"git": "x"}}}'
    snap = files(
        {"Pipfile.lock": lock, "Pipfile": "[packages]\na = '*'\n[dev-packages]\nb = '*'\n"}
    )

    assert locks.constraints(snap) == ("a==1.0",)
    assert locks.pipfile_names(snap) == ("a", "b")
    assert locks.constraints(files({"Pipfile.lock": "{"})) == ()
    assert locks.pipfile_names(files({"Pipfile": "["})) == ()


def test_finds_the_newest_version_in_a_changelog() -> None:
    text = "Changelog\n====\n\nUnreleased (2026.)\n\n1.6.0 (2025-05-15)\n"

    assert python_project.read(files({"CHANGES.md": text, "a.py": ""})).version_hint == "1.6.0"


@pytest.mark.parametrize(
    ("texts", "project"),
    [
        ({"pyproject.toml": '[project]\nname = "x"\n', "package.json": "{}"}, "python"),
        ({"pyproject.toml": "[tool.ruff]\n", "package.json": "{}"}, "node"),
        ({"go.mod": "module x\n", "package.json": "{}", "tool.py": ""}, "go"),
        ({"script.py": ""}, "python"),
        ({"README.md": ""}, "other"),
    ],
)
def test_tells_kinds_of_projects_apart(texts: dict[str, str], project: str) -> None:
    assert project_of(files(texts)) == project


def test_guesses_where_modules_live() -> None:
    paths = ("src/shop/__init__.py", "src/shop/a.py", "tests/test_a.py", "setup.py")
    flat = ("shop/__init__.py", "one.py", "tests/__init__.py", "setup.py", "docs/conf.py")

    assert guess_roots(paths) == ("src",)
    assert guess_packages(paths, ("src",)) == ("shop",)
    assert guess_roots(flat) == ("",)
    assert guess_packages(flat, ("",)) == ("one", "shop")


def test_packages_without_init_are_seen_through() -> None:
    names = ["ns/core/__init__.py", "ns/core/sub/__init__.py", "ns/other/__init__.py", "top.py"]

    assert top_packages(names) == ["ns.core", "ns.other", "top"]


def gates(texts: dict[str, str]) -> dict[str, GateSpec]:
    found = selection.select(files(texts), RepoConfig(), "detected", (), (), ())
    return {gate.name: gate for gate in found.gates}


@pytest.mark.parametrize(
    ("script", "run", "report"),
    [
        ("node --test test/", "test/", "tap"),
        ("vitest run", "--reporter=junit", "junit"),
        ("jest --ci", "--json", "junit"),
        ("mocha", "--reporter tap", "tap"),
        ("tsc && mocha", "npm test --silent", "exit"),
        ("uvu -r esm", "npm test --silent", "exit"),
    ],
)
def test_asks_known_node_runners_for_a_report(script: str, run: str, report: str) -> None:
    tests = gates({"package.json": f'{{"scripts": {{"test": "{script}"}}}}'})["tests"]

    assert run in tests.run
    assert tests.report == report


def test_node_tests_without_a_script() -> None:
    empty = '{"scripts": {"test": "echo Error: no test specified && exit 1"}}'

    assert gates({"package.json": empty, "test/a.js": ""})["tests"].run.startswith("node --test")
    assert gates({"package.json": empty})["tests"].run == ""
    assert node_environment.package(files({"package.json": "[1]"})) == {}
    assert node_environment.package(files({"package.json": "{"})) == {}


def test_go_has_one_command() -> None:
    assert gates({"go.mod": "module x\n"})["tests"].report == "gotest"


def test_mypy_reads_the_package_unless_its_settings_name_files() -> None:
    bare = {"mypy.ini": "[mypy]\n", "src/shop/__init__.py": ""}
    named = {"pyproject.toml": "[tool.mypy]\nfiles = ['a']\n", "src/shop/__init__.py": ""}

    assert gates(bare)["types"].run.endswith("--hide-error-context src/shop")
    assert gates(named)["types"].run.endswith("--hide-error-context")


def test_programs_that_judge_a_release_are_protected() -> None:
    config = RepoConfig.model_validate(
        {
            "services": {
                "web": {
                    "run": ["serve", "{port}"],
                    "strategy": {"smoke": "./smoke.sh --deep"},
                    "environments": {"production": {"port": 8080}},
                }
            }
        }
    )

    found = selection.select(files({"smoke.sh": "", "x": ""}), config, "declared", (), (), ())

    assert "/smoke.sh" in found.protected_paths
    assert "/x" not in found.protected_paths
    assert not any("--deep" in path for path in found.protected_paths)
