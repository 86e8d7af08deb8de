"""Any script as an agent: a file in, a tree and a file out, the exit code as its word."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from domain.agent import AgentCommand, AgentEvent, AgentOrder, AgentVerdict, Backend, Usage
from domain.delivery import FailureClass

TASK, RESULT = "task.json", "result.json"
KINDS = ("started", "message", "tool", "file", "usage", "warning", "error", "result")
MOST_QUESTIONS = 10


class CommandAgent:
    """Pure: the file protocol of a declared script.

    Exit 0 ran, 10 no change, 20 needs input, 30 quota, anything else failed.
    """

    def __init__(self, backend: Backend, environment: Mapping[str, str]) -> None:
        """`environment` is the worker's; only the declared names are taken from it."""
        self.backend = backend
        self._env = {name: environment[name] for name in backend.env if name in environment}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that were passed on and must not be stored with what the agent said."""
        return tuple(value for name, value in self._env.items() if name != "PATH")

    def command(self, order: AgentOrder, version: str = "") -> AgentCommand | AgentVerdict:
        """Return the command; paths that stand in it can be read, nothing else of the host."""
        named = tuple(word for word in self.backend.argv if word.startswith("/"))
        return AgentCommand(
            argv=self.backend.argv,
            env={
                **self._env,
                "SLIPWAY_TASK_FILE": f"{order.home}/{TASK}",
                "SLIPWAY_RESULT_FILE": f"{order.home}/{RESULT}",
            },
            files={TASK: json.dumps(task_document(order), ensure_ascii=False, indent=1)},
            result=RESULT,
            readable=(*named, *self.backend.readable),
            network=self.backend.network,
        )

    def events(self, line: Mapping[str, Any]) -> AgentEvent | None:
        """Return what a line on descriptor 3 means; unknown kinds are messages."""
        kind = line.get("kind")
        text = line.get("text", line.get("message", line.get("data", "")))
        return AgentEvent.model_validate(
            {"kind": kind if kind in KINDS else "message", "text": str(text)[:500]}
        )

    def verdict(
        self, events: tuple[AgentEvent, ...], exit_code: int | None, result: Mapping[str, Any]
    ) -> AgentVerdict:
        """Return what the agent says; of its result only questions, summary and usage count."""
        told = AgentVerdict(
            status="ran",
            summary=str(result.get("summary", ""))[:4_000],
            questions=_questions(result),
            usage=_usage(result),
        )
        match exit_code:
            case 0:
                return told
            case 10:
                return told.but(status="no_change", reason="the agent says: nothing to change")
            case 20:
                return _needs_input(told)
            case 30:
                reason = f"quota used up, again at {result.get('retry_at') or 'an unknown time'}"
                return told.but(status="quota", failure=FailureClass.QUOTA, reason=reason[:200])
            case _:
                reason = f"the agent {self.backend.name} ended with exit code {exit_code}"
                return told.but(status="failed", failure=FailureClass.UNKNOWN, reason=reason)


def task_document(order: AgentOrder) -> dict[str, Any]:
    """Return what the script reads: schema `slipway.task/1`."""
    return {
        "schema": "slipway.task/1",
        "key": order.key,
        "round": order.round,
        "task": order.task,
        "attempt": order.attempt,
        "title": order.title,
        "prompt": order.prompt,
        "workspace": order.workspace,
        "touches": order.touches,
        "forbid": order.forbid,
        "findings": [finding.model_dump(mode="json") for finding in order.findings],
        "answers": order.answers,
        "limits": order.limits.model_dump(mode="json"),
    }


def _needs_input(told: AgentVerdict) -> AgentVerdict:
    if told.questions:
        return told.but(status="needs_input", failure=FailureClass.NEEDS_INPUT)
    reason = "the agent asked for input (exit 20) but its result holds no questions"
    return told.but(status="failed", failure=FailureClass.UNKNOWN, reason=reason)


def _questions(result: Mapping[str, Any]) -> tuple[str, ...]:
    asked = result.get("questions", ())
    words = [asked] if isinstance(asked, str) else asked if isinstance(asked, list) else []
    return tuple(str(word)[:1_000] for word in words[:MOST_QUESTIONS])


def _usage(result: Mapping[str, Any]) -> Usage:
    try:
        return Usage.model_validate(result.get("usage", {}))
    except ValidationError:
        return Usage()
