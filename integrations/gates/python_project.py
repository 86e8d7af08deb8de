"""What a Python project declares: how it is installed, tested, linted and typed."""

import configparser
import re
from typing import Any, Literal

from domain.globs import matches
from domain.record import Record
from integrations.gates import locks
from integrations.gates.ini_files import read_ini
from integrations.gates.python_dependencies import (
    declared_extras,
    group,
    own_extras,
    plain_name,
    poetry_group,
    requirements_files,
    tox,
)
from integrations.gates.python_tools import mypy_knows_files, targets, test_runner, tools
from integrations.gates.snapshot import CHANGELOGS, Snapshot
from integrations.gates.versions import from_poetry

TESTS = ("test", "tests", "testing", "unittest", "unittests", "pytest")
DEVELOPMENT = ("dev", "develop", "development", "ci", "all-dev")
TYPING = ("typing", "types", "typecheck", "type-check", "mypy")
TEST_FILES = (
    "/*test*requirements*.txt", "/*requirements*test*.txt", "/requirements/*test*.txt",
)  # fmt: skip
DEVELOPMENT_FILES = (
    "/*dev*requirements*.txt", "/*requirements*dev*.txt", "/requirements/*dev*.txt",
)  # fmt: skip
TOOLS_WITHOUT_DEPENDENCIES = (
    "ruff", "mypy", "pytest", "coverage", "black", "isort", "pyright", "pylint", "towncrier",
    "codespell", "interrogate", "commitizen", "bandit", "tox", "nox", "djlint", "cibuildwheel",
)  # fmt: skip


# What a project says about itself that does not change what is installed.
INDIFFERENT = ("targets", "ruff", "flake8", "mypy_configured", "version_hint")


class PythonProject(Record):
    """How to install and judge a Python project, as far as its files say."""

    installable: bool = False
    requires_python: str = ""
    dependencies: bool = False  # whether it needs anything but the standard library
    extras: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()  # requirements besides the project itself
    files: tuple[str, ...] = ()  # requirements files
    extra_specs: tuple[str, ...] = ()  # tools whose absence only skips a gate
    constraints: tuple[str, ...] = ()
    runner: Literal["pytest", "unittest", ""] = ""
    targets: tuple[str, ...] = ()
    ruff: bool = False
    flake8: bool = False
    mypy: bool = False
    mypy_configured: bool = False  # whether its settings say which files it reads
    version_hint: str = ""

    @property
    def plain(self) -> bool:
        """Whether the standard library is enough, so that nothing is installed."""
        wanted = self.dependencies or self.specs or self.files or self.extras
        return not wanted and self.runner != "pytest"


def is_python(snap: Snapshot) -> bool:
    """Say whether a project is one of Python."""
    if any(snap.has(name) for name in ("setup.py", "setup.cfg", "pyproject.toml")):
        return True
    return any(path.endswith(".py") for path in snap.paths)


def read(snap: Snapshot) -> PythonProject:
    """Return what the files of a commit declare."""
    pyproject, setup_cfg = snap.toml("pyproject.toml"), read_ini(snap.text("setup.cfg"))
    runner = test_runner(snap, pyproject, setup_cfg)
    declared = _declared(snap, pyproject, setup_cfg)
    ruff, flake8, mypy = tools(snap, pyproject, setup_cfg)
    specs = declared.specs
    if runner == "pytest" and not _names_pytest(specs):
        specs = (*specs, "pytest")
    extra = group(pyproject, TYPING) if mypy else ()
    return declared.but(
        specs=specs,
        extra_specs=tuple(dict.fromkeys((*extra, *(("mypy",) if mypy else ())))),
        constraints=locks.constraints(snap),
        runner=runner,
        targets=targets(snap, pyproject, setup_cfg),
        ruff=ruff,
        flake8=flake8,
        mypy=mypy,
        mypy_configured=mypy_knows_files(snap, pyproject, setup_cfg),
        version_hint=_version_hint(snap),
    )


def inputs(snap: Snapshot) -> dict[str, object]:
    """Return everything that decides which environment a commit needs."""
    pyproject = snap.toml("pyproject.toml")
    tools = pyproject.get("tool", {})
    kept = {name: tools[name] for name in tools if name not in TOOLS_WITHOUT_DEPENDENCIES}
    names = (
        *("setup.py", "setup.cfg", "tox.ini", *locks.TOML_LOCKS, "Pipfile", "Pipfile.lock"),
        *(path for path in snap.texts if path.endswith((".txt", ".in")) and "requirements" in path),
    )
    return {
        "pyproject": {**pyproject, "tool": kept},
        "files": {name: snap.text(name) for name in names if snap.text(name)},
        "about": read(snap).model_dump(exclude=set(INDIFFERENT)),
    }


def _declared(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> PythonProject:
    """Collect dependencies: extras and groups for tests, else for development, else files."""
    project = pyproject.get("project", {})
    poetry = pyproject.get("tool", {}).get("poetry", {})
    installable = bool(
        snap.has("setup.py")
        or project.get("name")
        or (poetry.get("name") and poetry.get("package-mode", True))
        or setup_cfg.has_option("metadata", "name")
    )
    extras_known = declared_extras(snap, project, poetry, setup_cfg)
    for names in (TESTS, DEVELOPMENT):
        extras = tuple(name for name in extras_known if plain_name(name) in names)
        specs = (*group(pyproject, names), *poetry_group(poetry, names))
        if extras or specs:
            break
    extras, specs = own_extras(str(project.get("name") or poetry.get("name") or ""), extras, specs)
    files: tuple[str, ...] = ()
    if not (extras or specs):
        files = requirements_files(snap, TEST_FILES) or requirements_files(snap, DEVELOPMENT_FILES)
    if not (extras or specs or files):
        specs = locks.pipfile_names(snap) or tox(snap)
    plain = requirements_files(snap, ("/requirements.txt", "/requirements/requirements.txt"))
    if plain and not set(plain) & set(files) and not (installable and _has_runtime(project)):
        files = (*plain[:1], *files)
    return PythonProject(
        installable=installable,
        requires_python=_requires_python(snap, project, poetry, setup_cfg),
        dependencies=bool(
            project.get("dependencies")
            or "dependencies" in project.get("dynamic", ())
            or set(poetry.get("dependencies", {})) - {"python"}
            or setup_cfg.has_option("options", "install_requires")
            or (snap.has("setup.py") and "install_requires" in snap.text("setup.py"))
        ),
        extras=extras,
        specs=tuple(dict.fromkeys(specs)),
        files=files,
    )


def _has_runtime(project: dict[str, Any]) -> bool:
    return "dependencies" in project or "dependencies" in project.get("dynamic", ())


def _requires_python(
    snap: Snapshot,
    project: dict[str, Any],
    poetry: dict[str, Any],
    setup_cfg: configparser.ConfigParser,
) -> str:
    if project.get("requires-python"):
        return str(project["requires-python"])
    python = poetry.get("dependencies", {}).get("python")
    if isinstance(python, str):
        return from_poetry(python)
    if setup_cfg.has_option("options", "python_requires"):
        return setup_cfg.get("options", "python_requires")
    match = re.search(r"python_requires\s*=\s*[\"']([^\"']+)", snap.text("setup.py"))
    return match[1] if match else ""


def _names_pytest(specs: tuple[str, ...]) -> bool:
    return any(re.match(r"pytest\b(?![-_.])", spec.strip()) for spec in specs)


def _version_hint(snap: Snapshot) -> str:
    """Return the newest version that the changelog names, for projects versioned by tags."""
    for path in snap.texts:
        if matches(path, CHANGELOGS):
            match = re.search(
                r"(?<![\d.])v?(\d+\.\d+(?:\.\d+)?)(?![\d.])", snap.text(path)[:20_000]
            )
            if match:
                return match[1]
    return ""
