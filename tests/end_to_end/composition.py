"""docker-compose.yml read strictly, and its services as processes of this machine."""

import asyncio
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
ROOMS = ("activities", "config", "domain", "integrations", "starter", "workers", "workflows")
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def read_compose() -> dict[str, Any]:
    """Return the compose file with the defaults of its variables filled in."""
    text = _VARIABLE.sub(lambda found: found[2], FILE.read_text())
    assert "$" not in text, "a variable without a default"
    _refuse_double_keys(yaml.compose(text))
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def variables() -> dict[str, str]:
    """Return the variables of the compose file with their defaults."""
    return dict(_VARIABLE.findall(FILE.read_text()))


def _refuse_double_keys(node: yaml.Node | None) -> None:
    """Readers of YAML let the last of two equal keys win, without a word."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
    for part in node.value if isinstance(node, yaml.CollectionNode) else ():
        for each in part if isinstance(part, tuple) else (part,):
            _refuse_double_keys(each)


def image(folder: Path) -> Path:
    """Install what the image holds into a new environment: our wheel and requirements/base.txt.

    Nothing is fetched: the locked packages are those that run the tests. Returns its `bin`.
    """
    venv.create(folder / "opt", with_pip=False)
    locked = (ROOT / "requirements/base.txt").read_text()
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", locked, re.MULTILINE):
        _take_over(importlib.metadata.distribution(name), folder / "opt")
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", source / "requirements")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    _pip("--python", str(folder / "opt/bin/python"), "install", "--no-deps", str(wheel))
    return folder / "opt/bin"


def _take_over(package: importlib.metadata.Distribution, prefix: Path) -> None:
    for file in package.files or ():
        source = Path(os.path.normpath(package.locate_file(file)))
        if source.is_file() and source.suffix != ".pyc":
            target = prefix / source.relative_to(sys.prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def _pip(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        check=True, cwd="/", env={**os.environ, "PIP_NO_INDEX": "1"}, timeout=120,
    )  # fmt: skip


class Host:
    """Gives services folders for their volumes, and real addresses for the names of others."""

    def __init__(self, folder: Path, bin_folder: Path, addresses: Mapping[str, str]) -> None:
        self._folder = folder
        self._bin = bin_folder
        self._addresses = addresses
        self._services: dict[str, Any] = read_compose()["services"]

    def folder(self, service: str, inside: str) -> Path:
        """Return what stands for the path `inside` a container of the service."""
        for volume in self._services[service].get("volumes", ()):
            source, target = volume.split(":")[:2]
            if inside == target or inside.startswith(f"{target}/"):
                outside = ROOT / source if source.startswith("./deploy") else self._volume(source)
                return outside / inside[len(target) :].lstrip("/")
        return self._made(self._folder / "containers" / service) / inside.lstrip("/")

    def environment(self, service: str) -> dict[str, str]:
        """Return what the service's process finds in its environment, and nothing of ours."""
        home = self._made(self.folder(service, "/home/slipway"))
        self._made(self.folder(service, "/tmp"))
        path = f"{self._bin}:/usr/local/bin:/usr/bin:/bin"
        given = self._services[service].get("environment", {})
        translated = {name: self._here(service, str(value)) for name, value in given.items()}
        return {"PATH": path, "HOME": str(home), "PYTHONUNBUFFERED": "1", **translated}

    async def begin(self, service: str) -> Process:
        """Begin the command of a service; what it says is kept, see `said`."""
        with self._log(service).open("wb") as log:
            return await self._start(service, self._services[service]["command"], log, STDOUT)

    def said(self, service: str) -> str:
        """Return what a service has said since it began."""
        return self._log(service).read_text()

    def seen_alive(self, service: str, process: Process) -> bool:
        """Whether a service that began has shown its first sign of life."""
        assert process.returncode is None, self.said(service)
        return self.folder(service, "/tmp/slipway-pulse").exists()

    async def run(self, service: str, *words: str) -> tuple[int, str, str]:
        """Run a command in a service's place to its end; returns exit code, output and errors."""
        process = await self._start(service, words, PIPE, PIPE)
        try:
            out, err = await asyncio.wait_for(process.communicate(), 240)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out.decode(), err.decode()

    async def _start(
        self, service: str, words: Sequence[str], out: int | BinaryIO, err: int
    ) -> Process:
        environment = self.environment(service)
        words = [self._here(service, word) for word in words]
        program = shutil.which(words[0], path=environment["PATH"])
        assert program, words
        return await asyncio.create_subprocess_exec(
            program, *words[1:], env=environment, cwd=environment["HOME"], stdout=out, stderr=err
        )

    def _log(self, service: str) -> Path:
        return self._made(self._folder / "logs") / f"{service}.log"

    async def healthy(self, service: str) -> bool:
        """Whether the health check of the service says so."""
        kind, *words = self._services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        code, _, _ = await self.run(service, *words)
        return code == 0

    def _here(self, service: str, value: str) -> str:
        for name, address in self._addresses.items():
            value = value.replace(name, address)
        if value.startswith(("/var/", "/tmp/", "/repositories", "/deploy")):
            return str(self.folder(service, value))
        return value

    def _volume(self, name: str) -> Path:
        return self._made(self._folder / "volumes" / Path(name).name)

    def _made(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder
