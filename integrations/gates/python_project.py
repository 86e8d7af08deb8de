"""What a Python project declares: how it is installed, tested, linted and typed."""

import ast
import configparser
import re
from typing import Any, Literal

from domain.globs import matches
from domain.record import Record
from integrations.gates import locks
from integrations.gates.snapshot import Snapshot
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
TEST_FOLDERS = ("tests", "test", "testing")
TOOLS_WITHOUT_DEPENDENCIES = (
    "ruff", "mypy", "pytest", "coverage", "black", "isort", "pyright", "pylint", "towncrier",
    "codespell", "interrogate", "commitizen", "bandit", "tox", "nox", "djlint", "cibuildwheel",
)  # fmt: skip


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
    pyproject, setup_cfg = snap.toml("pyproject.toml"), _ini(snap.text("setup.cfg"))
    runner = _runner(snap, pyproject, setup_cfg)
    declared = _declared(snap, pyproject, setup_cfg)
    ruff, flake8, mypy = _tools(snap, pyproject, setup_cfg)
    specs = declared.specs
    if runner == "pytest" and not _names_pytest(specs):
        specs = (*specs, "pytest")
    extra = _group(pyproject, TYPING) if mypy else ()
    return declared.but(
        specs=specs,
        extra_specs=tuple(dict.fromkeys((*extra, *(("mypy",) if mypy else ())))),
        constraints=locks.constraints(snap),
        runner=runner,
        targets=_targets(snap, pyproject, setup_cfg),
        ruff=ruff,
        flake8=flake8,
        mypy=mypy,
        mypy_configured=_mypy_knows_files(snap, pyproject, setup_cfg),
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
        "project": read(snap).but(targets=()).model_dump(),
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
    extras_known = _extras(snap, project, poetry, setup_cfg)
    for names in (TESTS, DEVELOPMENT):
        extras = tuple(name for name in extras_known if _plain_name(name) in names)
        specs = (*_group(pyproject, names), *_poetry_group(poetry, names))
        if extras or specs:
            break
    extras, specs = _own_extras(str(project.get("name") or poetry.get("name") or ""), extras, specs)
    files: tuple[str, ...] = ()
    if not (extras or specs):
        files = _files(snap, TEST_FILES) or _files(snap, DEVELOPMENT_FILES)
    if not (extras or specs or files):
        specs = locks.pipfile_names(snap) or _tox(snap)
    plain = _files(snap, ("/requirements.txt", "/requirements/requirements.txt"))
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


def _own_extras(
    name: str, extras: tuple[str, ...], specs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Turn `project[extra]` among the requirements of a project into an extra of its own."""
    kept = []
    for spec in specs:
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", spec)
        if match and name and _plain_name(match[1]) == _plain_name(name):
            extras = (*extras, *(word.strip() for word in (match[2] or "").split(",") if word))
        else:
            kept.append(spec)
    return tuple(dict.fromkeys(extras)), tuple(kept)


def _has_runtime(project: dict[str, Any]) -> bool:
    return "dependencies" in project or "dependencies" in project.get("dynamic", ())


def _extras(
    snap: Snapshot,
    project: dict[str, Any],
    poetry: dict[str, Any],
    setup_cfg: configparser.ConfigParser,
) -> tuple[str, ...]:
    found = [*project.get("optional-dependencies", {}), *poetry.get("extras", {})]
    if setup_cfg.has_section("options.extras_require"):
        found += setup_cfg.options("options.extras_require")
    return tuple(dict.fromkeys((*found, *_setup_extras(snap.text("setup.py")))))


def _setup_extras(text: str) -> tuple[str, ...]:
    """Return the literal keys of `extras_require` in a setup.py, without running it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "extras_require":
            value = named.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            if isinstance(value, ast.Dict):
                keys = (key.value for key in value.keys if isinstance(key, ast.Constant))
                return tuple(key for key in keys if isinstance(key, str))
    return ()


def _group(pyproject: dict[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the requirements of PEP 735 groups with one of these names, includes resolved."""
    groups = pyproject.get("dependency-groups", {})
    found: list[str] = []
    for name in groups:
        if _plain_name(name) in names:
            found += _resolved(groups, name, ())
    return tuple(found)


def _resolved(groups: dict[str, Any], name: str, seen: tuple[str, ...]) -> list[str]:
    by_name = {_plain_name(key): key for key in groups}
    key = by_name.get(_plain_name(name))
    if key is None or key in seen or not isinstance(groups[key], list):
        return []
    found: list[str] = []
    for entry in groups[key]:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            found += _resolved(groups, entry["include-group"], (*seen, key))
    return found


def _poetry_group(poetry: dict[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    tables = [
        group.get("dependencies", {})
        for name, group in poetry.get("group", {}).items()
        if _plain_name(name) in names
    ]
    if "dev" in names:
        tables.append(poetry.get("dev-dependencies", {}))
    return tuple(
        spec for table in tables for name, value in table.items() for spec in _poetry(name, value)
    )


def _poetry(name: str, value: Any) -> list[str]:
    """Translate one Poetry dependency; sources other than the index are left out."""
    if isinstance(value, list):
        return [spec for entry in value for spec in _poetry(name, entry)]
    if isinstance(value, str):
        return [name + from_poetry(value)]
    if not isinstance(value, dict) or {"git", "path", "url"} & set(value):
        return []
    extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
    markers = [value["markers"]] if value.get("markers") else []
    python = from_poetry(str(value.get("python", "")))
    for clause in filter(None, python.split(",")):
        sign = re.match(r"[<>=!~]+", clause)
        markers.append(f'python_version {sign[0]} "{clause[sign.end() :]}"' if sign else "")
    marker = " ; " + " and ".join(filter(None, markers)) if any(markers) else ""
    return [name + extras + from_poetry(str(value.get("version", "*"))) + marker]


def _files(snap: Snapshot, patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in snap.paths if matches(path, patterns))[:3]


def _tox(snap: Snapshot) -> tuple[str, ...]:
    """Return the plain dependencies of `[testenv]` in a tox.ini."""
    ini = _ini(snap.text("tox.ini"))
    lines = (
        ini.get("testenv", "deps", fallback="").splitlines() if ini.has_section("testenv") else []
    )
    return tuple(
        line.strip()
        for line in lines
        if re.fullmatch(r"\s*[A-Za-z][\w.-]*(\[[\w,-]+\])?\s*([<>=!~][^:{]*)?", line)
    )


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


def _runner(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> Literal["pytest", "unittest", ""]:
    modules = snap.test_modules()
    if not modules:
        return ""
    if _pytest_config(snap, pyproject, setup_cfg) is not None:
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


def _pytest_config(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> dict[str, Any] | None:
    """Return the repository's pytest settings; None if it has none."""
    table = pyproject.get("tool", {}).get("pytest")
    if table is not None:
        return dict(table.get("ini_options", table))
    for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest")):
        ini = _ini(snap.text(name))
        if ini.has_section(section) or (name == "pytest.ini" and snap.has(name)):
            return dict(ini.items(section)) if ini.has_section(section) else {}
    return dict(setup_cfg.items("tool:pytest")) if setup_cfg.has_section("tool:pytest") else None


def _targets(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> tuple[str, ...]:
    """Return the folders to collect from, unless the repository says so itself."""
    config = _pytest_config(snap, pyproject, setup_cfg) or {}
    if config.get("testpaths"):
        return ()
    modules = snap.test_modules()
    folders = tuple(
        name for name in TEST_FOLDERS if any(path.startswith(f"{name}/") for path in modules)
    )
    if folders:
        return folders
    return tuple(name for name in ("test.py", "tests.py") if name in modules)


def _tools(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> tuple[bool, bool, bool]:
    tool = pyproject.get("tool", {})
    ruff = "ruff" in tool or snap.has("ruff.toml") or snap.has(".ruff.toml")
    flake8 = snap.has(".flake8") or setup_cfg.has_section("flake8")
    tox = _ini(snap.text("tox.ini"))
    mypy = "mypy" in tool or snap.has("mypy.ini") or snap.has(".mypy.ini")
    return (
        ruff,
        not ruff and (flake8 or tox.has_section("flake8")),
        mypy or setup_cfg.has_section("mypy"),
    )


def _mypy_knows_files(
    snap: Snapshot, pyproject: dict[str, Any], setup_cfg: configparser.ConfigParser
) -> bool:
    names = {"files", "packages", "modules"}
    if names & set(pyproject.get("tool", {}).get("mypy", {})):
        return True
    inis = (_ini(snap.text("mypy.ini")), _ini(snap.text(".mypy.ini")), setup_cfg)
    return any(ini.has_section("mypy") and names & set(ini.options("mypy")) for ini in inis)


def _names_pytest(specs: tuple[str, ...]) -> bool:
    return any(re.match(r"pytest\b(?![-_.])", spec.strip()) for spec in specs)


def _version_hint(snap: Snapshot) -> str:
    """Return the newest version that the changelog names, for projects versioned by tags."""
    for path in snap.texts:
        if matches(path, ("/CHANGES*", "/CHANGELOG*", "/HISTORY*", "/NEWS*")):
            match = re.search(
                r"(?<![\d.])v?(\d+\.\d+(?:\.\d+)?)(?![\d.])", snap.text(path)[:20_000]
            )
            if match:
                return match[1]
    return ""


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ini(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except (configparser.Error, UnicodeError):
        return configparser.ConfigParser(interpolation=None)
    return parser
