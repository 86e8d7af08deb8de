"""The command line from outside: exit codes, the one shape of errors, one document on stdout."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from starter import entry
from starter.codes import Exit
from tests.starter.test_intake import IDEA
from tests.starter.test_repository import repo as repo


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "idea.yaml"
    path.write_text(IDEA)
    return path


def test_help_takes_less_than_three_tenths_of_a_second_of_a_processor():
    # Not of the clock: other tests may have the processors. The bench looks at the clock.
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(
            [sys.executable, "-m", "starter.entry", "--help"], capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    assert run.returncode == 0
    assert "idea" in run.stdout
    assert min(spent) < 0.3


def test_the_command_line_is_assembled_without_what_commands_need():
    code = "import starter.cli, sys; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout

    assert "typer" in loaded.split()
    assert not {"temporalio", "sqlalchemy", "pydantic", "yaml", "asyncio"} & set(loaded.split())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["--help"], Exit.DONE),
        (["--version"], Exit.DONE),
        (["idea", "list"], Exit.DONE),
        (["recipes"], Exit.DONE),
        (["down"], Exit.DONE),
        (["audit", "verify"], Exit.DONE),
        (["frobnicate"], Exit.INVALID),
        (["idea", "start", "--priority", "9"], Exit.INVALID),
        (["idea", "show", "nope"], Exit.INVALID),
        (["idea", "check", "/nonexistent.yaml"], Exit.INVALID),
        (["recipes", "nope"], Exit.INVALID),
        (["init"], Exit.INVALID),
        (["policy", "explain", "--fact", "x=1"], Exit.INVALID),
        (["audit", "verify", "--head", "x"], Exit.INVALID),
    ],
)
def test_each_end_has_its_code(line: list[str], code: Exit, capsys: pytest.CaptureFixture[str]):
    assert entry.run(line) == code


def test_an_error_is_one_document_with_the_contract(capsys: pytest.CaptureFixture[str]):
    code = entry.run(["idea", "show", "nope", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == Exit.INVALID
    assert set(told["error"]) == {"code", "message", "path", "line", "hint"}
    assert told["error"]["code"] == "unknown_idea"


def test_a_wrong_command_line_is_a_document_too(capsys: pytest.CaptureFixture[str]):
    code = entry.run(["idea", "strat", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert (code, told["error"]["code"]) == (Exit.INVALID, "usage")


def test_a_broken_file_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "bad.yaml"
    path.write_text("title: A\ntitle: B\n")

    code = entry.run(["idea", "check", str(path), "--json"])

    told = json.loads(capsys.readouterr().out)["error"]
    assert (code, told["line"]) == (Exit.INVALID, 2)


def test_all_problems_are_told_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "vague.yaml"
    path.write_text("title: Too vague\n")

    code = entry.run(["idea", "check", str(path)])

    said = capsys.readouterr()
    assert (code, said.out) == (Exit.INVALID, "")
    assert said.err.count("error: ") == 2


def test_a_valid_file_is_said_to_be_valid(file: Path, capsys: pytest.CaptureFixture[str]):
    code = entry.run(["idea", "check", str(file), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert (code, told["valid"], told["title"]) == (Exit.DONE, True, "Say hello")


def test_without_a_server_nothing_starts(
    file: Path, repo: Path, capsys: pytest.CaptureFixture[str]
):
    code = entry.run(["idea", "start", str(file), "--repo", str(repo), "--json"])

    told = json.loads(capsys.readouterr().out)["error"]
    assert (code, told["code"]) == (Exit.UNREACHABLE, "not_running")
    assert "slipway up" in told["hint"]


def test_a_setting_that_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SLIPWAY_AGENT_SLOTS", "many")

    code = entry.run(["idea", "list"])

    assert code == Exit.OTHER
    assert "SLIPWAY_AGENT_SLOTS is 'many'" in capsys.readouterr().err


def test_a_fault_of_ours_ends_with_1_and_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(operator: Path) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr("starter.recipes.listed", fail)

    code = entry.run(["recipes"])

    said = capsys.readouterr().err
    assert code == Exit.OTHER
    assert "ZeroDivisionError: by design" in said
    assert "Traceback" in said


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch):
    def interrupt(operator: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("starter.recipes.listed", interrupt)

    assert entry.run(["recipes"]) == Exit.INTERRUPTED


def test_a_reader_that_goes_away_is_no_fault():
    line = f"{sys.executable} -m starter.entry recipes modernise-python | head -c 1"
    run = subprocess.run(["bash", "-c", line], capture_output=True, text=True)

    assert run.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_us(shell: str, capsys: pytest.CaptureFixture[str]):
    assert entry.run(["completion", shell]) == Exit.DONE
    assert "_SLIPWAY_COMPLETE" in capsys.readouterr().out


def test_the_shell_completes_commands(monkeypatch: pytest.MonkeyPatch):
    run = subprocess.run(
        [sys.executable, "-m", "starter.entry"],
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/bin",
            "_SLIPWAY_COMPLETE": "complete_bash",
            "COMP_WORDS": "slipway idea ex",
            "COMP_CWORD": "2",
        },
    )

    assert run.stdout.split() == ["explain"]
