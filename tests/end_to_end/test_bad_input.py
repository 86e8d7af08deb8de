"""Bad input: one error document, its exit code, and nothing that was started."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.end_to_end.console import Slipway, flags, told
from tests.end_to_end.projects import GREETED, HELLO, bare, idea
from tests.integrations.git_sandbox import git

pytestmark = [pytest.mark.server, pytest.mark.slow]

GOOD = {"schema": "slipway.idea/1", "title": "Greet", "acceptance": [GREETED], "changes": [HELLO]}


class Bad(NamedTuple):
    """What is given, and what the one error says."""

    file: str
    code: str
    line: int = 0


BAD: dict[str, Bad] = {
    "broken.yaml": Bad("schema: slipway.idea/1\ntitle: [half\n", "bad_yaml", 3),
    "broken.json": Bad('{"schema": "slipway.idea/1",\n "title": }', "bad_json", 2),
    "twice.yaml": Bad("schema: slipway.idea/1\ntitle: a\ntitle: b\n", "duplicate_key", 3),
    "twice.json": Bad('{"title": "a",\n"title": "b"}', "duplicate_key", 2),
    "typed.yaml": Bad("schema: slipway.idea/1\ntitle: a\nchanges: yes please\n", "tuple_type", 3),
    "unknown.yaml": Bad("schema: slipway.idea/1\ntitle: a\ncolour: red\n", "extra_forbidden", 3),
    "trust.yaml": Bad("schema: slipway.idea/1\ntitle: a\ntrust: owner\n", "extra_forbidden", 3),
    "huge.yaml": Bad("title: " + "a" * 20_000_000, "too_large"),
    "bomb.yaml": Bad("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "alias", 1),
    "absent.yaml": Bad("", "unreadable"),
}
WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no such recipe": (("--recipe", "make-tea"), "unknown_recipe"),
    "no such parameter": (("--recipe", "add-file", "--param", "colour=red"), "unknown_parameter"),
    "a parameter is missing": (("--recipe", "add-file", "--param", "path=a"), "missing_parameter"),
    "no such agent option": (("--agnt", "x"), "usage"),
    "nothing wanted": ((), "no_work"),
    "no such branch": (("--goal", "x", "--base=-x"), "no_branch"),
    "a folder that is none": (("--goal", "x", "--repo", "/nonexistent"), "no_repository"),
}


@pytest.fixture(scope="module", autouse=True)
def nothing_starts(slipway: Slipway, place: Path) -> Iterator[Path]:
    """A repository; after all these attempts nothing has been started there."""
    repository = bare(place / "target.git")
    yield repository
    listed = slipway("idea", "list", "--limit", 1000).document["ideas"]
    assert [one for one in listed if one["repository"].startswith("target-")] == []


def problem(document: dict[str, Any]) -> dict[str, Any]:
    return document["error"].get("problems", [document["error"]])[0]


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_wrong_is_told_with_its_line(slipway, place, nothing_starts, name):
    bad, file = BAD[name], place / name
    if bad.file:
        file.write_text(bad.file)

    answer = slipway("idea", "start", file, "--repo", nothing_starts, "--wait")

    found = answer.document["error"]
    assert (answer.code, found["code"], found["line"]) == (2, bad.code, bad.line), found
    assert str(file) in str(found)
    assert len(json.dumps(answer.document)) < 5_000


@pytest.mark.parametrize("name", WRONG)
def test_options_that_are_wrong_are_told(slipway, nothing_starts, name):
    words, code = WRONG[name]
    repository = () if "--repo" in words else ("--repo", nothing_starts)

    answer = slipway("idea", "start", *words, *repository, "--wait")

    assert (answer.code, answer.error) == (2, code), answer


@pytest.mark.parametrize("state", ["empty", "detached", "no repository", "a file"])
def test_a_repository_that_cannot_be_worked_on_is_told(slipway, tmp_path, state):
    folder = tmp_path / "repo"
    folder.mkdir()
    (tmp_path / "idea.json").write_text(json.dumps(GOOD))
    if state in ("empty", "detached"):
        git(folder, "init", "-q", "-b", "main")
    if state == "detached":
        git(folder, "commit", "-q", "--allow-empty", "-m", "first")
        git(folder, "checkout", "-q", "--detach")
    target = folder / "file" if state == "a file" else folder
    if state == "a file":
        target.touch()
    codes = {"empty": "empty_repository", "detached": "detached_head"}

    answer = slipway("idea", "start", tmp_path / "idea.json", "--repo", target)

    assert (answer.code, answer.error) == (2, codes.get(state, "no_repository")), answer


def test_a_plan_in_a_circle_waits_for_a_better_one(slipway, place):
    def task(name: str, need: str) -> dict[str, Any]:
        agent = {"operations": [HELLO | {"path": f"{name}.txt"}]}
        return {"id": name, "title": name, "touches": [f"{name}.txt"], "agent": agent,
                "accepts": ["A1"], "depends_on": [{"task": need}]}  # fmt: skip

    file = idea(place, "Go round", tasks=[task("a", "b"), task("b", "a")])

    answer = slipway("idea", "start", file, "--repo", bare(place / "circle.git"), "--wait")

    assert (answer.code, answer.document["state"]) == (4, "NeedsRefinement"), told(answer)
    assert "a -> b -> a" in answer.document["reason"], answer.document["reason"]


def test_a_task_that_needs_files_outside_its_paths_is_refused(slipway, place):
    task = {"id": "work", "title": "Reach out", "touches": ["src/**"], "accepts": ["A1"],
            "agent": {"operations": [HELLO]}}  # fmt: skip
    file = idea(place, "Reach out", tasks=[task])

    answer = slipway("idea", "start", file, "--repo", bare(place / "outside.git"), "--wait")

    assert (answer.code, answer.document["state"]) == (4, "NeedsRefinement"), told(answer)
    assert "hello.txt" in answer.document["reason"], answer.document["reason"]


def test_an_agent_that_nobody_declared_is_asked_for(slipway, place):
    words = ("--agent", "nobody", "--goal", "Do it", "--repo", bare(place / "agent.git"), "--wait")

    answer = slipway("idea", "start", *words)

    assert answer.code == 4, told(answer)
    assert flags(answer.document) == ["AwaitingInput"]
    assert "nobody" in answer.document["reason"], answer.document["reason"]
