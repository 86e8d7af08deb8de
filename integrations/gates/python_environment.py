"""Environments of Python projects: dependencies once, the project itself from each checkout."""

import asyncio
import zipfile
from pathlib import Path
from typing import Any

from integrations.gates import python_project
from integrations.gates.environment import SYSTEM_PATH, Environment
from integrations.gates.interpreters import Interpreter, Interpreters
from integrations.gates.python_checkout import lay_venv
from integrations.gates.python_harvest import Harvest
from integrations.gates.python_layout import guess_packages, guess_roots
from integrations.gates.python_project import PythonProject
from integrations.gates.python_versions import pretended
from integrations.gates.snapshot import Snapshot
from integrations.gates.workshop import SetupFailed, Workshop, remove

SEED = "slipway_pip.pth"
PIP_NAMES = ("pip", "pip3")
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
        self._site = self._venv / "lib" / interpreter.name / "site-packages"
        self._notes: list[str] = []
        self._version = project.version_hint or "0.0.0"
        self._env = {
            "PATH": f"{self._venv}/bin:{SYSTEM_PATH}",
            "VIRTUAL_ENV": str(self._venv),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            **pretended(self._version),
        }

    async def build(self, declared: tuple[tuple[str, bool], ...]) -> Environment:
        plain = not declared and self._project.plain
        await self._make_venv(with_pip=not plain)
        if declared:
            for line, network in declared:
                await self._run(line, network=network)
        elif not plain:
            await self._install()
        return await asyncio.to_thread(self._describe)

    async def _make_venv(self, *, with_pip: bool) -> None:
        """Make a virtual environment that borrows the interpreter's own pip while it is built.

        That is seconds faster than installing one. Where a distribution has taken its archive
        out, the interpreter makes the environment as it sees fit.
        """
        seed = self._seed()
        if with_pip and seed is None:
            await self._run(f"{self._interpreter.path} -m venv ../venv", network=False)
            return
        lay_venv(self._venv, self._interpreter.path, self._interpreter.prefix)
        if with_pip and seed:
            borrowed = self._shop.folder / "pip"
            await asyncio.to_thread(zipfile.ZipFile(seed).extractall, borrowed)
            (self._site / SEED).write_text(f"{borrowed}\n")
            for name in PIP_NAMES:
                script = self._venv / "bin" / name
                script.write_text(f'#!/bin/sh\nexec {self._venv}/bin/python -m pip "$@"\n')
                script.chmod(0o755)

    def _seed(self) -> Path | None:
        folder = Path(self._interpreter.prefix, "lib", self._interpreter.name)
        return next(folder.glob("ensurepip/_bundled/pip-*.whl"), None)

    def _drop_seed(self) -> None:
        """Take our pip away: what a project needs it has installed itself."""
        if (self._site / SEED).exists():
            (self._site / SEED).unlink()
            remove(self._shop.folder / "pip")
            for name in PIP_NAMES:
                script = self._venv / "bin" / name
                if script.is_file() and script.read_bytes().startswith(b"#!/bin/sh\nexec /"):
                    script.unlink()

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
            f"-c user.email=slipway@localhost commit -q -m base && git tag v{self._version}",
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
        self._drop_seed()
        site = self._site
        harvest = Harvest(site, self._shop, frozenset(self._snap.paths))
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


def _quoted(words: tuple[str, ...]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


def facts(snap: Snapshot) -> dict[str, Any]:
    """Return what decides which environment a commit needs, native sources included."""
    native = tuple(
        p for p in snap.paths if p.endswith((".c", ".pyx", ".cpp", ".cc", ".rs", ".pxd"))
    )
    wanted: dict[str, Any] = dict(python_project.inputs(snap))
    if native and snap.has("setup.py"):
        wanted["native"] = snap.tree
    return wanted
