"""Release public web applications under load, hurt them, and print what came of it as a table.

    python scripts/prove_releases.py LIST.yaml FOLDER [NAME...] [--kind KIND] [--rows]

The list says for each application where it comes from and how it is built, run, judged, changed
and asked; an entry is an `App`. Each is proven with each kind of strategy: a bare clone gets one
commit of ours with a `.slipway.yaml`, the first idea installs it, the second passes under load, the
third passes its gates and hurts. Records are kept in the folder, so that a second run repeats only
what has no record yet; `--rows` runs nothing. `slipway up` must be running, under the same
SLIPWAY_HOME; `slipway down --services` ends what was deployed.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import uvloop
import yaml

from domain.rollout_view import RolloutRecord
from starter.demo.account import Account, Answers, Check, checks
from starter.demo.load import Load
from starter.demo.repository import free_port
from starter.demo.traffic import CLIENTS, Ask
from starter.hosting import Host
from starter.place import settings

SLIPWAY = Path(sys.executable).with_name("slipway")
LONGEST = 1800  # seconds for one idea
SEED = 20_260_302
WAY = (["passed"], ["passed"], ["undone", "passed"])  # the rollouts of the three ideas
STEPS = [{"weight": 20, "hold": 6}, {"weight": 100, "hold": 0}]
SHORT: dict[str, dict[str, Any]] = {  # the strategies; shorter than anybody should take at work
    "canary": {"kind": "canary", "steps": STEPS, "bake": 8, "keep_old": 30},
    "blue_green": {"kind": "blue_green", "bake": 8, "keep_old": 30},
}
HEAD = (
    "| repository | commit | framework | strategy | injected | requests, failed on the release "
    "that was undone | failed elsewhere | first bad answer → decided → traffic back → verified, s "
    "| the third idea |"
)


class App(NamedTuple):
    """One application, and what is done to it."""

    name: str
    url: str
    commit: str
    framework: str
    service: dict[str, Any]  # without strategy and environments, see docs/services.md
    smoke: str  # a shell line, asked before a blue-green switch
    traffic: tuple[str, ...]  # paths, each asked equally often
    ideas: tuple[dict[str, Any], ...]  # installs, passes, hurts
    injected: str  # what the third one does, in words
    repair: dict[str, Any]  # of the third idea with a canary; with blue-green it is reverted
    gates: dict[str, Any] = {}
    setup: tuple[dict[str, Any], ...] = ()
    rate: float = 120  # requests per second


class Pass(NamedTuple):
    """An application with a kind of strategy: what is run, and what has a record of its own."""

    app: App
    kind: str

    @property
    def name(self) -> str:
        return f"{self.app.name}-{self.kind.replace('_', '-')}"

    @property
    def ends(self) -> str:
        """In which state the third idea should end."""
        return "Completed" if self.kind == "canary" else "RolledBack"


def git(folder: Path, *args: str) -> None:
    """Run git in a clone."""
    subprocess.run(["git", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def declared(one: Pass, port: int) -> dict[str, Any]:
    """Return the `.slipway.yaml`: the service, its strategy, and the gates that ideas must pass."""
    strategy = dict(SHORT[one.kind])
    if one.kind == "blue_green":
        strategy["smoke"] = one.app.smoke
    service = {
        **one.app.service,
        "strategy": strategy,
        "analysis": {"tick": 1},
        "environments": {"production": {"port": port}},
    }
    return {
        "schema": "slipway.repo/1",
        "setup": list(one.app.setup),
        "gates": one.app.gates,
        "services": {one.app.name: service},
    }


def clone(one: Pass, folder: Path, port: int) -> Path:
    """Make a bare clone whose branch `main` is the commit and one of ours, with the service."""
    bare, tree = folder / f"{one.name}.git", folder / f"{one.name}.tree"
    for left in (bare, tree):  # by a run that was ended
        shutil.rmtree(left, ignore_errors=True)
    who = ("-c", "user.name=proof", "-c", "user.email=proof@localhost")
    git(folder, "clone", "--quiet", "--no-checkout", "--no-tags", one.app.url, str(tree))
    git(tree, "checkout", "--quiet", "-B", "main", one.app.commit)
    text = yaml.safe_dump(declared(one, port), sort_keys=False)
    (tree / ".slipway.yaml").write_text(text, "utf-8")
    git(tree, "add", "--force", ".slipway.yaml")  # some projects ignore all hidden files
    git(tree, *who, "commit", "--quiet", "--message", "Say how it is released")
    git(folder, "clone", "--quiet", "--bare", "--single-branch", str(tree), str(bare))
    git(bare, "remote", "remove", "origin")
    return bare


async def said(*words: str, story: Path) -> dict[str, Any]:
    """Run a command of slipway and return its document; what it tells goes to a file."""
    with story.open("a") as sink:
        process = await asyncio.create_subprocess_exec(
            str(SLIPWAY), *words, "--json", stdout=asyncio.subprocess.PIPE, stderr=sink
        )
        output, _ = await asyncio.wait_for(process.communicate(), LONGEST)
    document: dict[str, Any] = json.loads(output)
    return document


async def deliver(one: Pass, number: int, bare: Path) -> dict[str, Any]:
    """Carry one idea to its end; return its state and its rollouts."""
    idea = dict(one.app.ideas[number])
    if number == 2 and one.kind == "canary":
        idea["repair"] = one.app.repair
    file = bare.with_suffix(f".{number + 1}.yaml")
    file.write_text(yaml.safe_dump(idea, sort_keys=False), "utf-8")
    story = bare.with_suffix(".story")
    start = ("idea", "start", str(file), "--repo", str(bare), "--wait")
    record = await said(*start, "--key", f"{one.name}-{number + 1}", story=story)
    if "state" not in record:
        raise SystemExit(f"{one.name} got no record of idea {number + 1}, see {story}: {record}")
    shown = await said("release", "show", record["key"], story=story)
    state = record["state"]
    print(f"{one.name}, idea {number + 1}: {state}", file=sys.stderr, flush=True)
    return {
        "state": state,
        "rollouts": sorted(shown["rollouts"], key=lambda each: each["created_at_ms"]),
    }


def asks(app: App) -> Iterator[Ask]:
    """Yield requests without end; they come as people do (Poisson), from 200 addresses."""
    random = Random(SEED)
    while True:
        client = f"198.51.100.{random.randrange(CLIENTS) + 1}"  # for examples (RFC 5737)
        yield Ask(random.expovariate(app.rate), client, random.choice(app.traffic))


async def prove(one: Pass, folder: Path) -> None:
    """Install, then release under load what is good and what hurts; keep the record."""
    host = Host(settings().home)
    state = await host.status()
    port = free_port(state.targets.values() if state else ())
    bare = clone(one, folder, port)
    ideas = [await deliver(one, 0, bare)]
    if not as_hoped(ideas):
        raise SystemExit(f"{one.name} was not installed, see {bare.with_suffix('.story')}")
    target = ideas[0]["rollouts"][0]["target"]
    before = await counted(host, target)
    over, report = asyncio.Event(), bare.with_suffix(".load.json")
    load = asyncio.create_task(
        Load("127.0.0.1", port, one.app.rate, asks(one.app)).run(over, report)
    )
    try:
        for number in (1, 2):
            if as_hoped(ideas):
                ideas.append(await deliver(one, number, bare))
    finally:
        over.set()
        account = await load
    kept = {
        "ideas": ideas,
        "account": account.model_dump(),
        "counted": await counted(host, target) - before,
    }
    (folder / f"{one.name}.json").write_text(json.dumps(kept, indent=1), "utf-8")


async def counted(host: Host, target: str) -> int:
    """Return how many requests the edge has begun, of all releases of a target."""
    _, counts = await host.sockets.observe(target, 0)
    return sum(each.started for each in counts)


def as_hoped(ideas: list[dict[str, Any]]) -> bool:
    """Return whether the releases so far went the way that a proof is about."""
    went = [[each["state"] for each in idea["rollouts"]] for idea in ideas]
    return all(a == b for a, b in zip(went, WAY, strict=False))


def holds(one: Pass, kept: dict[str, Any]) -> tuple[Check, ...]:
    """Return what must hold: the way of the ideas, and the account of all requests."""
    account = Account.model_validate(kept["account"])
    undone = tuple(
        each["tag"]
        for idea in kept["ideas"]
        for each in idea["rollouts"]
        if each["state"] == "undone"
    )
    way = len(kept["ideas"]) == len(WAY) and as_hoped(kept["ideas"])
    ended = kept["ideas"][-1]["state"]
    return (
        Check(holds=way and ended == one.ends, text=f"the third idea ended {ended}"),
        *checks(account, kept["counted"], undone),
    )


def row(one: Pass, kept: dict[str, Any]) -> str:
    """Return the row of one pass, from its record."""
    account = Account.model_validate(kept["account"])
    bad = RolloutRecord.model_validate(kept["ideas"][-1]["rollouts"][0])
    fix = kept["ideas"][-1]["rollouts"][-1]
    answers = account.versions.get(bad.tag, Answers())
    failed = sum(each.bad + each.refused for each in account.versions.values())
    inside = answers.bad + answers.refused
    undo = bad.undo
    moments = (undo.decided_ms, undo.restored_ms, undo.verified_ms) if undo else ()
    times = " → ".join(f"{(at - answers.first_bad_ms) / 1000:.1f}" for at in moments)
    well = "" if all(check.holds for check in holds(one, kept)) else " (UNEXPECTED)"
    cells = (
        f"[{one.app.url.partition('.com/')[2]}]({one.app.url})", one.app.commit[:10],
        one.app.framework, one.kind.replace("_", "-"), one.app.injected,
        f"{account.started:,}, {inside:,} of {answers.all:,}",
        str(failed - inside + account.aborted), f"0 → {times}",
        f"{kept['ideas'][-1]['state']}, {fix['tag']} {fix['state']}{well}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run what has no record yet, and print the rows; ends with 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("list", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kind", choices=sorted(SHORT))
    parser.add_argument("--rows", action="store_true")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    apps = [App(**entry) for entry in yaml.safe_load(given.list.read_text("utf-8"))]
    apps = [app for app in apps if not given.names or app.name in given.names]
    passes = [Pass(app, kind) for kind in SHORT for app in apps if given.kind in (None, kind)]
    if not given.rows:
        for one in passes:
            if not (folder / f"{one.name}.json").exists():
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(prove(one, folder))
    sys.exit(0 if told(passes, folder) else 1)


def told(passes: list[Pass], folder: Path) -> bool:
    """Print the rows on stdout and what had to hold on stderr; whether it does."""
    rows, well = [], True
    for one in passes:
        if not (file := folder / f"{one.name}.json").exists():
            continue
        kept = json.loads(file.read_text("utf-8"))
        rows.append(row(one, kept))
        for check in holds(one, kept):
            well = well and check.holds
            print(f"{one.name}: {'ok' if check.holds else 'NO'} {check.text}", file=sys.stderr)
    print("\n".join((HEAD, "|---" * 9 + "|", *rows)))
    return well


if __name__ == "__main__":
    main()
