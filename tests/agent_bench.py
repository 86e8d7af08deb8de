"""A real attempt on throw-away things: store, workspaces, sandbox, artifacts, one repository."""

import shlex
import sys
from pathlib import Path
from typing import Any

from activities.agents import Agents, AttemptResult, ImplementTask
from domain.agent import Backend
from domain.plan import AgentChoice, Plan, PlanTask, TaskLimits
from domain.repository import Repository
from integrations.artifacts import ArtifactFiles
from integrations.builtin_agent import BuiltinAgent
from integrations.command_agent import CommandAgent
from integrations.git import Git
from integrations.process import Processes
from integrations.workspaces import Workspaces
from tests.integrations import git_sandbox
from tests.processes import KEEPER

FILES = {
    "src/app.py": "import os\n\n\ndef one():\n    return 1\n",
    "src/lib.py": "def two():\n    return 2\n",
    "tests/test_app.py": "def test_one():\n    assert True\n",
    ".gitignore": "*.pyc\nbuild/\n",
}
REPOSITORY = "sample-01234567"


class Bench:
    """Attempts of one task against one repository; `base` is its only commit."""

    def __init__(self, folder: Path, bwrap: str = "bwrap") -> None:
        self.folder = folder
        self.source = git_sandbox.make(folder / "source", FILES)
        self.git = Git(folder / "objects")
        self.workspaces = Workspaces(folder / "workspaces", self.git)
        self.processes = Processes(sys.executable, KEEPER, "limits", bwrap)
        self.artifacts = ArtifactFiles(folder / "artifacts")
        self.repository = Repository(
            id=REPOSITORY, name="sample", location=str(self.source), base="refs/heads/main"
        )
        self.base = ""
        self.progress: list[tuple[object, ...]] = []

    async def open(self) -> "Bench":
        self.base = await self.git.import_base(self.repository)
        return self

    def script(self, text: str) -> str:
        """Return the path of a shell script outside the repository."""
        path = self.folder / "agent.sh"
        path.write_text(text)
        return str(path)

    def agents(self, script: str = "", **declared: Any) -> Agents:
        """Return agents: the builtin one, and `mine`, which runs this shell script."""
        mine = Backend(
            name="mine", kind="command", argv=("/bin/sh", self.script(script)), **declared
        )
        builtin = BuiltinAgent(Backend(name="builtin", kind="builtin"), sys.executable)
        return Agents(
            {"builtin": builtin, "mine": CommandAgent(mine, {"SHOWN": "shown-value", "HID": "no"})},
            self.workspaces,
            self.processes,
            self.git,
            self.artifacts,
        )

    async def order(self, **fields: Any) -> ImplementTask:
        """Return an order; fields of task and choice may be given by name."""
        choice = {"backend": "mine", "limits": TaskLimits(wall_seconds=60)}
        choice |= {name: fields.pop(name) for name in AgentChoice.model_fields if name in fields}
        task = {"id": "t1", "title": "Do the thing"}
        names = ("touches", "forbid", "title")
        task |= {name: fields.pop(name) for name in names if name in fields}
        plan = Plan(
            plan_id="p1",
            idea_key="idea-1",
            created_by="test",
            spec_digest="d",
            base_sha=self.base,
            tasks=(PlanTask.model_validate({**task, "agent": AgentChoice.model_validate(choice)}),),
        )
        ref = await self.artifacts.put(plan.model_dump_json(by_alias=True).encode())
        given = {"attempt": 1, "base_sha": self.base, **fields}
        return ImplementTask(
            key="idea-1",
            round=1,
            task="t1",
            plan=ref,
            repository=self.repository,
            at_ms=1_700_000_000_000,
            **given,
        )

    async def attempt(self, script: str, **fields: Any) -> AttemptResult:
        """Run one attempt of a shell script as the agent."""
        order = await self.order(**fields)
        return await self.agents(script).attempt(order, self.heard)

    def heard(self, *details: object) -> None:
        self.progress.append(details)

    def left(self) -> list[str]:
        """Return what is left of workspaces."""
        return sorted(
            path.name
            for path in (self.folder / "workspaces").iterdir()
            if not path.name.endswith(".lock")
        )

    async def said(self, result: AttemptResult) -> str:
        assert result.transcript
        return (await self.artifacts.get(result.transcript)).decode()


def python(text: str) -> str:
    """Return a shell line that runs Python code."""
    return f"python3 -I -S -c {shlex.quote(text)}"
