"""Backends as declared, and where an agent may write."""

import pytest
from pydantic import ValidationError

from domain.agent import (
    Backend,
    BackendLimits,
    command_limits,
    lower,
    out_of_scope,
    stopped,
    subject,
)
from domain.command import CommandOutcome
from domain.delivery import FailureClass
from domain.plan import TaskLimits


def test_a_command_backend_needs_a_command():
    with pytest.raises(ValidationError, match="has argv"):
        Backend(name="mine", kind="command")


def test_a_declaration_says_schema_name_kind_and_command():
    backend = Backend.model_validate(
        {"schema": "slipway.agent/1", "name": "mine", "kind": "command", "argv": ["sh", "-c", "x"]}
    )

    assert (backend.argv, backend.network) == (("sh", "-c", "x"), False)


def test_only_a_command_backend_has_a_command():
    with pytest.raises(ValidationError, match="any other has none"):
        Backend(name="mine", kind="builtin", argv=("sh",))


def test_a_backend_can_only_lower_limits():
    task = TaskLimits(wall_seconds=100, idle_seconds=50, memory_mib=10, processes=9)

    lowered = lower(task, BackendLimits(wall_seconds=20, memory_mib=99))

    assert lowered == task.but(wall_seconds=20)


def test_a_task_without_paths_may_change_any():
    assert out_of_scope(("a.py", "b/c.txt"), (), ()) == ()


def test_tells_the_paths_outside_those_of_the_task():
    paths = ("src/a.py", "src/deep/b.py", "docs/x.md")

    assert out_of_scope(paths, ("src/**",), ()) == ("docs/x.md",)


def test_what_is_forbidden_stays_so_within_the_paths_of_the_task():
    paths = ("src/a.py", "src/b.py", "src/c.py")

    assert out_of_scope(paths, ("src/**",), ("src/b.py",), ("**/c.py",)) == (
        "src/b.py",
        "src/c.py",
    )


def test_tests_of_changed_files_are_in_scope_when_the_task_says_so():
    paths = ("src/a.py", "tests/test_a.py", "tests/test_other.py", "web/a.test.ts", "tests/data")

    assert out_of_scope(paths, ("src/**", "@tests"), ()) == (
        "tests/test_other.py",
        "web/a.test.ts",
        "tests/data",
    )


def test_tests_of_a_named_file_are_in_scope_though_it_is_unchanged():
    assert out_of_scope(("tests/test_a.py",), ("src/a.py", "@tests"), ()) == ()
    assert out_of_scope(("tests/test_a.py",), ("src/a.py",), ()) == ("tests/test_a.py",)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tests/test_a.py", "a.py"),
        ("pkg/a_test.go", "a.go"),
        ("a.test.ts", "a.ts"),
        ("spec/a_spec.rb", "a.rb"),
        ("a.py", ""),
        ("Makefile", ""),
    ],
)
def test_finds_what_a_test_file_tests(path, name):
    assert subject(path) == name


@pytest.mark.parametrize(
    ("ended", "failure", "words"),
    [
        ("timeout_wall", FailureClass.TIMEOUT_WALL, "longer than 7 s"),
        ("timeout_idle", FailureClass.TIMEOUT_IDLE, "nothing for 6 s"),
        ("memory", FailureClass.DETERMINISTIC_ERROR, "5 MiB"),
        ("processes", FailureClass.DETERMINISTIC_ERROR, "4 processes"),
    ],
)
def test_a_limit_that_ended_an_agent_is_told_with_its_value(ended, failure, words):
    limits = TaskLimits(wall_seconds=7, idle_seconds=6, memory_mib=5, processes=4)

    verdict = stopped(CommandOutcome(ended=ended), limits)

    assert verdict is not None
    assert (verdict.status, verdict.failure) == ("failed", failure)
    assert words in verdict.reason


def test_an_agent_that_ended_by_itself_was_not_stopped():
    assert stopped(CommandOutcome(ended="exited"), TaskLimits()) is None


def test_a_tasks_limits_are_those_of_its_command():
    limits = command_limits(TaskLimits(wall_seconds=7, idle_seconds=6, memory_mib=5, processes=4))

    assert (limits.wall_seconds, limits.idle_seconds) == (7, 6)
    assert (limits.memory_mib, limits.processes) == (5, 4)
