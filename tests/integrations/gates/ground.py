"""A small repository, its store, and real gates over it; no gate here needs a network."""

import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from config.repo import read_repo_config
from domain.idea import Acceptance
from domain.judging import RunGate, SelectGates
from domain.repository import Repository
from domain.review import GateResult, GateSet
from integrations.artifacts import ArtifactFiles
from integrations.gates.ports import Commands
from integrations.gates.runner import Gates
from integrations.git import Git
from integrations.process import Processes
from tests.integrations import git_sandbox
from tests.processes import KEEPER

PROCESSES = Processes(sys.executable, KEEPER, "limits")  # probes the sandbox once
RUFF = str(Path(sysconfig.get_path("scripts"), "ruff"))

TESTS = """\
import unittest

from shop.price import total


class Totals(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(total([1, 2]), 3)

    def test_is_zero_for_nothing(self):
        self.assertEqual(total([]), 0)

    def test_takes_many(self):
        self.assertEqual(total([1] * 10), 10)
"""

SHOP = {
    "shop/__init__.py": "",
    "shop/price.py": "def total(prices):\n    return sum(prices)\n",
    "tests/__init__.py": "",
    "tests/test_price.py": TESTS,
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n',
}


class Ground:
    """One repository under judgement; `judge` measures a change of it by one gate."""

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, str],
        config_file: str = "",
        commands: Callable[[Processes], Commands] = lambda processes: processes,
    ) -> None:
        self.work = git_sandbox.make(folder / "work", dict(files))
        self.folder = folder
        self.used = commands(PROCESSES)
        self.git = Git(folder / "objects")
        self.artifacts = ArtifactFiles(folder / "artifacts")
        self.repository = Repository(
            id="shop-00000000",
            name="shop",
            location=str(self.work),
            base="refs/heads/main",
            config_file=config_file,
        )
        (folder / "objects").mkdir()
        self.progress: list[str] = []
        self.base = ""
        self.set = GateSet(project="other", gates=())
        self.gates = self.open()

    def open(self) -> Gates:
        """Return gates that know nothing but what is on disk."""
        return Gates(
            self.git,
            self.used,
            self.artifacts,
            cache=self.folder / "cache",
            workspaces=self.folder / "workspaces",
            ruff=RUFF,
            read_config=read_repo_config,
        )

    async def select(
        self, validation: tuple[str, ...] = (), acceptance: tuple[Acceptance, ...] = ()
    ) -> GateSet:
        self.base = await self.git.import_base(self.repository)
        self.set = await self.gates.select(
            SelectGates(
                repository=self.repository,
                base_sha=self.base,
                validation=validation,
                acceptance=acceptance,
            )
        )
        return self.set

    async def change(self, files: Mapping[str, str | None]) -> str:
        """Return a commit of the store with these files; None deletes one."""
        for name, text in files.items():
            if text is None:
                (self.work / name).unlink()
            else:
                git_sandbox.write(self.work, {name: text})
        git_sandbox.git(self.work, "add", "-A")
        git_sandbox.git(self.work, "commit", "-q", "--allow-empty", "-m", "change")
        return await self.git.import_base(self.repository)

    async def judge(
        self, name: str, files: Mapping[str, str | None] | None = None, **order: object
    ) -> GateResult:
        """Judge a change of the base by the gate of this name."""
        if not self.base:
            await self.select()
        sha = await self.change(files) if files is not None else self.base
        gate = next(gate for gate in self.set.gates if gate.name == name)
        return await self.gates.judge(self.order(gate=gate, sha=sha, **order), self.progress.append)

    def order(self, **fields: object) -> RunGate:
        return RunGate.model_validate({
            "key": "idea",
            "round": 1,
            "where": "task",
            "repository": self.repository,
            "base_sha": self.base,
            "gate_set": self.set.digest,
            "gate_set_ref": self.set.ref,
            **fields,
        })  # fmt: skip

    def left(self) -> list[Path]:
        """Return what the gates left in their workspaces."""
        return list((self.folder / "workspaces" / "gates").glob("*"))
