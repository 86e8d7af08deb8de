"""Ideas from a command to a merged, tagged change, on one running slipway."""

from pathlib import Path
from typing import NamedTuple

import pytest

from domain.record_view import IdeaRecord
from tests.end_to_end.console import Document, Idea, Slipway, flags, told
from tests.end_to_end.projects import GREETED, HELLO, bare, idea, project, scripted
from tests.integrations.git_sandbox import git, head

pytestmark = [pytest.mark.server, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "ten-lines"
OLD = "class Sign(object):\n    pass\n\n\ndef text(name):\n    return '{0}'.format(name)\n"
GREEN = {"id": "A1", "kind": "test", "then": "its own tests pass", "verified_by": "tests"}


class Begun(NamedTuple):
    idea: Idea
    repository: Path
    before: str  # the base branch when it began


@pytest.fixture(scope="module")
def begun(slipway: Slipway, place: Path) -> dict[str, Begun]:
    """All ideas of this module that need nobody, started together."""
    wanted = {
        "recipe": (project(place / "recipe", {"sign.py": OLD}), "--recipe", "modernise-python"),
        "changes": (bare(place / "changes.git"), idea(place, "Say hello")),
        "tasks": (beside(place / "tasks"), tasks(place), "--base", "main", "--update-base"),
        "checked-out": (project(place / "checked-out"), idea(place, "Say it"), "--update-base"),
        "ten-lines": (bare(place / "ten-lines.git"), EXAMPLE / "idea.yaml"),
    }  # fmt: skip
    return {name: begin(slipway, *words) for name, words in wanted.items()}


def begin(slipway: Slipway, repository: Path, *words: object) -> Begun:
    before = head(repository)
    return Begun(slipway.begin("--repo", repository, *words), repository, before)


def beside(folder: Path) -> Path:
    """Make a work tree that has another branch checked out than its base."""
    repository = project(folder, {"CHANGELOG.md": "# Changelog\n"})
    git(repository, "tag", "v1.4.2")
    git(repository, "switch", "-q", "-c", "elsewhere")
    return repository


def tasks(place: Path) -> Path:
    """Write an idea of three tasks, of which the last needs the others."""

    def task(name: str, text: str, *needs: str) -> Document:
        return {
            "id": name,
            "title": f"Write {name}",
            "touches": [f"{name}.txt"],
            "accepts": ["A1"],
            "depends_on": [{"task": need} for need in needs],
            "agent": {"operations": [HELLO | {"path": f"{name}.txt", "text": text}]},
        }

    parts = [task("one", "1\n"), task("two", "2\n"), task("three", "hello\n", "one", "two")]
    accept = {**GREETED, "command": "cat one.txt two.txt && grep -q hello three.txt"}
    return idea(place, "Count to three", tasks=parts, acceptance=[accept], change="feature")


def files(repository: Path, ref: str) -> list[str]:
    return git(repository, "ls-tree", "-r", "--name-only", ref).splitlines()


def test_a_recipe_arrives_as_a_branch_and_a_tag_and_the_work_tree_stays(begun: dict[str, Begun]):
    idea, repository, before = begun["recipe"]

    record = idea.completed()

    branch = f"slipway/{idea.key}"
    assert git(repository, "show", f"{branch}:sign.py") == (
        "class Sign:\n    pass\n\n\ndef text(name):\n    return f'{name}'"
    )
    assert head(repository, f"slipway-{idea.key}^{{commit}}") == head(repository, branch)
    assert head(repository) == before
    assert git(repository, "status", "--porcelain") == ""
    assert (repository / "sign.py").read_text() == OLD
    assert record["plan"]["created_by"] == "recipe modernise-python/1"


def test_the_record_says_what_the_contract_promises(begun: dict[str, Begun]):
    idea, repository, before = begun["changes"]

    record = idea.completed()

    release = record["releases"][0]
    assert record["schema"] == "slipway.record/1"
    assert IdeaRecord.model_validate(record).key == idea.key
    assert (record["base_sha"], record["repo"]["location"]) == (before, str(repository))
    assert (release["sha"], release["branch"]) == (head(repository), "main")
    assert [task["state"] for task in record["tasks"]] == ["Merged"]
    assert {gate["where"] for gate in record["gates"]} == {"task", "review", "train"}
    tests = [gate for gate in record["gates"] if gate["name"] == "tests"]
    assert [gate["counts"]["after"]["passed"] for gate in tests] == [2, 2, 2]
    assert [decision["phase"] for decision in record["decisions"]] == ["start", "plan", "merge"]
    assert (record["waits"], record["outcome"]["class"]) == ([], "none")


def test_a_bare_repository_moves_its_base_by_one_commit(begun: dict[str, Begun]):
    idea, repository, before = begun["changes"]

    idea.completed()

    assert head(repository, "main^") == before
    assert git(repository, "show", "main:hello.txt") == "hello"
    assert head(repository, "v0.1.0^{commit}") == head(repository)
    assert f"Slipway-Operation: {idea.key}/1/merge" in git(repository, "log", "-1", "--format=%B")
    assert git(repository, "branch", "--format=%(refname:short)").split() == ["main"]


def test_tasks_move_a_base_that_nobody_has_checked_out(begun: dict[str, Begun]):
    idea, repository, before = begun["tasks"]

    record = idea.completed()

    assert head(repository) == record["releases"][0]["sha"] != before
    assert {"one.txt", "two.txt", "three.txt"} <= set(files(repository, "main"))
    assert head(repository, "v1.5.0^{commit}") == head(repository)
    assert "- Count to three" in git(repository, "show", "main:CHANGELOG.md")
    assert git(repository, "branch", "--show-current") == "elsewhere"
    assert not (repository / "one.txt").exists()


def test_a_base_that_is_checked_out_is_never_moved(begun: dict[str, Begun]):
    idea, repository, before = begun["checked-out"]

    record = idea.completed()

    assert (head(repository), record["releases"][0]["base_moved"]) == (before, False)
    assert "hello.txt" in files(repository, f"slipway/{idea.key}")
    assert any("checked out" in note for note in record["notes"]), record["notes"]


def test_an_agent_of_ten_lines_delivers(begun: dict[str, Begun]):
    idea, repository, _ = begun["ten-lines"]

    record = idea.completed()

    top = git(repository, "show", "main:calc.py").splitlines()[0]
    assert top == "# SPDX-License-Identifier: Apache-2.0"
    assert record["tasks"][0]["attempts"][0]["backend"] == "stamp"
    assert len((EXAMPLE / "agents" / "stamp.sh").read_text().splitlines()) == 10


def test_the_same_idea_again_starts_nothing(slipway: Slipway, begun: dict[str, Begun]):
    idea, repository, _ = begun["changes"]
    idea.completed()
    merged = head(repository)

    again = idea.ended()

    assert (again.code, again.document["started"]) == (0, False)
    assert head(repository) == merged
    assert len(idea.record()["releases"]) == 1


def test_another_specification_cannot_have_the_key(
    slipway: Slipway, begun: dict[str, Begun], place: Path
):
    idea_, repository, _ = begun["changes"]
    other = idea(place, "Something else")

    answer = slipway("idea", "start", other, "--repo", repository, "--key", idea_.key)

    assert (answer.code, answer.error) == (2, "key_taken")


def test_of_two_starts_at_once_one_runs_and_the_other_is_told(slipway: Slipway, place: Path):
    repository = bare(place / "race.git")
    words = ("idea", "start", idea(place, "Say it once"), "--repo", repository, "--wait")

    racing = [slipway.popen(*words) for _ in range(2)]
    answers = [one.answer() for one in racing]

    assert [answer.code for answer in answers] == [0, 0], [told(answer) for answer in answers]
    assert sorted(answer.document["started"] for answer in answers) == [False, True]
    assert {answer.document["state"] for answer in answers} == {"Completed"}
    assert git(repository, "rev-list", "--count", "main") == "2"


def test_a_dry_run_plans_and_changes_nothing(slipway: Slipway, place: Path):
    repository = bare(place / "dry.git")
    before = head(repository)

    answer = slipway("idea", "start", idea(place, "Try it"), "--repo", repository, "--dry-run")

    assert (answer.code, answer.document["state"]) == (0, "ShadowCompleted"), told(answer)
    plan = slipway("idea", "plan", answer.document["key"]).document
    assert [task["id"] for task in plan["tasks"]] == ["change"]
    assert (head(repository), answer.document["releases"]) == (before, [])


def test_a_protected_path_waits_for_a_person_and_goes_on(slipway: Slipway, place: Path):
    repository = bare(place / "protected.git")
    change = HELLO | {"path": ".github/workflows/ci.yml"}
    accept = {**GREETED, "command": "grep -q hello .github/workflows/ci.yml"}
    file = idea(place, "Guard it", changes=[change], acceptance=[accept])
    started = slipway.begin(file, "--repo", repository)

    waits = started.ended()
    explained = started.tell("explain").document
    approved = started.tell("approve", "--reason", "looked at it")

    assert (waits.code, flags(waits.document)) == (4, ["AwaitingApproval"]), told(waits)
    assert "slipway idea approve" in str(explained), explained
    assert (approved.code, approved.document["state"]) == (0, "approved")
    record = started.until_state("Completed", "Failed", "Rejected")
    assert record["state"] == "Completed"
    given = record["approvals"][0]
    assert (given["state"], given["answers"][0]["reason"]) == ("approved", "looked at it")
    assert git(repository, "show", "main:.github/workflows/ci.yml") == "hello"


def test_what_is_denied_is_rejected_and_leaves_nothing(slipway: Slipway, place: Path):
    repository = bare(place / "denied.git")
    before = head(repository)
    started = slipway.begin(idea(place, "Deny it", approvals=["merge"]), "--repo", repository)
    started.until_waits("AwaitingApproval")

    assert started.tell("deny", "--reason", "no").code == 0

    ended = started.ended()
    assert (ended.code, ended.document["state"]) == (3, "Rejected"), told(ended)
    assert ended.document["outcome"]["class"] == "policy_denied"
    started.until(lambda _: not started.leftovers())
    assert head(repository) == before


def test_a_paused_idea_stands_still_until_it_is_resumed(slipway: Slipway, place: Path):
    repository = bare(place / "paused.git")
    script = 'while [ ! -e go.txt ]; do sleep 0.2; [ -n "$ANSWER_1" ] && touch go.txt; done'
    ask = (
        '[ -n "$ANSWER_1" ] || { echo \'{"questions": ["go?"]}\' > $SLIPWAY_RESULT_FILE; exit 20; }'
    )
    work = f"{ask}\n{script}\necho hello > hello.txt"
    started = slipway.begin(scripted(place, "Pause it", work), "--repo", repository)
    started.until_waits("AwaitingInput")

    assert started.tell("pause", "--reason", "lunch").code == 0
    paused = started.ended()
    refused = started.tell("pause")
    answered = started.tell("answer", "work-1-1", "yes")
    still = started.record()
    assert started.tell("resume").code == 0

    assert (paused.code, "Paused" in flags(paused.document)) == (4, True), told(paused)
    assert (refused.code, "paused already" in refused.text) == (2, True)
    assert answered.code == 0, answered
    assert "Paused" in flags(still)
    record = started.completed()
    assert record["inputs"][0]["answer"] == "yes"
    assert "hello.txt" in files(repository, "main")


def test_a_failed_task_is_retried(slipway: Slipway, place: Path):
    repository = bare(place / "retried.git")
    work = "[ $ATTEMPT -gt 1 ] || exit 1\necho hello > hello.txt"
    limits = {"attempts": 1}
    started = slipway.begin(
        scripted(place, "Try it twice", work, limits=limits), "--repo", repository
    )

    waits = started.ended()
    skipped = started.tell("skip", "work")
    retried = started.tell("retry", "work")

    assert (waits.code, flags(waits.document)) == (4, ["AwaitingInput"]), told(waits)
    assert (skipped.code, "only work covers A1" in skipped.text) == (2, True)
    assert retried.code == 0
    assert [a["attempt"] for a in started.completed()["tasks"][0]["attempts"]] == [1, 2]


def test_a_failed_task_is_skipped_with_what_needs_it(slipway: Slipway, place: Path):
    repository = bare(place / "skipped.git")
    good = {"id": "good", "title": "Good", "touches": ["hello.txt"], "accepts": ["A1"],
            "agent": {"operations": [HELLO]}}  # fmt: skip
    fails = {"backend": "obedient", "prompt": "exit 1", "limits": {"attempts": 1}}
    bad = {"id": "bad", "title": "Bad", "touches": ["bad.txt"], "agent": fails}
    after = {"id": "after", "title": "After", "touches": ["after.txt"], "agent": fails,
             "depends_on": [{"task": "bad"}]}  # fmt: skip
    file = idea(place, "Skip it", tasks=[good, bad, after])
    started = slipway.begin(file, "--repo", repository)
    started.until_waits("AwaitingInput")

    assert started.tell("skip", "bad").code == 0

    states = {task["id"]: task["state"] for task in started.completed()["tasks"]}
    assert states == {"good": "Merged", "bad": "Skipped", "after": "Skipped"}


def test_a_specification_that_cannot_be_judged_is_revised(slipway: Slipway, place: Path):
    repository = bare(place / "revised.git")
    vague = idea(place, "Say it clearly", acceptance=[{"id": "A1", "then": "it is good"}])
    started = slipway.begin(vague, "--repo", repository)

    waits = started.ended()
    revised = started.tell("revise", idea(place, "Say it well"))

    assert (waits.code, waits.document["state"]) == (4, "NeedsRefinement"), told(waits)
    assert revised.code == 0, revised
    record = started.until_state("Completed", "Failed")
    assert (record["state"], record["revision"]) == ("Completed", 2)


def test_a_goal_that_fits_nothing_asks_and_the_answer_leads_on(slipway: Slipway, place: Path):
    repository = bare(place / "asked.git")
    started = slipway.begin("--goal", "Make everything a bit nicer", "--repo", repository)

    waits = started.ended()
    question = waits.document["inputs"][0]
    answered = started.tell("answer", question["question"], "add-file path=nice.txt text=nice")

    assert (waits.code, waits.document["state"]) == (4, "Planning"), told(waits)
    assert "modernise-python" in question["options"]
    assert answered.code == 0
    started.completed()
    assert "nice.txt" in files(repository, "main")


def test_the_audit_chain_of_all_this_holds(slipway: Slipway, begun: dict[str, Begun]):
    for one in begun.values():
        one.idea.completed()

    answer = slipway("audit", "verify")

    assert (answer.code, answer.document["status"]) == (0, "unanchored"), answer
    assert answer.document["problems"] == []
    assert answer.document["size"] > 100
