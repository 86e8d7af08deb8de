"""The real service in a folder of its own, with a bare repository and an agent that sleeps."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from config.settings import Settings
from domain.agent import Backend
from domain.delivery import FAST, StartDelivery
from domain.idea import Acceptance, Idea, IdeaSpec, Initiator, Trust
from domain.plan import AgentChoice, PlanTask
from integrations.git import Git
from starter.state import UpState, read_state

SECONDS = 0.5  # of each task
AGENT = "sleeper"
GATES = """\
schema: slipway.repo/1
gates:
  tests: {run: "printf 'TAP version 13\\n1..1\\nok 1 - it stands\\n'", report: tap}
"""


class Home:
    """A home of slipway that is removed again, with one repository and one agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository.git"
        self.settings = Settings(home=folder / "home")

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a slipway process of this home.

        It writes bytecode, as on any user's machine; a server named outside does not count.
        """
        foreign = ("PYTHONDONTWRITEBYTECODE", "TEMPORAL_ADDRESS", "TEMPORAL_PROFILE")
        kept = {name: value for name, value in os.environ.items() if name not in foreign}
        return kept | {"SLIPWAY_HOME": str(self.settings.home)} | more

    def slipway(self, *arguments: str) -> str:
        """Run a command line to its end; return what it printed."""
        done = subprocess.run(
            [Path(sys.executable).with_name("slipway"), *arguments],
            env=self.environment(), stdout=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
        return done.stdout

    @property
    def state(self) -> UpState:
        """What runs now under `slipway up`."""
        state = read_state(self.settings.home)
        if state is None:
            raise AssertionError("slipway is not up")
        return state


@asynccontextmanager
async def home() -> AsyncIterator[Home]:
    """Make a home, and a bare repository whose one test always passes."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name:
        made = Home(Path(name))
        _declare_agent(made.settings)
        await asyncio.to_thread(_make_repository, made.repository)
        yield made


@asynccontextmanager
async def up(place: Home) -> AsyncIterator[None]:
    """Have `slipway up` serve this home."""
    await asyncio.to_thread(place.slipway, "up", "--detach")
    try:
        yield
    finally:
        await asyncio.to_thread(place.slipway, "down")


async def order_of(place: Home, tasks: int) -> StartDelivery:
    """Return the start of an idea of so many tasks, each of which sleeps and writes one file."""
    name = uuid4().hex[:8]
    spec = IdeaSpec(
        title=f"Sleep {tasks} times",
        goal="Every task writes a file of its own.",
        acceptance=(Acceptance(id="A1", then="the files are there", kind="manual"),),
        tasks=tuple(_task(f"{name}-{at}") for at in range(tasks)),
    )
    repository, _ = await Git(place.settings.objects).inspect(str(place.repository), "")
    key = f"sleep-{name}"
    initiator = Initiator(id="bench", trust=Trust.OWNER)
    idea = Idea(key=key, spec_digest=key, spec=spec, repository=repository, initiator=initiator)
    return StartDelivery(idea=idea, patience=FAST)


def _task(name: str) -> PlanTask:
    return PlanTask(
        id=f"t-{name}",
        title=f"Write {name}",
        touches=(f"{name}.txt",),
        agent=AgentChoice(backend=AGENT, prompt=f"{name}.txt"),
    )


def _declare_agent(settings: Settings) -> None:
    """Declare an agent that takes its time and then writes the file that its prompt names."""
    script = (
        "import json, os, time\n"
        f"time.sleep({SECONDS})\n"
        "task = json.load(open(os.environ['SLIPWAY_TASK_FILE']))\n"
        "open(task['prompt'].strip(), 'w').write('done\\n')\n"
    )
    backend = Backend(name=AGENT, kind="command", argv=("python3", "-c", script))
    folder = settings.operator / "agents"
    folder.mkdir(parents=True)
    text = backend.model_dump_json(by_alias=True, exclude_defaults=False)
    (folder / f"{AGENT}.yaml").write_text(text + "\n")


def _make_repository(bare: Path) -> None:
    work = bare.with_name("work")
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    work.mkdir()
    (work / ".slipway.yaml").write_text(GATES)
    for command in (
        ["init", "-q", "-b", "main", str(work)],
        ["-C", str(work), "add", "."],
        ["-C", str(work), *author, "commit", "-q", "-m", "Begin"],
        ["clone", "-q", "--bare", str(work), str(bare)],
    ):
        subprocess.run(["git", *command], check=True)
