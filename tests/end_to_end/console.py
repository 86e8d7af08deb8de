"""The real console script, as a user runs it, in a home of its own."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from temporalio.client import Client

from starter.state import UpState, read_state

PROGRAM = Path(sys.executable).with_name("slipway")
PATIENCE = 240  # seconds; an idea takes ten on an idle machine

Document = dict[str, Any]


class Answer(NamedTuple):
    """What a command ended with; `document` is what it wrote to stdout as JSON, if it did."""

    code: int
    document: Document
    errors: str

    @property
    def error(self) -> str:
        """The code of the one error document."""
        return str(self.document["error"]["code"])

    @property
    def text(self) -> str:
        """The sentence of the one error document, and what it says to do."""
        return f"{self.document['error']['message']} {self.document['error']['hint']}"


class Slipway:
    """Runs commands against one home; `up` starts its server and workers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        foreign = ("TEMPORAL_", "SLIPWAY_DATABASE", "SLIPWAY_HOME")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.env: dict[str, str] = {**kept, "SLIPWAY_HOME": str(home)}

    def __call__(self, *args: object, stdin: str = "", env: Mapping[str, str] = {}) -> Answer:
        """Run one command with --json to its end."""
        return self.popen(*args, env=env).answer(stdin)

    def popen(self, *args: object, env: Mapping[str, str] = {}) -> "Command":
        """Begin a command with --json."""
        words = [str(PROGRAM), *map(str, args), "--json"]
        return Command(subprocess.Popen(
            words, env={**self.env, **env}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ))  # fmt: skip

    def begin(self, *args: object) -> "Idea":
        """Start an idea without waiting for it."""
        answer = self("idea", "start", *args)
        assert answer.code == 0, answer
        assert answer.document["started"], answer
        return Idea(self, answer.document["key"], args)

    def up(self) -> None:
        answer = self("up", "--detach")
        assert answer.code == 0, answer

    def down(self) -> None:
        assert self("down").code == 0

    @property
    def state(self) -> UpState:
        state = read_state(self.home)
        assert state is not None
        return state

    def kill_server(self) -> None:
        """Kill the Temporal server without warning; `up` starts it again."""
        os.kill(self.state.server.pid, signal.SIGKILL)


class Command:
    """A command that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def answer(self, stdin: str = "") -> Answer:
        out, errors = self.process.communicate(stdin, timeout=PATIENCE)
        return Answer(self.process.returncode, json.loads(out) if out.strip() else {}, errors)


class Idea:
    """An idea that was started; asked again, the same command follows it."""

    def __init__(self, slipway: Slipway, key: str, args: tuple[object, ...]) -> None:
        self.slipway = slipway
        self.key = key
        self._args = args

    def ended(self) -> Answer:
        """Follow it until it ends or first waits for a person."""
        return self.slipway("idea", "start", *self._args, "--wait")

    def completed(self) -> Document:
        answer = self.ended()
        assert (answer.code, answer.document["state"]) == (0, "Completed"), told(answer)
        return answer.document

    def tell(self, verb: str, *args: object) -> Answer:
        return self.slipway("idea", verb, self.key, *args)

    def record(self) -> Document:
        return self.tell("show").document

    def until(self, fact: Callable[[Document], bool]) -> Document:
        """Wait until its record says so."""
        deadline = time.monotonic() + PATIENCE
        while not fact(record := self.record()):
            assert time.monotonic() < deadline, story(record)
        return record

    def until_waits(self, flag: str) -> Document:
        return self.until(lambda record: flag in flags(record))

    def until_state(self, *states: str) -> Document:
        return self.until(lambda record: record["state"] in states)

    def until_workflow(self, status: str) -> None:
        """Wait until its workflow has ended, and expect it to have ended like this."""

        async def described() -> str:
            client = await Client.connect(self.slipway.state.server.address)
            found = await client.get_workflow_handle(f"idea/{self.key}").describe()
            return found.status.name if found.status else ""

        deadline = time.monotonic() + PATIENCE
        while (found := asyncio.run(described())) == "RUNNING":
            assert time.monotonic() < deadline, story(self.record())
        assert found == status

    def leftovers(self) -> list[str]:
        """Return what is left of it that only a running idea may have."""
        found = [str(path) for path in self.slipway.home.joinpath("workspaces").rglob("*")
                 if self.key in path.name and not path.name.endswith(".lock")]  # fmt: skip
        return [*found, *self.branches(), *processes_with(self.key)]

    def branches(self) -> list[str]:
        """Return its refs in our object stores."""
        listed = [
            subprocess.run(
                ["git", "-C", str(store), "for-each-ref", "--format=%(refname)", "refs/slipway"],
                capture_output=True, text=True, check=True,
            ).stdout.split()
            for store in self.slipway.home.joinpath("objects").glob("*.git")
        ]  # fmt: skip
        return [ref for refs in listed for ref in refs if f"/{self.key}/" in ref]


def flags(record: Document) -> list[str]:
    return [wait["flag"] for wait in record.get("waits", ())]


def told(answer: Answer) -> str:
    """Return what a failed test should show of an answer."""
    return f"exit {answer.code}\n{story(answer.document)}\n{answer.errors[-2000:]}"


def story(record: Document) -> str:
    lines = [entry["text"] for entry in record.get("timeline", ())]
    return "\n".join([str(record.get("reason", record)), *lines])


def processes_with(token: str) -> list[str]:
    """Return the command lines of living processes in which `token` stands, but for this one's."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except OSError:
            continue
        if token in words and int(folder.name) != os.getpid():
            found.append(f"{folder.name}: {words[:200]}")
    return found


def install_agent(home: Path, declaration: Path) -> None:
    """Put an agent where the operator's are."""
    agents = home / "config" / "agents"
    agents.mkdir(parents=True, exist_ok=True)
    for file in declaration.iterdir():
        shutil.copy(file, agents)
