"""Kill the merge and the tag at each system call that matters, retry, and count what came out.

    python scripts/kill_merge.py [--every N] [--shape SHAPE] [--json FILE]

Two campaigns on two shapes of repository (bare: the base branch moves; work tree: a branch of its
own). In the first, git dies at its n-th openat, write, rename, ... and takes the worker with it.
In the second the worker dies at its own n-th system call while its git may live on. After each
kill the same orders run again, as Temporal would run them. Every point must end merged once,
tagged once, recorded once, without a lock left behind; and three deliberately broken ways to do
the same must be found out, or the campaign proves nothing.

Needs strace; without it nothing runs and the exit code is 2.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from temporalio.testing import ActivityEnvironment

from activities.source import MergeEntry, OpenRound, ReadBase, Source, StageEntry, TagEntry
from domain.errors import Unavailable
from domain.forge import Merged
from domain.idea import ChangeKind
from domain.review import GateSet
from domain.train import TrainEntry
from integrations import git_refs
from integrations.database import Database
from integrations.git import Git
from integrations.local_forge import LocalForge

CALLS = (
    "openat", "write", "pwrite64", "close", "rename", "link", "unlink", "fsync", "fdatasync",
    "ftruncate", "mkdir",
)  # fmt: skip
WRITES = (
    "write",
    "pwrite64",
    "rename",
    "link",
    "unlink",
    "fsync",
    "fdatasync",
    "ftruncate",
    "mkdir",
)
EFFECTS = ("index-pack", "update-ref", "hash-object")  # at each call; what they write, others see
STAGING = ("commit-tree", "write-tree", "update-index")  # at each write; readers: at their start
PIPES = 5  # of the worker's own close calls each fifth, for nearly all of them close a pipe
SHAPES = ("bare", "work-tree")
AT = 1_795_000_000_000
TRIES = 20
OP = "idea/1"


class Point(NamedTuple):
    """Where to kill: in the n-th `call` of the `nth` git of this verb, or of the worker itself."""

    shape: str
    verb: str  # empty: the worker
    nth: int
    call: str
    when: int


class Scene(NamedTuple):
    """A folder with the user's repository, our store and the records."""

    folder: Path
    shape: str

    @property
    def repository(self) -> Path:
        return self.folder / "repo"


# The worker ------------------------------------------------------------------------------


async def deliver(scene: Scene, binary: str = "git") -> str:
    """Stage, merge and tag as the train does; return what became of it."""
    git = Git(scene.folder / "objects", binary)
    database = Database(f"sqlite+aiosqlite:///{scene.folder / 'slipway.db'}")
    source = Source(LocalForge(git), git, database, lambda _: "train", "delivery")
    try:
        return await _deliver(source, TrainEntry.model_validate_json(_ticket(scene).read_text()))
    finally:
        await database.close()


async def _deliver(source: Source, entry: TrainEntry) -> str:
    run = ActivityEnvironment().run
    while True:
        base = await run(source.read_base, ReadBase(repository=entry.repository))
        staged = await run(
            source.stage_entry,
            StageEntry(
                entry=entry,
                onto=base.base_sha,
                base_sha=base.base_sha,
                base_moves=base.base_moves,
                at_ms=AT,
            ),
        )
        if staged.status not in ("staged", "merged"):
            return f"staged as {staged.status}"
        order = MergeEntry(
            entry=entry, staged=staged, onto=base.base_sha, base_moves=base.base_moves
        )
        merged = await run(source.merge_entry, order)
        if merged.status != "moved":
            break
    if merged.status != "merged":
        return f"{merged.status}: {merged.reason}"
    tag = TagEntry(
        entry=entry, sha=merged.sha, tag=staged.tag, base_moves=base.base_moves, at_ms=AT
    )
    await run(source.tag_entry, tag)
    return "merged"


def worker(scene: Scene, binary: str, breakage: Callable[[], None], go: int = -1) -> int:
    """Fork a worker for one delivery; it waits for a byte on `go`, if given. Return its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if go >= 0:
            os.read(go, 1)
        breakage()
        said = asyncio.run(deliver(scene, binary))
        code = 0 if said == "merged" else 4
        (scene.folder / "said").write_text(said)
    except Unavailable as error:
        (scene.folder / "said").write_text(str(error))
        code = 3
    except BaseException:
        (scene.folder / "said").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def ended(pid: int, seconds: float = 60) -> int:
    """Wait for a worker; one that hangs is killed and told as such."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -999


# The scene -------------------------------------------------------------------------------


def _git(folder: Path, *args: str) -> str:
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    done = subprocess.run(["git", *args], cwd=folder, env=env, capture_output=True, check=True)
    return done.stdout.decode().strip()


def _ticket(scene: Scene) -> Path:
    return scene.folder / "entry.json"


async def build(scene: Scene) -> None:
    """Make a repository, and an idea in it that is ready for the train."""
    work = scene.folder / "made"
    work.mkdir(parents=True)
    _git(work, "init", "-q", "-b", "main")
    (work / "CHANGELOG.md").write_text("# Log\n")
    (work / "a.txt").write_text("a\n")
    _git(work, "add", "-A")
    _git(work, "commit", "-q", "-m", "first")
    _git(work, "tag", "v1.0.0")
    bare = ["--bare"] if scene.shape == "bare" else []
    _git(scene.folder, "clone", "-q", *bare, "made", "repo")
    git = Git(scene.folder / "objects")
    database = Database(f"sqlite+aiosqlite:///{scene.folder / 'slipway.db'}")
    await database.open()
    source = Source(LocalForge(git), git, database, lambda _: "train", "delivery")
    repo, _ = await git.inspect(str(scene.repository), "")
    run = ActivityEnvironment().run
    opened = await run(source.open_round, OpenRound(key="idea", round=1, repository=repo))
    base = opened.base_sha
    tree = await git.replace_file(repo.id, base, "b.txt", b"b\n")
    head = await git.commit(repo.id, tree, (base,), "Add b", AT)
    await git.swap(repo.id, "refs/slipway/ideas/idea/r1", head, base)
    entry = TrainEntry(
        key="idea", round=1, workflow_id="idea/idea", repository=repo, base_sha=base,
        head_sha=head, tree=tree, title="Add b", notes="Because.", change=ChangeKind.FEATURE,
        gates=GateSet(project="other", gates=()),
    )  # fmt: skip
    _ticket(scene).write_text(entry.model_dump_json())
    await database.close()


@contextlib.contextmanager
def fresh(template: Scene) -> Iterator[Scene]:
    """Give out a copy of a scene, at the very path at which it was made."""
    kept = template.folder.with_name(f"{template.folder.name}.kept")
    if not kept.exists():
        template.folder.rename(kept)
    shutil.copytree(kept, template.folder, symlinks=True)
    try:
        yield template
    finally:
        shutil.rmtree(template.folder)


# Recording and killing -------------------------------------------------------------------


def wrapper(scene: Scene, script: str) -> str:
    """Write a stand-in for git; `$verb` and `$nth` say which call of which command it is."""
    counts = scene.folder / "counts"
    counts.mkdir(exist_ok=True)
    path = scene.folder / "git-stand-in"
    path.write_text(
        "#!/bin/sh\n"
        'verb=; skip=\nfor each in "$@"; do\n'
        '  if [ -n "$skip" ]; then skip=; continue; fi\n'
        '  case "$each" in -c) skip=1;; -*) ;; *) verb=$each; break;; esac\n'
        "done\n"
        f'echo x >> "{counts}/$verb"\nnth=$(wc -l < "{counts}/$verb")\n{script}\n'
    )
    path.chmod(0o755)
    return str(path)


def record(template: Scene) -> list[Point]:
    """Run once without faults, and list every point at which the run can be killed."""
    with fresh(template) as scene:
        logs = scene.folder / "logs"
        logs.mkdir()
        traced = ",".join(CALLS)
        script = f'exec strace -qq -e trace={traced} -o "{logs}/$verb:$nth" git "$@"'
        if ended(worker(scene, wrapper(scene, script), _intact)) != 0:
            raise SystemExit(f"the run without faults failed: {_said(scene)}")
        points = []
        for log in sorted(logs.iterdir()):
            verb, _, nth = log.name.partition(":")
            counts = _counted(log)
            if verb not in EFFECTS:
                keep = WRITES if verb in STAGING else ()
                counts = Counter({c: n for c, n in counts.items() if c in keep} | {"openat": 1})
            points += [
                Point(template.shape, verb, int(nth), call, when)
                for call, count in sorted(counts.items())
                for when in range(1, count + 1)
            ]
    return points + _record_worker(template)


def _record_worker(template: Scene) -> list[Point]:
    with fresh(template) as scene:
        log = scene.folder / "worker.log"
        code = _traced(scene, ["-o", str(log)])
        if code != 0:
            raise SystemExit(f"the traced run without faults failed: {_said(scene)}")
        return [
            Point(template.shape, "", 0, call, when)
            for call, count in sorted(_counted(log).items())
            for when in range(1, count + 1, PIPES if call == "close" else 1)
        ]


def _counted(log: Path) -> Counter[str]:
    calls = (re.match(r"(\w+)\(", line) for line in log.read_text(errors="replace").splitlines())
    return Counter(call[1] for call in calls if call)


def _traced(scene: Scene, options: list[str]) -> int:
    """Run a worker with strace attached to its main thread; return its exit code."""
    read, write = os.pipe()
    pid = worker(scene, "git", _intact, read)
    tracer = subprocess.Popen(
        ["strace", "-qq", "-e", f"trace={','.join(CALLS)}", *options, "-p", str(pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None:
            raise SystemExit("strace could not attach; ptrace must be allowed")
        time.sleep(0.002)
    os.write(write, b"g")
    code = ended(pid)
    tracer.wait()
    os.close(read)
    os.close(write)
    return code


def _intact() -> None:
    """Break nothing."""


def strike(scene: Scene, point: Point, breakage: Callable[[], None]) -> bool:
    """Run the delivery and kill it at `point`; False: it got through without reaching it."""
    if not point.verb:
        inject = f"inject={point.call}:signal=SIGKILL:when={point.when}"
        options = ["-o", "/dev/null", "-e", inject]
        return _traced(scene, options) != 0
    script = (
        f'if [ "$verb:$nth" = "{point.verb}:{point.nth}" ]; then\n'
        f"  strace -qq -o /dev/null -e trace={point.call} "
        f'-e inject={point.call}:signal=SIGKILL:when={point.when} git "$@"\n'
        '  code=$?\n  [ $code -gt 128 ] && kill -9 "$PPID"\n  exit $code\nfi\nexec git "$@"'
    )
    return ended(worker(scene, wrapper(scene, script), breakage)) != 0


def judged(scene: Scene, breakage: Callable[[], None]) -> str:
    """Run the same orders again until they succeed; return what is wrong, empty: nothing."""
    for _ in range(TRIES):
        code = ended(worker(scene, "git", breakage))
        if code != 3:
            break
        time.sleep(0.02)
    if code != 0:
        return f"the retry ended with {code}: {_said(scene)[-300:]}"
    return "; ".join(_wrong(scene))


def _said(scene: Scene) -> str:
    path = scene.folder / "said"
    return path.read_text() if path.exists() else "nothing"


def _wrong(scene: Scene) -> Iterator[str]:
    """Look at the repository, the records and the locks with nothing of our own but eyes."""
    repo, base = scene.repository, _git(scene.folder / "made", "rev-parse", "main")
    branch = "main" if scene.shape == "bare" else "slipway/idea"
    log = _git(repo, "log", "--format=%H %(trailers:key=Slipway-Operation,valueonly)",
               f"{base}..{branch}")  # fmt: skip
    lines = [line for line in log.splitlines() if line.strip()]
    if len(lines) != 1 or not lines[0].endswith(f" {OP}/merge"):
        yield f"{branch} is {len(lines)} merges ahead: {log!r}"
    tags = [tag for tag in _git(repo, "tag", "--list").splitlines() if tag != "v1.0.0"]
    if len(tags) != 1:
        yield f"tagged {len(tags)} times: {tags}"
    elif _git(repo, "rev-parse", f"{tags[0]}^{{commit}}") != _git(repo, "rev-parse", branch):
        yield f"{tags[0]} is not on the merge"
    if scene.shape != "bare" and _git(repo, "status", "--porcelain"):
        yield "the work tree was touched"
    bad = subprocess.run(["git", "fsck", "--strict"], cwd=repo, capture_output=True, check=False)
    if bad.returncode:
        yield f"fsck: {bad.stderr.decode()}"
    yield from _wrong_rows(scene)
    if left := _locks(scene):
        yield f"locks are left: {left}"


def _wrong_rows(scene: Scene) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(scene.folder / "slipway.db")) as records:
        rows = records.execute("select op, readback from effects order by op").fetchall()
    if [op for op, _ in rows] != [f"{OP}/merge", f"{OP}/tag"] or not all(r for _, r in rows):
        yield f"recorded as {rows}"


def _locks(scene: Scene) -> list[str]:
    """Return git's locks that stay; those of a git that is just ending are waited for."""
    until = time.monotonic() + 2
    while True:
        roots = (scene.repository, scene.folder / "objects")
        left = [path for root in roots for path in root.rglob("*.lock") if _is_gits(path)]
        if not left or time.monotonic() > until:
            return [str(path.relative_to(scene.folder)) for path in left]
        time.sleep(0.01)


def _is_gits(path: Path) -> bool:
    ours = re.compile(r".*\.(store|user|import)\.lock")  # kept on purpose, empty between writes
    return not ours.fullmatch(path.name) or bool(path.read_bytes())


# Ways to do it wrong ---------------------------------------------------------------------


def _forget_stale_locks() -> None:
    """Leave the lock files of a killed git where they are."""
    git_refs._clear = lambda lock, new, noted: None


def _never_look() -> None:
    """Merge without looking whether the operation was merged before, a new commit at each try."""
    careful = Git.commit

    async def find(*_: object) -> Merged | None:
        return None

    async def commit(
        self: Git, store: str, tree: str, parents: tuple[str, ...], message: str, at_ms: int
    ) -> str:
        again = f"{message.rstrip()}\nTry: {time.time_ns()}\n"
        return await careful(self, store, tree, parents, again, at_ms)

    Git.commit = commit  # type: ignore[assignment, method-assign]
    LocalForge._find = find  # type: ignore[assignment, method-assign]


def _check_the_group() -> None:
    """Take a merge that is there for the whole group of effects: `if merged, return`."""
    careful = _deliver

    async def careless(source: Source, entry: TrainEntry) -> str:
        order = source._change_of(entry, base_moves=_is_bare(entry))
        if await source._forge.read_change(order) is not None:
            return "merged"
        return await careful(source, entry)

    globals()["_deliver"] = careless


def _is_bare(entry: TrainEntry) -> bool:
    return not (Path(entry.repository.location) / ".git").exists()


BROKEN = {
    "stale locks stay": _forget_stale_locks,
    "no look before the merge": _never_look,
    "one check for all effects": _check_the_group,
}


# The campaign ----------------------------------------------------------------------------


class Tally(NamedTuple):
    struck: int
    missed: int
    wrong: list[str]


def campaign(template: Scene, points: list[Point], breakage: Callable[[], None]) -> Tally:
    """Kill at each of the points, one fresh copy of the scene for each."""
    struck, missed, wrong = 0, 0, []
    for number, point in enumerate(points, start=1):
        with fresh(template) as scene:
            hit = strike(scene, point, breakage)
            struck, missed = struck + hit, missed + (not hit)
            if problem := judged(scene, breakage):
                wrong.append(f"{point}: {problem}")
        if sys.stderr.isatty():
            print(f"\r{number}/{len(points)}", end="", file=sys.stderr)
    return Tally(struck, missed, wrong)


def caught(template: Scene, points: list[Point], breakage: Callable[[], None]) -> str:
    """Return the first thing that a broken way did wrong; empty: it was not found out."""
    for point in points:
        with fresh(template) as scene:
            strike(scene, point, breakage)
            if problem := judged(scene, breakage):
                return f"{point}: {problem}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th point")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only this one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there")
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        print("kill_merge: strace is missing; NOTHING WAS TESTED. Install it.", file=sys.stderr)
        return 2
    report: dict[str, object] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="kill-merge-") as folder:
        for shape in arguments.shape or SHAPES:
            template = Scene(Path(folder) / shape, shape)
            asyncio.run(build(template))
            points = record(template)
            chosen = points[:: arguments.every]
            began = time.monotonic()
            tally = campaign(template, chosen, _intact)
            report[shape] = {
                "points": len(points), "tried": len(chosen), "killed": tally.struck,
                "not_reached": tally.missed, "wrong": tally.wrong,
                "seconds": round(time.monotonic() - began),
            }  # fmt: skip
            print(f"{shape}: {json.dumps(report[shape])}", flush=True)
            failed |= bool(tally.wrong) or tally.struck < 0.9 * len(chosen)
            near = [
                p for p in points if p.verb == "update-ref" or (not p.verb and p.call != "close")
            ]
            for name, breakage in BROKEN.items():
                found = caught(template, near[::-1], breakage)
                report[f"{shape}, {name}"] = found or "NOT CAUGHT"
                print(f"{shape}, {name}: {found[:160] or 'NOT CAUGHT'}", flush=True)
                failed |= not found
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    print("FAILED" if failed else "all points end merged once, tagged once, recorded once")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
