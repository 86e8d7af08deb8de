"""The builtin agent as a backend: our own interpreter, operations in, edits out."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import domain
from domain.agent import AgentCommand, AgentEvent, AgentOrder, AgentVerdict, Backend, Edit
from domain.delivery import FailureClass
from domain.operation import Format, Operation, RuffFix
from domain.review import Finding
from integrations.sandbox import interpreter_paths

ORDER, RESULT = "order.json", "result.json"
LONGEST_REPAIR = 20  # paths in one repair
_RUFF_RULE = re.compile(r"^[A-Z]{1,6}[0-9]{3,4}$")
_LAYOUT = re.compile(r"^(?:[EW][1-7][0-9]{2}|format)$")  # what a formatter mends


class BuiltinAgent:
    """Pure: says which command to run and what its result means."""

    secrets: tuple[str, ...] = ()

    def __init__(self, backend: Backend, python: str) -> None:
        self.backend = backend
        self._python = python
        sources = (str(Path(__file__).parent), str(Path(domain.__file__).parent))
        self._readable = (*interpreter_paths(python), *sources)

    def command(self, order: AgentOrder, version: str = "") -> AgentCommand | AgentVerdict:
        """Return the command, or the verdict where findings name nothing that it could mend."""
        operations = repairs(order.findings) if order.findings else order.operations
        if not operations:
            return AgentVerdict(status="no_change", reason=_nothing_to_do(order))
        return self.run(operations, order.home, touches=order.touches, forbid=order.forbid)

    def run(
        self,
        operations: tuple[Operation, ...],
        home: str,
        *,
        touches: tuple[str, ...] = (),
        forbid: tuple[str, ...] = (),
        dry_run: bool = False,
    ) -> AgentCommand:
        """Return the command that carries out these operations."""
        document = {
            "operations": [operation.model_dump(mode="json") for operation in operations],
            "touches": touches or ("**",),
            "forbid": forbid,
            "dry_run": dry_run,
        }
        return AgentCommand(
            argv=(self._python, "-I", "-m", "integrations.builtin",
                  f"{home}/{ORDER}", f"{home}/{RESULT}"),
            files={ORDER: json.dumps(document)},
            result=RESULT,
            readable=self._readable,
        )  # fmt: skip

    def events(self, line: Mapping[str, Any]) -> AgentEvent | None:
        """Return what a line of progress means."""
        text = str(line.get("text") or line.get("op") or line.get("path") or "")
        return AgentEvent(kind="tool", text=text[:500])

    def verdict(
        self, events: tuple[AgentEvent, ...], exit_code: int | None, result: Mapping[str, Any]
    ) -> AgentVerdict:
        """Return what the agent says about its run."""
        summary = str(result.get("summary", ""))
        if exit_code == 0 and result.get("status") in ("changed", "no_change"):
            generated = tuple(dict.fromkeys(edit.path for edit in edits(result)))
            status = "ran" if result["status"] == "changed" else "no_change"
            return AgentVerdict.model_validate({
                "status": status, "summary": summary, "generated": generated,
                "reason": "" if status == "ran" else summary or "no operation found anything to do",
            })  # fmt: skip
        return AgentVerdict(
            status="failed",
            failure=FailureClass.DETERMINISTIC_ERROR,
            reason=str(result.get("error") or f"the builtin agent ended with {exit_code}"),
            summary=summary,
        )


def edits(result: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Return the edits of a result of the builtin agent."""
    return tuple(Edit.model_validate(edit) for edit in result.get("edits", ()))


def repairs(findings: tuple[Finding, ...]) -> tuple[Operation, ...]:
    """Return operations that may mend what gates found: lint fixes and layout, nothing else."""
    layout = [finding for finding in findings if _LAYOUT.match(finding.rule)]
    lint = [
        finding
        for finding in findings
        if finding not in layout and finding.path and _RUFF_RULE.match(finding.rule)
    ]
    found: list[Operation] = []
    if lint:
        rules = tuple(sorted({finding.rule for finding in lint}))
        found.append(RuffFix(select=rules, paths=_paths(lint)))
    if layout and _paths(layout):
        found.append(Format(paths=_paths(layout), changed_only=False))
    return tuple(found)


def _paths(findings: list[Finding]) -> tuple[str, ...]:
    paths = sorted({finding.path for finding in findings if finding.path})
    return tuple(paths[:LONGEST_REPAIR])


def _nothing_to_do(order: AgentOrder) -> str:
    if not order.findings:
        return "the task has no operations"
    rules = sorted({finding.rule or finding.key for finding in order.findings})
    return f"no operation mends {', '.join(rules[:5])}"
