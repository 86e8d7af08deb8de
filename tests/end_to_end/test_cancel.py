"""Cancelling at each stage leaves no process, no workspace and no branch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.console import Document, Idea, Slipway, flags, processes_with, told
from tests.end_to_end.projects import GREETED, HELLO, TEST, bare, idea, scripted
from tests.integrations.git_sandbox import git, head

pytestmark = [pytest.mark.server, pytest.mark.slow]

SLEEPER = "sleep 3598"
SLOW_TEST = TEST.replace("import unittest", "import subprocess\nimport unittest").replace(
    "self.assertEqual(add(1, 2), 3)", f"subprocess.run({SLEEPER.split()!r}, check=True)"
)


def working(record: Document) -> bool:
    return any(task["state"] == "Working" for task in record["tasks"]) and bool(
        processes_with(SLEEPER)
    )


def verifying(record: Document) -> bool:
    return any(task["state"] == "Verifying" for task in record["tasks"])


def waits(flag: str) -> Callable[[Document], bool]:
    return lambda record: flag in flags(record)


def paused(started: Idea) -> Idea:
    started.until_waits("AwaitingApproval")
    assert started.tell("pause").code == 0
    return started


@pytest.fixture(scope="module")
def stages(slipway: Slipway, place: Path) -> dict[str, tuple[Idea, Path, Callable[..., bool]]]:
    """An idea that stands still at each stage, and how to tell that it is there."""
    slow_test = HELLO | {"path": "tests/test_slow.py", "text": SLOW_TEST}
    wanted = {
        "validating": (
            idea(place, "Vague", acceptance=[{"id": "A1", "then": "good"}]),
            lambda record: record["state"] == "NeedsRefinement",
        ),
        "planning": (None, lambda record: record["state"] == "Planning" and flags(record)),
        "plan approval": (idea(place, "Plan", approvals=["plan"]), waits("AwaitingApproval")),
        "working": (scripted(place, "Work", SLEEPER), working),
        "verifying": (idea(place, "Verify", changes=[HELLO, slow_test]), verifying),
        "merge approval": (idea(place, "Merge", approvals=["merge"]), waits("AwaitingApproval")),
        "paused": (idea(place, "Pause", approvals=["merge"]), waits("Paused")),
    }
    stages = {}
    for name, (file, there) in wanted.items():
        repository = bare(place / f"{name.replace(' ', '-')}.git")
        words = (file,) if file else ("--goal", "Make everything a bit nicer")
        stages[name] = (slipway.begin(*words, "--repo", repository), repository, there)
    return stages


@pytest.mark.parametrize(
    "stage",
    ["validating", "planning", "plan approval", "working", "verifying", "merge approval", "paused"],
)
def test_a_cancelled_idea_leaves_nothing(stages, stage):
    idea, repository, there = stages[stage]
    before = head(repository)
    if stage == "paused":
        paused(idea)
    idea.until(there)

    cancelled = idea.tell("cancel", "--reason", "not now")

    assert cancelled.code == 0, cancelled
    record = idea.until_state("Cancelled")
    assert (record["reason"], record["waits"]) == ("not now", [])
    idea.until(lambda _: not idea.leftovers())
    assert head(repository) == before
    assert git(repository, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    again = idea.tell("cancel")
    assert (again.code, "Cancelled" in again.text) == (2, True), again


def test_in_the_train_too(slipway: Slipway, place: Path):
    """The gates of the combined result hang, which neither change does alone."""
    gate = f"test ! -e one.txt || test ! -e hello.txt || {SLEEPER}"
    config = f"schema: slipway.repo/1\ngates:\n  both: {{run: '{gate}'}}\n"
    repository = bare(place / "train.git", {".slipway.yaml": config})
    late = slipway.begin(idea(place, "Be late", approvals=["merge"]), "--repo", repository)
    late.until_waits("AwaitingApproval")
    accept = {**GREETED, "command": "test -s one.txt"}
    first = idea(place, "Be first", changes=[HELLO | {"path": "one.txt"}], acceptance=[accept])
    slipway.begin(first, "--repo", repository).completed()
    merged = head(repository)
    assert late.tell("approve").code == 0
    late.until(lambda record: "InTrain" in flags(record) and bool(processes_with(SLEEPER)))

    assert late.tell("cancel").code == 0

    late.until_state("Cancelled")
    late.until(lambda _: not late.leftovers())
    assert (head(repository), processes_with(SLEEPER)) == (merged, [])
    after = idea(place, "Be after", changes=[HELLO | {"path": "two.txt"}], acceptance=[accept])
    slipway.begin(after, "--repo", repository).completed()


def test_draining_lets_what_runs_finish(slipway: Slipway, place: Path):
    repository = bare(place / "drain.git")
    work = {"backend": "obedient", "prompt": "touch here.txt; sleep 4"}
    first = {"id": "first", "title": "First", "touches": ["*.txt"], "agent": work}
    then = {"id": "then", "title": "Then", "touches": ["hello.txt"], "accepts": ["A1"],
            "agent": {"operations": [HELLO]}, "depends_on": [{"task": "first"}]}  # fmt: skip
    started = slipway.begin(idea(place, "Drain", tasks=[first, then]), "--repo", repository)
    started.until(lambda record: any(task["state"] == "Working" for task in record["tasks"]))

    drained = started.tell("cancel", "--drain")

    assert drained.code == 0, told(drained)
    record = started.until_state("Cancelled")
    states = {task["id"]: task["state"] for task in record["tasks"]}
    assert states["first"] == "Merged", states
    assert states["then"] != "Merged"
    started.until(lambda _: not started.leftovers())
