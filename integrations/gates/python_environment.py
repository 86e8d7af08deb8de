"""Environments of Python projects: dependencies once, the project itself from each checkout."""

import asyncio
import configparser
import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

from integrations.gates import python_project
from integrations.gates.environment import SYSTEM_PATH, Distribution, Entered, Environment, Room
from integrations.gates.interpreters import Interpreter, Interpreters
from integrations.gates.python_project import PythonProject
from integrations.gates.snapshot import Snapshot
from integrations.gates.workshop import SetupFailed, Workshop

WITNESS = Path(__file__).parent / "inside" / "witness.py"
SKIPPED_PRODUCTS = ("__pycache__", ".git", "build", ".eggs", "node_modules")
NO_METADATA = shutil.ignore_patterns("RECORD", "direct_url.json", "INSTALLER", "REQUESTED")
TOOLS = ("pytest", "mypy", "ruff", "flake8")


async def build(
    shop: Workshop,
    snap: Snapshot,
    interpreters: Interpreters,
    declared: tuple[tuple[str, bool], ...] = (),
) -> Environment:
    """Install what a commit needs; `declared` (line, network) replaces what we would do."""
    project = python_project.read(snap)
    interpreter = await interpreters.find(project.requires_python)
    if interpreter is None:
        known = ", ".join(await interpreters.versions())
        raise SetupFailed(f"needs Python {project.requires_python}; this host has {known}")
    builder = _Builder(shop, snap, project, interpreter)
    return await builder.build(declared)


class _Builder:
    """One build; the steps share the same few things."""

    def __init__(
        self, shop: Workshop, snap: Snapshot, project: PythonProject, interpreter: Interpreter
    ) -> None:
        self._shop = shop
        self._snap = snap
        self._project = project
        self._interpreter = interpreter
        self._venv = shop.folder / "venv"
        self._notes: list[str] = []
        self._env = {
            "PATH": f"{self._venv}/bin:{SYSTEM_PATH}",
            "VIRTUAL_ENV": str(self._venv),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **_versions(project.version_hint or "0.0.0"),
        }

    async def build(self, declared: tuple[tuple[str, bool], ...]) -> Environment:
        plain = not declared and self._project.plain
        if plain:
            await self._venv_without_pip()
        else:
            await self._run(f"{self._interpreter.path} -m venv ../venv", network=False)
        if declared:
            for line, network in declared:
                await self._run(line, network=network)
        elif not plain:
            await self._install()
        return await asyncio.to_thread(self._describe)

    async def _venv_without_pip(self) -> None:
        lay_venv(self._venv, self._interpreter.path, self._interpreter.prefix)

    async def _run(self, line: str, *, network: bool) -> None:
        await self._shop.run(
            line, network=network, env=self._env, readable=self._interpreter.readable
        )

    async def _install(self) -> None:
        (self._shop.folder / "constraints.txt").write_text("\n".join(self._project.constraints))
        constrained = " -c ../constraints.txt" if self._project.constraints else ""
        await self._version_control()
        try:
            await self._pip(self._wanted() + constrained)
        except SetupFailed:
            if not constrained:
                raise
            self._notes.append("the lock file does not fit this interpreter; it was not used")
            await self._pip(self._wanted())
        for spec in self._project.extra_specs:
            try:
                await self._pip(_quoted((spec,)) + constrained)
            except SetupFailed:
                self._notes.append(f"{spec} could not be installed")

    async def _version_control(self) -> None:
        """Give build tools that ask git for the list of files a repository of their own."""
        text = self._snap.text("pyproject.toml") + self._snap.text("setup.py")
        if not any(word in text for word in ("scm", "vcs", "versioneer", "pbr", "dunamai")):
            return
        await self._run(
            "git init -q . && git add -A && git -c user.name=slipway "
            f"-c user.email=slipway@localhost commit -q -m base && git tag v{_version(self._env)}",
            network=False,
        )

    async def _pip(self, words: str) -> None:
        await self._run(
            f"python -m pip install --no-warn-script-location --no-cache-dir {words}", network=True
        )

    def _wanted(self) -> str:
        words = [_quoted(self._project.specs)] if self._project.specs else []
        words += [f"-r {_quoted((file,))}" for file in self._project.files]
        if self._project.installable:
            extras = f"[{','.join(self._project.extras)}]" if self._project.extras else ""
            words.append(f"'.{extras}'")
        return " ".join(words)

    def _describe(self) -> Environment:
        site = self._venv / "lib" / self._interpreter.name / "site-packages"
        harvest = _Harvest(site, self._shop, frozenset(self._snap.paths))
        harvest.take()
        roots = harvest.roots or guess_roots(self._snap.paths)
        packages = harvest.packages or guess_packages(self._snap.paths, roots)
        return Environment(
            project="python",
            digest="",
            folder=str(self._shop.folder),
            python=self._interpreter.path,
            python_prefix=self._interpreter.prefix,
            python_name=self._interpreter.name,
            roots=roots,
            packages=packages,
            distributions=tuple(harvest.distributions),
            tools=tuple(name for name in TOOLS if any(site.glob(f"{name}-*.dist-info"))),
            notes=tuple(self._notes),
        )


class _Harvest:
    """Takes the project itself out of the environment, and keeps what its build made.

    Metadata (entry points, version) and generated files (a version module, compiled extensions)
    are kept to be laid into each checkout; everything else will come from the checkout.
    """

    def __init__(self, site: Path, shop: Workshop, paths: frozenset[str]) -> None:
        self._site = site
        self._shop = shop
        self._paths = paths
        self._kept = shop.folder / "project"
        self.roots: tuple[str, ...] = ()
        self.packages: tuple[str, ...] = ()
        self.distributions: list[Distribution] = []

    def take(self) -> None:
        for info in sorted(self._site.glob("*.dist-info")):
            if self._is_local(info):
                self._move(info)
        self._collect_products()

    def _is_local(self, info: Path) -> bool:
        try:
            origin = json.loads((info / "direct_url.json").read_text("utf-8"))
        except (OSError, ValueError):
            return False
        url = str(origin.get("url", "")) if isinstance(origin, dict) else ""
        return url.startswith("file:") and "dir_info" in origin

    def _move(self, info: Path) -> None:
        files = _record(info)
        modules = [name for name in files if not name.startswith("..") and info.name not in name]
        root = self._root(modules)
        if root is not None:
            self.roots = tuple(dict.fromkeys((*self.roots, root)))
            self.packages = tuple(dict.fromkeys((*self.packages, *top_packages(modules))))
            self._keep_generated(modules, root)
        self.distributions.append(Distribution(info=info.name, scripts=_scripts(info)))
        self._kept.mkdir(exist_ok=True)
        shutil.copytree(info, self._kept / info.name, ignore=NO_METADATA)
        for name in files:
            _remove(self._site / name)
        shutil.rmtree(info, ignore_errors=True)

    def _root(self, modules: list[str]) -> str | None:
        """Return the folder of the checkout that the installed modules were taken from."""
        votes: dict[str, int] = {}
        for name in modules:
            if not name.endswith(".py"):
                continue
            for path in self._paths:
                if path == name or path.endswith("/" + name):
                    prefix = path[: len(path) - len(name)].rstrip("/")
                    votes[prefix] = votes.get(prefix, 0) + 1
        if not votes:
            return None
        return max(votes, key=lambda prefix: (votes[prefix], -len(prefix)))

    def _keep_generated(self, modules: list[str], root: str) -> None:
        for name in modules:
            path = f"{root}/{name}" if root else name
            source = self._site / name
            made = path not in self._paths and not name.endswith((".pyc", ".pth"))
            if made and source.is_file() and not source.is_symlink():
                target = self._kept / "files" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def _collect_products(self) -> None:
        """Keep what a build wrote into the tree itself (editable installs do)."""
        for folder, names, files in os.walk(self._shop.tree):
            names[:] = [n for n in names if n not in SKIPPED_PRODUCTS and "egg-info" not in n]
            for name in files:
                source = Path(folder, name)
                path = source.relative_to(self._shop.tree).as_posix()
                target = self._kept / "files" / path
                if path in self._paths or source.is_symlink() or target.exists():
                    continue
                if name.endswith((".py", ".so", ".pyd", ".json", ".txt", ".dat")):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)


def enter(environment: Environment, room: Room) -> Entered:
    """Give a checkout an interpreter that sees the dependencies and, first, the checkout."""
    lay_venv(room.venv, environment.python, environment.python_prefix)
    site = room.venv / "lib" / environment.python_name / "site-packages"
    roots = [str(room.tree / root) for root in environment.roots]
    shared = [f"import site; site.addsitedir({str(environment.site)!r})"]
    (site / "a_slipway.pth").write_text("\n".join((*roots, *shared, "")))
    (room.path / "witness").mkdir(exist_ok=True)
    if environment.packages:
        shutil.copyfile(WITNESS, site / "slipway_witness.py")
        names = ",".join(environment.packages)
        line = f"import slipway_witness; slipway_witness.watch({names!r})\n"
        (site / "b_slipway.pth").write_text(line)
    kept = Path(environment.folder, "project")
    for distribution in environment.distributions:
        shutil.copytree(kept / distribution.info, site / distribution.info)
    _lay_files(kept / "files", room.tree)
    _lay_scripts(environment, room)
    return Entered(
        env={
            "PATH": f"{room.venv}/bin:{SYSTEM_PATH}",
            "VIRTUAL_ENV": str(room.venv),
            "PYTHONHASHSEED": "0",
            **_versions("0.0.0"),
        },
        readable=tuple(dict.fromkeys((environment.folder, *_prefix(environment)))),
    )


def _prefix(environment: Environment) -> tuple[str, ...]:
    prefix = environment.python_prefix
    return () if prefix.startswith("/usr") else (prefix,)


def witnessed(room: Room) -> tuple[bool, str]:
    """Return whether a module was seen, and the first that did not come from the checkout."""
    seen = False
    for file in sorted((room.path / "witness").glob("*")):
        for line in file.read_text("utf-8", "replace").splitlines():
            where, _, rest = line.partition("\t")
            seen = True
            if where == "out":
                name, _, path = rest.partition("\t")
                return True, f"module {name} was loaded from {Path(path).name} outside the checkout"
    return seen, ""


def lay_venv(folder: Path, python: str, prefix: str) -> None:
    """Lay a virtual environment without pip (PEP 405): a configuration file and links."""
    name = Path(python).name
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / name / "site-packages").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(
        f"home = {Path(prefix, 'bin')}\ninclude-system-site-packages = false\n"
    )
    for link in ("python", "python3", name):
        (folder / "bin" / link).symlink_to(python)


def guess_roots(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return where modules of a project that is not installed live."""
    if any(path.startswith("src/") and path.endswith(".py") for path in paths):
        return ("src",) if "src/__init__.py" not in paths else ("",)
    return ("",)


def guess_packages(paths: tuple[str, ...], roots: tuple[str, ...]) -> tuple[str, ...]:
    """Return the packages and modules right below the roots, tests left out."""
    found = []
    for root in roots:
        prefix = f"{root}/" if root else ""
        inside = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
        found += top_packages([name for name in inside if name.count("/") <= 1])
    return tuple(
        name for name in dict.fromkeys(found)
        if not name.startswith(("test", "setup", "conftest", "doc", "example", "noxfile"))
    )  # fmt: skip


def top_packages(files: list[str]) -> list[str]:
    """Return the outermost packages (with `__init__.py`) and modules, dotted."""
    inits = {name.rpartition("/")[0] for name in files if name.endswith("/__init__.py")}
    tops = {folder for folder in inits if not any(_above(folder, other) for other in inits)}
    modules = {name[:-3] for name in files if name.endswith(".py") and "/" not in name}
    names = sorted((tops | modules) - {"__init__", "conftest", "setup"})
    return [name.replace("/", ".") for name in names if name.replace("/", "").isidentifier()]


def _above(folder: str, other: str) -> bool:
    return folder != other and folder.startswith(other + "/")


def _versions(version: str) -> dict[str, str]:
    """Tell tools that derive a version from tags which one to take."""
    names = ("SETUPTOOLS_SCM_PRETEND_VERSION", "HATCH_VCS_PRETEND_VERSION", "PBR_VERSION",
             "POETRY_DYNAMIC_VERSIONING_BYPASS", "PDM_BUILD_SCM_VERSION")  # fmt: skip
    return dict.fromkeys(names, version)


def _version(env: dict[str, str]) -> str:
    return env["PBR_VERSION"]


def _quoted(words: tuple[str, ...]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


def _record(info: Path) -> list[str]:
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as file:
            return [row[0] for row in csv.reader(file) if row]
    except (OSError, UnicodeError, csv.Error):
        return []


def _scripts(info: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read(info / "entry_points.txt", encoding="utf-8")
    except (configparser.Error, UnicodeError):
        return {}
    return dict(parser.items("console_scripts")) if parser.has_section("console_scripts") else {}


def _remove(path: Path) -> None:
    if path.is_file() or path.is_symlink():
        path.unlink()
        for folder in path.parents:
            if folder.name == "site-packages" or any(folder.iterdir()):
                break
            folder.rmdir()


def _lay_files(source: Path, tree: Path) -> None:
    for path in source.rglob("*"):
        target = tree / path.relative_to(source)
        inside = target.resolve().is_relative_to(tree.resolve())
        if path.is_file() and inside and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


# A script that starts with the interpreter beside it, wherever that is: to the shell the second
# line is a command, to Python it is a string.
_HEAD = "#!/bin/sh\n'''exec' \"$(dirname \"$0\")/python\" \"$0\" \"$@\"\n' '''\n"


def _lay_scripts(environment: Environment, room: Room) -> None:
    target = room.venv / "bin"
    for path in (Path(environment.folder) / "venv" / "bin").iterdir():
        if not path.is_file() or path.is_symlink() or (target / path.name).exists():
            continue
        with path.open("rb") as file:
            first = file.readline(400)
            body = file.read()
        if not first.startswith(b"#!"):
            (target / path.name).symlink_to(path)
        elif b"python" in first:
            _write_script(target / path.name, _HEAD.encode() + body)
        elif body.startswith(b"'''exec'"):
            _write_script(target / path.name, _HEAD.encode() + body.partition(b"'''\n")[2])
    for distribution in environment.distributions:
        for name, entry in distribution.scripts.items():
            if "/" not in name:
                _write_script(target / name, _HEAD.encode() + _start(entry).encode())


def _start(entry: str) -> str:
    module, _, attribute = entry.partition("[")[0].strip().partition(":")
    first = attribute.partition(".")[0]
    return f"import sys\nfrom {module} import {first}\nsys.exit({attribute}())\n"


def _write_script(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o755)


def facts(snap: Snapshot) -> dict[str, Any]:
    """Return what decides which environment a commit needs, native sources included."""
    native = tuple(
        p for p in snap.paths if p.endswith((".c", ".pyx", ".cpp", ".cc", ".rs", ".pxd"))
    )
    wanted: dict[str, Any] = dict(python_project.inputs(snap))
    if native and snap.has("setup.py"):
        wanted["native"] = snap.tree
    return wanted
