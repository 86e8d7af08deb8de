"""The commands of the workflows, in order: a change must be meant, and needs a patch or a history.

After a change that replays (or a new patch): `python -m tests.workflows.test_fingerprint`.
"""

import ast
import json
from pathlib import Path

ROOM = Path(__file__).parents[2] / "workflows"
BASELINE = Path(__file__).parents[1] / "histories" / "commands.txt"
COMMANDS = (
    "execute_activity_method", "start_activity_method", "start_child_workflow",
    "execute_child_workflow", "sleep", "wait_condition", "upsert_search_attributes",
    "continue_as_new", "signal", "patched", "get_external_workflow_handle",
)  # fmt: skip


def fingerprint() -> str:
    """Return, per function, the calls that become commands, in the order of the source."""
    lines = []
    for path in sorted(ROOM.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                commands = [told for node in ast.walk(function) if (told := _command(node))]
                if commands:
                    lines.append(f"{path.stem}.{function.name}: {json.dumps(commands)}")
    return "\n".join(lines) + "\n"


def _command(node: ast.AST) -> str:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return ""
    if node.func.attr not in COMMANDS:
        return ""
    target = node.args[0] if node.args else None
    named = ast.unparse(target) if isinstance(target, ast.Attribute) else ""
    return f"{node.func.attr} {named}".rstrip()


def test_commands_are_those_that_the_histories_were_recorded_with():
    assert BASELINE.read_text(encoding="utf-8") == fingerprint(), (
        "commands of a workflow have changed: open runs may not replay. Guard the change with "
        "workflow.patched, or record new histories before a first release; then write the new "
        "baseline with `python -m tests.workflows.test_fingerprint`"
    )


if __name__ == "__main__":
    BASELINE.write_text(fingerprint(), encoding="utf-8")
