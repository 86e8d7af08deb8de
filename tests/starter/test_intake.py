import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from domain.errors import Refused, Rejected
from domain.idea import Mode, Trust
from starter.intake import Wanted, look_over, take
from starter.place import person
from tests.starter.test_repository import git
from tests.starter.test_repository import repo as repo

IDEA = """\
title: Say hello
goal: The service says hello.
acceptance:
  - {id: A1, kind: command, command: "true"}
changes:
  - {op: add_file, path: hello.txt, text: "hello"}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "idea.yaml"
    path.write_text(IDEA)
    return path


def test_the_door_sets_who_starts_it(repo: Path, file: Path):
    idea = take(Wanted(file=str(file), repo=str(repo))).idea

    assert (person(), "human", Trust.OWNER, "cli") == (
        idea.initiator.id,
        idea.initiator.kind,
        idea.initiator.trust,
        idea.source.channel,
    )


@pytest.mark.parametrize("field", ["initiator", "trust", "source"])
def test_a_file_that_says_who_starts_it_is_refused(repo: Path, file: Path, field: str):
    file.write_text(f"{IDEA}{field}: {{}}\n")

    with pytest.raises(Refused, match=field):
        take(Wanted(file=str(file), repo=str(repo)))


def test_the_same_file_has_the_same_key_in_one_repository_only(repo: Path, file: Path, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(repo), "other.git")

    first, second, other = (
        take(Wanted(file=str(file), repo=str(where))).idea
        for where in (repo, repo, tmp_path / "other.git")
    )

    assert first.key.startswith("say-hello-")
    assert first.key == second.key != other.key


def test_options_beside_a_file_name_it(repo: Path, file: Path):
    idea = take(Wanted(file=str(file), repo=str(repo), title="Other", key="mine", priority=1)).idea

    assert (idea.key, idea.spec.title, idea.spec.priority) == ("mine", "Other", 1)


@pytest.mark.parametrize("field", ["recipe", "agent", "goal"])
def test_a_file_and_an_option_that_both_say_what_to_do_are_refused(file: Path, field: str):
    with pytest.raises(Rejected, match=f"--{field} and a file") as caught:
        take(Wanted(file=str(file)).but(**{field: "x"}))

    assert caught.value.problem.code == "ambiguous_work"


def test_nothing_wanted_is_refused_with_an_example():
    with pytest.raises(Rejected, match="Nothing says what is wanted") as caught:
        take(Wanted())

    assert "slipway idea start" in caught.value.problem.hint


def test_a_goal_for_an_agent_is_judged_by_the_commands_given(repo: Path):
    spec = take(
        Wanted(
            repo=str(repo),
            agent="mine",
            goal="Do it.\nAll of it.",
            paths=("src/**",),
            accept=("true", "test -f x"),
        )
    ).idea.spec

    assert (spec.title, spec.agent, spec.scope.include) == ("Do it.", "mine", ("src/**",))
    assert [one.command for one in spec.acceptance] == ["true", "test -f x"]


def test_a_goal_without_command_is_judged_by_the_tests_of_the_repository(repo: Path):
    taken = take(Wanted(repo=str(repo), agent="mine", goal="Do it."))

    assert [one.verified_by for one in taken.idea.spec.acceptance] == ["tests"]
    assert taken.problems == ()


def test_an_unknown_recipe_is_refused_before_anything_starts(repo: Path):
    with pytest.raises(Refused) as caught:
        take(Wanted(repo=str(repo), recipe="nope"))

    assert caught.value.problems[0].code == "unknown_recipe"


def test_a_parameter_that_is_no_pair_is_refused(repo: Path):
    with pytest.raises(Rejected, match="--param x is not NAME=VALUE"):
        take(Wanted(repo=str(repo), recipe="rename-symbol", params=("x",)))


def test_a_dry_run_is_marked(repo: Path, file: Path):
    assert take(Wanted(file=str(file), repo=str(repo), dry_run=True)).idea.mode is Mode.DRY_RUN


def test_stdin_is_read_once(repo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(IDEA.encode())))

    assert look_over(Wanted(file="-")).idea.spec.title == "Say hello"


def test_a_file_is_checked_without_a_repository(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)

    assert look_over(Wanted(file=str(file))).problems == ()


def test_a_repository_that_is_named_must_be_there(file: Path):
    with pytest.raises(Rejected, match="/nonexistent is not a folder"):
        look_over(Wanted(file=str(file), repo="/nonexistent"))


def test_what_only_validating_refuses_is_returned(repo: Path, file: Path):
    file.write_text("title: Too vague\n")

    problems = take(Wanted(file=str(file), repo=str(repo))).problems

    assert {"no_work", "not_measurable"} == {problem.code for problem in problems}


def test_the_settings_for_a_repository_without_one_travel_along(repo: Path, file: Path, tmp_path):
    config = tmp_path / "slipway.yaml"
    config.write_text("schema: slipway.repo/1\n")

    idea = take(Wanted(file=str(file), repo=str(repo), repo_config=str(config))).idea

    assert idea.repository.config_file == "schema: slipway.repo/1\n"
