"""Cancelling at each stage leaves no process, no workspace and no branch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.console import Document, Slipway, flags, processes_with
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


def asks_for_better(record: Document) -> bool:
    return bool(record["state"] == "NeedsRefinement")


VAGUE = {"acceptance": [{"id": "A1", "then": "good"}]}
SLOW = {"changes": [HELLO, HELLO | {"path": "tests/test_slow.py", "text": SLOW_TEST}]}
STAGES: dict[str, tuple[dict[str, Any], Callable[[Document], bool]]] = {
    "validating": (VAGUE, asks_for_better),
    "planning": ({"goal": "Make everything a bit nicer"}, waits("AwaitingInput")),
    "plan approval": ({"approvals": ["plan"]}, waits("AwaitingApproval")),
    "working": ({"script": SLEEPER}, working),
    "verifying": (SLOW, verifying),
    "merge approval": ({"approvals": ["merge"]}, waits("AwaitingApproval")),
    "paused": ({"approvals": ["merge"]}, waits("AwaitingApproval")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_cancelled_idea_leaves_nothing(slipway: Slipway, place: Path, stage: str):
    parts, there = STAGES[stage]
    repository = bare(place / f"{stage.replace(' ', '-')}.git")
    before = head(repository)
    file = (scripted if "script" in parts else idea)(place, f"Cancel while {stage}", **parts)
    started = slipway.begin(file, "--repo", repository)
    started.until(there)
    if stage == "paused":
        assert started.tell("pause").code == 0

    cancelled = started.tell("cancel", "--reason", "not now")

    assert cancelled.code == 0, cancelled
    record = started.until_state("Cancelled")
    assert (record["reason"], record["waits"]) == ("not now", [])
    started.until(lambda _: not started.leftovers())
    started.until_workflow("COMPLETED")
    assert head(repository) == before
    assert git(repository, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    again = started.tell("cancel")
    assert (again.code, again.error) == (2, "not_open"), again


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
    ask = 'echo \'{"questions": ["go?"]}\' > $SLIPWAY_RESULT_FILE; exit 20'
    script = f'[ -n "$ANSWER_1" ] || {{ {ask}; }}; touch here.txt'
    first = {"id": "first", "title": "First", "touches": ["here.txt"],
             "agent": {"backend": "obedient", "prompt": script}}  # fmt: skip
    then = {"id": "then", "title": "Then", "touches": ["hello.txt"], "accepts": ["A1"],
            "agent": {"operations": [HELLO]}, "depends_on": [{"task": "first"}]}  # fmt: skip
    started = slipway.begin(idea(place, "Drain", tasks=[first, then]), "--repo", repository)
    started.until_waits("AwaitingInput")

    drained = started.tell("cancel", "--drain")
    answered = started.tell("answer", "first-1-1", "yes")

    assert (drained.code, answered.code) == (0, 0), (drained, answered)
    record = started.until_state("Cancelled")
    states = {task["id"]: task["state"] for task in record["tasks"]}
    assert (states["first"], "then" in states and states["then"]) == ("Merged", "Pending")
    started.until(lambda _: not started.leftovers())


def test_a_drain_that_takes_too_long_is_cancelled(slipway: Slipway, place: Path):
    repository = bare(place / "impatient.git")
    started = slipway.begin(scripted(place, "Take too long", SLEEPER), "--repo", repository)
    started.until(working)

    drained = started.tell("cancel", "--drain")
    cancelled = started.tell("cancel", "--reason", "now, please")

    assert (drained.code, cancelled.code) == (0, 0), (drained, cancelled)
    assert started.until_state("Cancelled")["reason"] == "now, please"
    started.until(lambda _: not started.leftovers())
