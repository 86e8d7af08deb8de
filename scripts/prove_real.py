"""Run ideas on public repositories, and print what came out as rows of a table.

    python scripts/prove_real.py LIST.yaml FOLDER [NAME...] [--at-once N] [--rows]

The list names repositories by URL and commit, and what to do there; each entry is described by
`Proof`. Clones, records and stories are kept in the folder, so that a second run repeats only what
has no record yet; `--rows` runs nothing and prints the rows of all records. `slipway up` must be
running, under the same SLIPWAY_HOME. Changed lines are counted with git in the clone, not taken
from the record.
"""

import argparse
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import yaml

SLIPWAY = Path(sys.executable).with_name("slipway")
LONGEST = 2400  # seconds for one idea
HEAD = (
    "| repository | commit | layout | lines | idea | tests before → after | changed | s | outcome |"
)


class Proof(NamedTuple):
    """One idea on one commit of one repository."""

    name: str
    url: str
    commit: str
    layout: str = ""
    language: str = "py"  # ending of the files whose lines are counted
    recipe: str = ""
    params: dict[str, str] = {}
    idea: dict[str, Any] = {}  # an idea file's content, in place of a recipe
    edit: dict[str, str] = {}  # path, old, new: one commit of our own on top, before the idea
    ends: str = "Completed"  # the state in which the idea should end or wait

    @property
    def told(self) -> str:
        """What the idea does, for the table."""
        words = [f"{key}={value}" for key, value in self.params.items()]
        return " ".join([self.recipe or str(self.idea["title"]), *words])


def git(folder: Path, *args: str) -> str:
    """Run git in a clone and return its output."""
    done = subprocess.run(
        ["git", *args], cwd=folder, check=True, capture_output=True, text=True, errors="replace"
    )
    return done.stdout.strip()


def clone(proof: Proof, folder: Path) -> Path:
    """Check the commit out on a branch `base`; one clone for each entry."""
    path = folder / "clones" / proof.name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    git(folder, "clone", "--quiet", proof.url, str(path))
    git(path, "checkout", "--quiet", "-B", "base", proof.commit)
    if proof.edit:
        file = path / proof.edit["path"]
        text = file.read_text("utf-8").replace(proof.edit["old"], proof.edit["new"], 1)
        file.write_text(text, "utf-8")  # where nothing was replaced, git commits nothing and fails
        who = ("-c", "user.name=proof", "-c", "user.email=proof@localhost")
        git(path, *who, "commit", "--quiet", "--all", "--message", "Break something on purpose")
    return path


def command(proof: Proof, path: Path, folder: Path) -> list[str]:
    """Return the command that starts the idea and waits for its end."""
    words = ["--recipe", proof.recipe]
    if proof.idea:
        words = [str(folder / f"{proof.name}.idea.yaml")]
        Path(words[0]).write_text(yaml.safe_dump(proof.idea, sort_keys=False), "utf-8")
    for key, value in proof.params.items():
        words += ["--param", f"{key}={value}"]
    return [str(SLIPWAY), "idea", "start", *words, "--repo", str(path), "--wait", "--json"]


def run(proof: Proof, folder: Path) -> None:
    """Run one idea and keep its record and its story."""
    path = clone(proof, folder)
    with (folder / f"{proof.name}.story").open("w") as story:
        done = subprocess.run(
            command(proof, path, folder), stdout=subprocess.PIPE, stderr=story, timeout=LONGEST
        )
    record = {"exit": done.returncode, **json.loads(done.stdout or b"{}")}
    state = record.get("state", "no record")  # refused, or no server
    if "state" in record:
        (folder / f"{proof.name}.json").write_text(json.dumps(record, indent=1), "utf-8")
    print(f"{proof.name}: {state}, exit {done.returncode}", file=sys.stderr, flush=True)


def tests(record: dict[str, Any]) -> str:
    """Return passed of collected tests before and after, from the last tests gate."""
    gates = [gate for gate in record.get("gates", ()) if gate["name"] == "tests"]
    counts = gates[-1]["counts"] if gates else {}
    sides = [counts.get(side) for side in ("base", "after")]
    told = [f"{side['passed']} of {side['collected']}" if side else "none" for side in sides]
    return " → ".join(told) if gates else "not run"


def row(proof: Proof, folder: Path) -> str:
    """Return the row of one entry, from its record and its clone."""
    record = json.loads((folder / f"{proof.name}.json").read_text("utf-8"))
    path = folder / "clones" / proof.name
    names = git(path, "ls-tree", "-r", "--name-only", "-z", "base").split("\0")
    files = [name for name in names if name.endswith(f".{proof.language}")]
    lines = sum(git(path, "show", f"base:{name}").count("\n") for name in files)
    changed = "nothing merged"
    for release in record.get("releases", ()):
        told = git(path, "diff", "--shortstat", record["base_sha"], release["sha"])
        changed = "{} files, +{} -{}".format(*(re.findall(r"\d+", told) + ["0"] * 2)[:3])
    seconds = (record.get("ended_at_ms") or record["updated_at_ms"]) - record["created_at_ms"]
    outcome = record["state"] + ("" if record["state"] == proof.ends else " (UNEXPECTED)")
    link = f"[{proof.url.partition('.com/')[2]}]({proof.url})"
    cells = (
        link, proof.commit[:10], proof.layout, f"{lines:,}", proof.told, tests(record),
        changed, str(round(seconds / 1000)), f"{outcome}, exit {record['exit']}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run what has no record yet and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("list", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--rows", action="store_true")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    proofs = [Proof(**entry) for entry in yaml.safe_load(given.list.read_text("utf-8"))]
    proofs = [proof for proof in proofs if not given.names or proof.name in given.names]
    missing = [proof for proof in proofs if not (folder / f"{proof.name}.json").exists()]
    if not given.rows:
        with ThreadPoolExecutor(given.at_once) as pool:
            list(pool.map(lambda proof: run(proof, folder), missing))
    print(HEAD + "\n" + "|---" * 9 + "|")
    for proof in proofs:
        if (folder / f"{proof.name}.json").exists():
            print(row(proof, folder))


if __name__ == "__main__":
    main()
