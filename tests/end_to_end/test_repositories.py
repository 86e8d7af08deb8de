"""Repositories as they are found, and agents as they may be: what an idea makes of them."""

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.console import Document, Idea, Slipway, processes_with, told
from tests.end_to_end.projects import HELLO, TEST, bare, idea, project, scripted
from tests.integrations.git_sandbox import commit, git, head, make

pytestmark = [pytest.mark.server, pytest.mark.slow]

RED = {"tests/test_red.py": TEST.replace("3)", "5)")}
HANGING = TEST.replace("import unittest", "import time\nimport unittest").replace(
    "self.assertEqual(add(1, 2), 3)", "time.sleep(3600)"
)
STRANGE = ("with space.txt", "quo\"te's.txt", "new\nline.txt", "Grüße-日本.txt", "-dash.txt")


def dirty(folder: Path) -> Path:
    repository = project(folder)
    (repository / "calc.py").write_text("def add(a, b):\n    return 'mine, not committed'\n")
    (repository / "untracked.txt").write_text("mine\n")
    return repository


def with_submodule(folder: Path) -> Path:
    inner = make(folder.with_name("inner"), {"inner.txt": "inner\n"})
    repository = project(folder)
    git(repository, "submodule", "--quiet", "add", str(inner), "inner")
    git(repository, "commit", "-q", "-m", "submodule")
    return repository


def with_link_out(folder: Path) -> Path:
    repository = project(folder)
    (repository / "passwd").symlink_to("/etc/passwd")
    commit(repository, {})
    return repository


def shallow(folder: Path) -> Path:
    origin = project(folder.with_name("origin"))
    commit(origin, {"more.txt": "more\n"})
    git(folder.parent, "clone", "-q", "--depth=1", f"file://{origin}", str(folder))
    return folder


def with_strange_names(folder: Path) -> Path:
    repository = project(folder)
    for name in STRANGE:
        (repository / name).write_text(f"{name}\n")
    commit(repository, {})
    return repository


def on_a_branch_with_a_dash(folder: Path) -> Path:
    repository = bare(folder)
    git(repository, "update-ref", "refs/heads/-x", "refs/heads/main")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/-x")
    return repository


def with_calendar_tags(folder: Path) -> Path:
    repository = bare(folder)
    git(repository, "tag", "2024.05.17")
    return repository


def without_tests(folder: Path) -> Path:
    return make(folder, {"README.md": "# Nothing to run\n"})


def loud(folder: Path) -> Path:
    gate = "head -c 1000000000 /dev/zero; python3 -m unittest discover -s tests -t ."
    config = f"schema: slipway.repo/1\ngates:\n  tests: {{run: '{gate}', timeout: 120}}\n"
    return project(folder, {".slipway.yaml": config})


def impatient(folder: Path) -> Path:
    gate = "python3 -m unittest discover -s tests -t ."
    config = f"schema: slipway.repo/1\ngates:\n  tests: {{run: '{gate}', timeout: 4}}\n"
    return project(folder, {".slipway.yaml": config})


@pytest.fixture(scope="module")
def begun(slipway: Slipway, place: Path) -> dict[str, tuple[Idea, Path]]:
    """An idea for each, started together."""
    hello = idea(place, "Say hello")
    hang = idea(place, "Hang", changes=[HELLO, HELLO | {
        "path": "tests/test_hang.py", "text": HANGING}])  # fmt: skip
    repositories = {
        "dirty": dirty(place / "dirty"),
        "submodule": with_submodule(place / "submodule"),
        "link": with_link_out(place / "link"),
        "shallow": shallow(place / "shallow"),
        "sha256": project(place / "sha256", None, "--object-format=sha256"),
        "strange": with_strange_names(place / "strange"),
        "dash": on_a_branch_with_a_dash(place / "dash.git"),
        "calendar": with_calendar_tags(place / "calendar.git"),
        "no tests": without_tests(place / "no-tests"),
        "red": bare(place / "red.git", RED),
        "loud": loud(place / "loud"),
        "hang": impatient(place / "hang"),
    }
    return {
        name: (slipway.begin(hang if name == "hang" else hello, "--repo", repository), repository)
        for name, repository in repositories.items()
    }


def test_uncommitted_work_stays_and_is_told(begun):
    idea, repository = begun["dirty"]

    record = idea.completed()

    assert "not committed" in (repository / "calc.py").read_text()
    assert git(repository, "status", "--porcelain") == "M calc.py\n?? untracked.txt"
    assert "uncommitted" in " ".join(record["notes"])
    assert "not committed" not in git(repository, "show", f"slipway/{idea.key}:calc.py")


@pytest.mark.parametrize("name", ["submodule", "link", "shallow", "sha256"])
def test_what_a_repository_holds_arrives_unchanged_beside_the_change(begun, name):
    idea, repository = begun[name]

    idea.completed()

    changed = git(repository, "diff", "--name-status", "main", f"slipway/{idea.key}")
    assert changed == "A\thello.txt"


def test_strange_names_stay_as_they_are(begun):
    idea, repository = begun["strange"]

    idea.completed()

    listed = git(repository, "ls-tree", "-z", "--name-only", f"slipway/{idea.key}").split("\0")
    assert set(STRANGE) <= set(listed)


def test_a_branch_that_begins_with_a_dash_is_merged_into(begun):
    idea, repository = begun["dash"]

    idea.completed()

    assert git(repository, "show", "refs/heads/-x:hello.txt") == "hello"
    assert head(repository, "refs/heads/-x^") == head(repository)


def test_calendar_tags_go_on_with_todays_date(begun):
    idea, repository = begun["calendar"]

    idea.completed()

    assert git(repository, "tag", "--points-at", "main").startswith(f"{datetime.now(UTC):%Y.%m}.")


def test_without_tests_a_person_looks_before_it_is_merged(begun):
    idea, _ = begun["no tests"]

    waits = idea.ended()
    idea.tell("approve", "--reason", "it is only a greeting")

    assert (waits.code, waits.document["waits"][0]["flag"]) == (4, "AwaitingApproval"), told(waits)
    assert "held" in [gate["verdict"] for gate in waits.document["gates"]]
    assert "tests" in waits.document["questions"][0]["text"]
    assert idea.until_state("Completed", "Failed")["state"] == "Completed"


def test_a_red_base_is_not_blamed_on_the_change(begun):
    idea, _ = begun["red"]

    record = idea.completed()

    tests = [gate for gate in record["gates"] if gate["name"] == "tests"]
    assert [(gate["verdict"], gate["counts"]["after"]["failed"]) for gate in tests] == [
        ("passed", 1)
    ] * 3


def test_a_gigabyte_of_output_is_cut_and_not_kept(slipway, begun):
    idea, _ = begun["loud"]

    idea.completed()

    kept = [path.stat().st_size for path in slipway.home.rglob("*") if path.is_file()]
    assert max(kept) < 100_000_000


def test_a_test_that_hangs_fails_at_its_limit(begun):
    idea, _ = begun["hang"]

    waits = idea.ended()

    assert waits.code == 4, told(waits)
    failed = [gate for gate in waits.document["gates"] if gate["verdict"] == "failed"]
    assert {gate["name"] for gate in failed} == {"tests", "census"} or failed[0]["name"] == "tests"
    assert idea.tell("cancel").code == 0
    idea.until_state("Cancelled")
    idea.until(lambda _: not idea.leftovers())


# Agents --------------------------------------------------------------------------------

ONE = {"attempts": 1}
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "idle": ("true", {"limits": ONE}),
    "weakens": (
        "echo hello > hello.txt; sed -i '/test_adds_nothing/,$d' tests/test_calc.py",
        {"limits": ONE, "touches": ["hello.txt", "tests/**"]},
    ),
    "strays": ("echo hello > hello.txt; echo more >> calc.py", {"limits": ONE}),
    "hangs": ("echo hello > hello.txt; sleep 3600", {"limits": {"attempts": 1, "wall_seconds": 3}}),
    "daemon": ("echo hello > hello.txt; setsid sleep 3599 >/dev/null 2>&1 & exit 0", {}),
    "slow": ("sleep 6; echo hello > hello.txt", {}),
}
FAILURES = {
    "idle": "no_change",
    "weakens": "test_weakened",
    "strays": "scope_violation",
    "hangs": "timeout_wall",
}


@pytest.fixture(scope="module")
def agents(slipway: Slipway, place: Path) -> dict[str, tuple[Idea, Path]]:
    started = {}
    for name, (script, parts) in AGENTS.items():
        repository = bare(place / f"agent-{name}.git")
        file = scripted(place, f"Agent {name}", script, **parts)
        started[name] = (slipway.begin(file, "--repo", repository), repository)
    return started


def last_attempt(record: Document) -> Document:
    return record["tasks"][0]["attempts"][-1]


def test_an_idea_goes_on_when_the_server_was_killed_in_the_middle(slipway, agents):
    idea, repository = agents["slow"]
    idea.until(lambda record: any(task["state"] == "Working" for task in record["tasks"]))

    slipway.kill_server()

    idea.until_state("Completed", "Failed")
    idea.completed()
    assert git(repository, "rev-list", "--count", "main") == "2"


@pytest.mark.parametrize("name", FAILURES)
def test_an_agent_that_does_not_do_its_work_is_found_out(agents, name):
    idea, repository = agents[name]
    before = head(repository)

    waits = idea.ended()

    assert waits.code == 4, told(waits)
    assert waits.document["tasks"][0]["failure"] == FAILURES[name], told(waits)
    assert idea.tell("cancel", "--reason", "no use").code == 0
    idea.until_state("Cancelled")
    idea.until(lambda _: not idea.leftovers())
    assert head(repository) == before


def test_a_daemon_of_an_agent_is_ended_with_it(agents):
    idea, repository = agents["daemon"]

    idea.completed()

    assert git(repository, "show", "main:hello.txt") == "hello"
    assert processes_with("sleep 3599") == []


def test_an_idea_waits_for_a_locked_database_and_goes_on(slipway, place):
    repository = bare(place / "locked.git")
    released = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(slipway.home / "slipway.db", timeout=30)) as database:
            database.execute("BEGIN IMMEDIATE")
            held.set()
            released.wait(60)
            database.rollback()

    held = threading.Event()
    idea_ = slipway.begin(idea(place, "Wait for it"), "--repo", repository)
    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    read = idea_.tell("show")
    threading.Timer(8, released.set).start()
    holder.join()

    assert read.code == 0
    idea_.completed()
    assert git(repository, "rev-list", "--count", "main") == "2"
    assert slipway("audit", "verify").code == 0
