"""Kill workers and the Temporal server at random moments of many ideas, and count what came out.

    python scripts/kill_ideas.py [--ideas N] [--at-once N] [--every SECONDS] [--seed N]

Ideas run on a `slipway up` of its own, several per bare repository, so that the merge trains
carry batches. Meanwhile a worker, all workers, or the Temporal server is killed with SIGKILL
every few seconds. Afterwards everything is checked from outside, with git, the database and the
process table: each idea ended as it should, each change is merged, tagged and recorded once, the
audit chain holds, and nothing is left over. The seed is printed; the same seed makes the same
ideas and the same kills at the same pace.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from temporalio.client import Client, WorkflowExecutionStatus

from starter.processes import lives
from starter.state import RunningServer, RunningWorker, read_state

SLIPWAY = Path(sys.executable).with_name("slipway")
PER_REPOSITORY = 10
LONGEST = 900  # seconds from the start of an idea to its end, kills and all
TEST = """import unittest

from calc import add


class AddTest(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(add(1, 2), 3)
"""
FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": TEST,
}
SLOW_AGENT = """schema: slipway.agent/1
name: slow
kind: command
argv:
  - sh
  - -c
  - |
    eval "$(sed -n 's/^ "prompt": "\\(.*\\)",$/\\1/p' "$SLIPWAY_TASK_FILE")"
"""
# What an idea is, how often it comes, and how it should end.
KINDS = {
    "change": (4, "Completed"),
    "tasks": (3, "Completed"),
    "agent": (2, "Completed"),
    "nothing": (1, "Rejected"),
    "red": (1, "Cancelled"),
}


class Wanted(NamedTuple):
    """One idea of the campaign."""

    key: str
    kind: str
    repository: Path
    file: Path

    @property
    def end(self) -> str:
        return KINDS[self.kind][1]

    @property
    def writes(self) -> dict[str, str]:
        """What it adds to the repository: path and text."""
        if self.end != "Completed":
            return {}
        parts = ("a", "b", "c") if self.kind == "tasks" else ("a",)
        return {f"ideas/{self.key}.{part}.txt": f"{self.key} {part}\n" for part in parts}


class Kill(NamedTuple):
    at: float  # seconds since the beginning
    what: str
    count: int


class Campaign:
    """One run: the ideas, the killer, and what was seen."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.options = options
        self.dice = random.Random(options.seed)
        self.began = time.monotonic()
        self.kills: list[Kill] = []
        self.problems: list[str] = []
        self.seconds: dict[str, float] = {}
        self.over = threading.Event()
        foreign = ("TEMPORAL_", "SLIPWAY_DATABASE", "SLIPWAY_HOME", "GIT_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        self.env = {**kept, "SLIPWAY_HOME": str(self.home)}
        self.ideas = [self._wanted(number) for number in range(options.ideas)]

    # Making --------------------------------------------------------------------------

    def _wanted(self, number: int) -> Wanted:
        weights = [weight for weight, _ in KINDS.values()]
        kind = self.dice.choices(list(KINDS), weights)[0]
        repository = self.folder / f"repository-{number // PER_REPOSITORY}.git"
        key = f"idea-{number:03d}-{kind}"
        return Wanted(key, kind, repository, self.folder / f"{key}.json")

    def prepare(self) -> None:
        agents = self.home / "config" / "agents"
        agents.mkdir(parents=True)
        (agents / "slow.yaml").write_text(SLOW_AGENT)
        for repository in {idea.repository for idea in self.ideas}:
            make_repository(repository)
        for idea in self.ideas:
            idea.file.write_text(json.dumps(specification(idea)))

    # Running -------------------------------------------------------------------------

    def run(self) -> None:
        """Carry all ideas to their ends while the killer is about."""
        killer = threading.Thread(target=self._kill_until_over)
        killer.start()
        try:
            with ThreadPoolExecutor(self.options.at_once) as pool:
                list(pool.map(self._carry, self.ideas))
        finally:
            self.over.set()
            killer.join()

    def _carry(self, idea: Wanted) -> None:
        """Start an idea and wait for its end; what is red waits for a person, who cancels it."""
        began = time.monotonic()
        self._insist(idea, "start", idea.file, "--repo", idea.repository)
        told = False
        while (stage := self._stage(idea)) not in ("Completed", "Rejected", "Cancelled", "Failed"):
            if time.monotonic() - began > LONGEST:
                self.problems.append(f"{idea.key} has not ended after {LONGEST} s: {stage}")
                return
            if stage == "waits" and idea.kind != "red":
                self.problems.append(f"{idea.key} waits for a person")
                return
            if stage == "waits" and not told:
                self._insist(idea, "cancel", idea.key)
                told = True
            time.sleep(0.3)
        self.seconds[idea.key] = time.monotonic() - began
        print(f"  {self._now():6.1f} s  {idea.key} is {stage}", flush=True)

    def _insist(self, idea: Wanted, verb: str, *words: object) -> None:
        """Give a command again for as long as the server is away."""
        for _ in range(60):
            done = self.slipway("idea", verb, *words)
            if done.returncode == 0:
                return
            if done.returncode != 5 and not self._did(idea, verb):
                break
            time.sleep(1)
        if not self._did(idea, verb):
            told = done.stdout.strip() or done.stderr.strip()[-500:]
            self.problems.append(f"{verb} of {idea.key} ended with {done.returncode}: {told}")

    def _did(self, idea: Wanted, verb: str) -> bool:
        """Whether a command has had its effect although its answer was lost."""
        return verb == "cancel" and self._stage(idea) in ("Draining", "Cancelled")

    def _stage(self, idea: Wanted) -> str:
        rows = self.rows("SELECT stage, waits FROM ideas WHERE key = ?", idea.key)
        if not rows:
            return "unknown"
        stage, waits = rows[0]
        return "waits" if "AwaitingInput" in waits else str(stage)

    # Killing -------------------------------------------------------------------------

    def _kill_until_over(self) -> None:
        dice = random.Random(self.options.seed + 1)
        every = self.options.every
        while not self.over.wait(dice.uniform(0.2 * every, 1.8 * every)):
            what = dice.choices(("worker", "all workers", "server"), (5, 2, 3))[0]
            state = read_state(self.home)
            if state is None or not state.workers:
                continue
            victims: tuple[RunningServer | RunningWorker, ...] = state.workers
            if what == "worker":
                victims = (dice.choice(state.workers),)
            elif what == "server":
                victims = (state.server,)
            self._kill(what, victims)

    def _kill(self, what: str, victims: tuple[RunningServer | RunningWorker, ...]) -> None:
        killed = 0
        for victim in victims:
            if lives(victim.pid, victim.born):
                os.kill(victim.pid, signal.SIGKILL)
                killed += 1
        if killed:
            self.kills.append(Kill(self._now(), what, killed))
            print(f"  {self._now():6.1f} s  kill -9 of {what}", flush=True)

    def _now(self) -> float:
        return time.monotonic() - self.began

    # Hands ---------------------------------------------------------------------------

    def slipway(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(SLIPWAY), *map(str, words), "--json"],
            env=self.env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        path = self.home / "slipway.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query, values).fetchall()


def make_repository(folder: Path) -> None:
    work = folder.with_suffix(".work")
    for name, text in FILES.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    git(work, "init", "-q", "-b", "main")
    git(work, "add", "-A")
    git(work, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "First")
    git(work, "clone", "-q", "--bare", ".", str(folder))


def git(folder: Path, *args: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *args], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def specification(idea: Wanted) -> dict[str, Any]:
    """Return the idea as a document."""
    spec = {
        "schema": "slipway.idea/1",
        "key": idea.key,
        "title": f"Do {idea.key}",
        "change": "fix",
        "acceptance": [{"id": "A1", "kind": "command", "command": accepted(idea)}],
    }
    if idea.kind in ("tasks", "agent"):
        return {**spec, "tasks": tasks(idea)}
    text = "def add(a, b):\n    return a + b\n" if idea.kind == "nothing" else f"{idea.key} a\n"
    path = "calc.py" if idea.kind == "nothing" else f"ideas/{idea.key}.a.txt"
    return {**spec, "changes": [{"op": "add_file", "path": path, "text": text}]}


def accepted(idea: Wanted) -> str:
    if idea.kind == "red":
        return "false"
    return " && ".join(f"test -s {path}" for path in idea.writes) or "true"


def tasks(idea: Wanted) -> list[dict[str, Any]]:
    """Return a task for each file; the third needs the others."""
    made: list[dict[str, Any]] = []
    for path, text in idea.writes.items():
        add = {"op": "add_file", "path": path, "text": text}
        slow = f"sleep 1; mkdir -p ideas; echo {text.strip()} > {path}"
        agent = {"operations": [add]}
        if idea.kind == "agent":
            agent = {"backend": "slow", "prompt": slow}
        needs = [{"task": task["id"]} for task in made] if len(made) == 2 else []
        made.append({
            "id": f"task-{len(made)}", "title": f"Write {path}", "touches": [path],
            "accepts": ["A1"], "agent": agent, "depends_on": needs,
        })  # fmt: skip
    made[:-1] = [task | {"accepts": []} for task in made[:-1]]
    return made


# Checks, all from outside --------------------------------------------------------------


def violations(campaign: Campaign) -> Iterator[str]:
    """Tell everything that is not as it should be while slipway still runs."""
    yield from campaign.problems
    for idea in campaign.ideas:
        yield from wrong_on_record(campaign, idea)
    for repository in sorted({idea.repository for idea in campaign.ideas}):
        yield from wrong_in(repository, campaign)
    yield from wrong_branches(campaign)
    yield from asyncio.run(wrong_workflows(campaign))
    audit = campaign.slipway("audit", "verify")
    if audit.returncode != 0:
        yield f"the audit chain does not verify: {audit.stdout[:500]}"


def wrong_on_record(campaign: Campaign, idea: Wanted) -> Iterator[str]:
    stages = campaign.rows("SELECT stage FROM ideas WHERE key = ?", idea.key)
    if stages != [(idea.end,)]:
        reason = campaign.rows("SELECT reason FROM ideas WHERE key = ?", idea.key)
        yield f"{idea.key} should be {idea.end} and is {stages}: {reason}"
    kinds = Counter(
        kind for (kind,) in campaign.rows("SELECT kind FROM events WHERE key = ?", idea.key)
    )
    released = int(idea.end == "Completed")
    expected = {"idea_registered": 1, "idea_ended": 1, "release_made": released}
    for kind, count in expected.items():
        if kinds[kind] != count:
            yield f"{idea.key} has {kinds[kind]} events {kind}, not {count}"
    releases = campaign.rows("SELECT sha FROM releases WHERE key = ?", idea.key)
    if len(releases) != released:
        yield f"{idea.key} has {len(releases)} releases on record, not {released}"
    effects = campaign.rows("SELECT kind, readback FROM effects WHERE key = ?", idea.key)
    wanted = ["merge", "tag"] * released
    if sorted(kind for kind, _ in effects) != sorted(wanted) or not all(
        done for _, done in effects
    ):
        yield f"{idea.key} has the effects {effects}"


def wrong_in(repository: Path, campaign: Campaign) -> Iterator[str]:
    """Compare a repository with what its completed ideas amount to."""
    merged = [i for i in campaign.ideas if i.repository == repository and i.end == "Completed"]
    trailer = "%(trailers:key=Slipway-Operation,valueonly,separator=%x20)"
    log = git(repository, "log", f"--format={trailer}", "main").split()
    counts = Counter(log)
    for idea in merged:
        if counts[f"{idea.key}/1/merge"] != 1:
            yield f"{repository.name} has {counts[f'{idea.key}/1/merge']} merges of {idea.key}"
    for operation, count in counts.items():
        if count != 1:
            yield f"{repository.name} has {count} commits of {operation}"
    commits = sum(len(idea.writes) for idea in merged) + 1
    found = int(git(repository, "rev-list", "--count", "main"))
    if found != commits or git(repository, "rev-list", "--merges", "main"):
        yield f"{repository.name} has {found} commits, not {commits} in a line"
    yield from wrong_files(repository, merged)
    yield from wrong_tags(repository, merged, campaign)
    for left in git(repository, "for-each-ref", "--format=%(refname)", "refs/heads").split():
        if left != "refs/heads/main":
            yield f"{repository.name} has the branch {left}"
    git(repository, "fsck", "--strict")


def wrong_files(repository: Path, merged: list[Wanted]) -> Iterator[str]:
    expected = FILES | {path: text for idea in merged for path, text in idea.writes.items()}
    there = git(repository, "ls-tree", "-r", "--name-only", "main").split()
    if sorted(there) != sorted(expected):
        yield f"{repository.name} differs in {sorted(set(there) ^ set(expected))}"
    for path in set(there) & set(expected):
        if git(repository, "show", f"main:{path}") != expected[path]:
            yield f"{repository.name} has a wrong {path}"


def wrong_tags(repository: Path, merged: list[Wanted], campaign: Campaign) -> Iterator[str]:
    tags = git(
        repository, "for-each-ref", "--format=%(refname:strip=2) %(*objectname)", "refs/tags"
    )
    there = sorted(tuple(line.split()) for line in tags.splitlines())
    recorded = sorted(
        (tag, sha)
        for idea in merged
        for tag, sha in campaign.rows("SELECT tag, sha FROM releases WHERE key = ?", idea.key)
    )
    if there != recorded or len({sha for _, sha in there}) != len(merged):
        yield f"{repository.name} has the tags {there}, on record are {recorded}"


async def wrong_workflows(campaign: Campaign) -> list[str]:
    """Only trains may still run, and no workflow may have ended but as it should."""
    state = read_state(campaign.home)
    client = await Client.connect(state.server.address if state else "")
    query = "ExecutionStatus NOT IN ('Completed', 'ContinuedAsNew')"
    return [
        f"workflow {found.id} is {found.status.name if found.status else 'unknown'}"
        async for found in client.list_workflows(query)
        if not (found.id.startswith("train/") and found.status == WorkflowExecutionStatus.RUNNING)
    ]


def wrong_branches(campaign: Campaign) -> Iterator[str]:
    """Only what became a release may keep its branches in our stores."""
    for store in (campaign.home / "objects").glob("*.git"):
        for ref in git(store, "for-each-ref", "--format=%(refname)", "refs/slipway").split():
            for idea in campaign.ideas:
                if f"/{idea.key}/" in ref and idea.end != "Completed":
                    yield f"the store has {ref} of {idea.key}, which is {idea.end}"


def leftovers(campaign: Campaign) -> Iterator[str]:
    """Tell what is still there after slipway has stopped."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(campaign.home) in words and int(folder.name) != os.getpid():
            yield f"process {folder.name} still runs: {words[:200]}"
    for path in (campaign.home / "workspaces").rglob("*"):
        if path.is_file() or path.is_symlink() or path.parent.name == "gates":
            yield f"a workspace is left: {path}"
            break
    places = [*(campaign.home / "objects").glob("*.git"), *{i.repository for i in campaign.ideas}]
    yield from (f"a lock is left: {lock}" for place in places for lock in place.rglob("*.lock"))


def told(campaign: Campaign, wrong: list[str]) -> dict[str, Any]:
    """Return the counts of a campaign."""
    kills = Counter(kill.what for kill in campaign.kills)
    took = sorted(campaign.seconds.values())
    completed = [idea for idea in campaign.ideas if idea.end == "Completed"]
    return {
        "seed": campaign.options.seed,
        "ideas": dict(Counter(idea.kind for idea in campaign.ideas)),
        "completed": len(completed),
        "repositories": len({idea.repository for idea in campaign.ideas}),
        "kills": dict(kills) | {"in all": sum(kills.values())},
        "attempts run again": len(campaign.rows("SELECT 1 FROM runs WHERE status = 'lost'")),
        "merge operations recorded": len(campaign.rows(
            "SELECT 1 FROM effects WHERE kind = 'merge' AND readback IS NOT NULL")),
        "audit entries": campaign.rows("SELECT count(*) FROM events")[0][0],
        "seconds": round(time.monotonic() - campaign.began),
        "seconds of an idea (median, longest)": [
            round(took[len(took) // 2]) if took else 0, round(took[-1]) if took else 0
        ],
        "violations": wrong,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ideas", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--every", type=float, default=8.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it there")
    options = parser.parse_args()
    words = f"--ideas {options.ideas} --at-once {options.at_once} --every {options.every:g}"
    print(f"replay with: python scripts/kill_ideas.py {words} --seed {options.seed}", flush=True)
    if options.keep:
        options.keep.mkdir(parents=True)
        return campaign_in(options.keep.resolve(), options)
    with tempfile.TemporaryDirectory(prefix="slipway-kill-") as folder:
        return campaign_in(Path(folder), options)


def campaign_in(folder: Path, options: argparse.Namespace) -> int:
    campaign = Campaign(folder, options)
    campaign.prepare()
    begun = campaign.slipway("up", "--detach")
    if begun.returncode != 0:
        print(begun.stdout, begun.stderr, file=sys.stderr)
        return 2
    wrong: list[str] = []
    try:
        campaign.run()
        wrong += violations(campaign)
    finally:
        down = campaign.slipway("down")
        wrong += [f"down ended with {down.returncode}: {down.stdout}"] if down.returncode else []
    wrong += leftovers(campaign)
    print(json.dumps(told(campaign, wrong), indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
