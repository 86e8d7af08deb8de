"""Adapters are pure: an order becomes a command, an ending becomes a verdict."""

import json
import sys

import pytest

from domain.agent import AgentCommand, AgentOrder, AgentVerdict, Backend
from domain.delivery import FailureClass
from domain.operation import DeleteFile, Format, RuffFix
from domain.review import Finding
from integrations.builtin_agent import BuiltinAgent, repairs
from integrations.command_agent import CommandAgent


def order(**fields: object) -> AgentOrder:
    given = {
        "key": "k", "round": 1, "task": "t", "attempt": 1, "title": "T", "workspace": "/w",
        "home": "/h", **fields,
    }  # fmt: skip
    return AgentOrder.model_validate(given)


def command_agent(**declared: object) -> CommandAgent:
    given = {"name": "mine", "kind": "command", "argv": ("python3", "/opt/agent.py"), **declared}
    return CommandAgent(Backend.model_validate(given), {"KEY": "value-1", "OTHER": "x"})


def finding(rule: str, path: str = "a.py") -> Finding:
    return Finding(key=f"{rule}{path}", rule=rule, path=path)


def test_a_script_reads_its_task_and_the_program_itself():
    command = command_agent(env=("KEY", "MISSING"), readable=("/opt/tool",)).command(order())

    assert isinstance(command, AgentCommand)
    assert command.readable == ("/opt/agent.py", "/opt/tool")
    assert command.env == {
        "KEY": "value-1",
        "SLIPWAY_TASK_FILE": "/h/task.json",
        "SLIPWAY_RESULT_FILE": "/h/result.json",
    }
    assert not command.network


def test_values_passed_on_are_known_as_secrets_but_not_the_search_path():
    backend = Backend(name="mine", kind="command", argv=("x",), env=("PATH", "KEY"))

    agent = CommandAgent(backend, {"PATH": "/usr/bin", "KEY": "value-1"})

    assert agent.secrets == ("value-1",)


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ({"kind": "tool", "text": "ls"}, "tool", "ls"),
        ({"kind": "surprise", "message": "hm"}, "message", "hm"),
        ({"data": {"a": 1}}, "message", "{'a': 1}"),
        ({"kind": ["x"], "text": None}, "message", "None"),
    ],
)
def test_any_event_has_a_kind_and_a_text(line, kind, text):
    event = command_agent().events(line)

    assert event is not None
    assert (event.kind, event.text) == (kind, text)


@pytest.mark.parametrize(
    ("exit_code", "status", "failure"),
    [
        (0, "ran", FailureClass.NONE),
        (10, "no_change", FailureClass.NONE),
        (30, "quota", FailureClass.QUOTA),
        (1, "failed", FailureClass.UNKNOWN),
        (-9, "failed", FailureClass.UNKNOWN),
        (None, "failed", FailureClass.UNKNOWN),
    ],
)
def test_the_exit_code_is_the_word_of_a_script(exit_code, status, failure):
    verdict = command_agent().verdict((), exit_code, {"status": "changed", "retry_at": "noon"})

    assert (verdict.status, verdict.failure) == (status, failure)


def test_quota_tells_when_to_come_back():
    assert "noon" in command_agent().verdict((), 30, {"retry_at": "noon"}).reason


def test_a_single_question_may_be_plain_text():
    verdict = command_agent().verdict((), 20, {"questions": "which?"})

    assert (verdict.status, verdict.questions) == ("needs_input", ("which?",))


@pytest.mark.parametrize("usage", [{"input_tokens": -1}, "many", None])
def test_usage_that_makes_no_sense_is_none(usage):
    assert command_agent().verdict((), 0, {"usage": usage}).usage.input_tokens == 0


def test_builtin_runs_in_our_interpreter_with_its_order_in_a_file():
    agent = BuiltinAgent(Backend(name="builtin", kind="builtin"), sys.executable)

    command = agent.command(order(operations=(DeleteFile(path="a"),), touches=("src/**",)))

    assert isinstance(command, AgentCommand)
    assert command.argv[:4] == (sys.executable, "-I", "-m", "integrations.builtin")
    assert json.loads(command.files["order.json"]) == {
        "operations": [{"op": "delete_file", "path": "a"}],
        "touches": ["src/**"],
        "forbid": [],
        "dry_run": False,
    }


def test_builtin_without_operations_says_so_instead_of_running():
    agent = BuiltinAgent(Backend(name="builtin", kind="builtin"), sys.executable)

    verdict = agent.command(order())

    assert verdict == AgentVerdict(status="no_change", reason="the task has no operations")


@pytest.mark.parametrize(
    ("exit_code", "result", "status"),
    [
        (0, {"status": "changed", "edits": [{"op": "o", "path": "a"}]}, "ran"),
        (0, {"status": "no_change", "summary": "as it was"}, "no_change"),
        (0, {}, "failed"),
        (1, {"status": "failed", "error": "bad pattern"}, "failed"),
        (-9, {"status": "changed"}, "failed"),
    ],
)
def test_builtin_is_believed_only_with_a_result(exit_code, result, status):
    agent = BuiltinAgent(Backend(name="builtin", kind="builtin"), sys.executable)

    verdict = agent.verdict((), exit_code, result)

    assert verdict.status == status
    assert verdict.generated == (("a",) if status == "ran" else ())
    assert status == "ran" or verdict.reason


def test_findings_of_the_linter_become_fixes_of_just_these_rules_and_files():
    found = (finding("F401", "b.py"), finding("UP006", "a.py"), finding("F401", "a.py"))

    assert repairs(found) == (RuffFix(select=("F401", "UP006"), paths=("a.py", "b.py")),)


def test_findings_of_layout_become_a_format():
    assert repairs((finding("E501"), finding("W291", "c.py"))) == (
        Format(paths=("a.py", "c.py"), changed_only=False),
    )


@pytest.mark.parametrize("rule", ["tests", "arg-type", "", "secrets", "F401 "])
def test_other_findings_become_nothing(rule):
    assert repairs((finding(rule),)) == ()


def test_a_repair_is_bounded():
    (operation,) = repairs(tuple(finding("F401", f"{n}.py") for n in range(100)))

    assert isinstance(operation, RuffFix)
    assert len(operation.paths) == 20
