"""Run the operations of an order, one after the other, all or nothing."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from domain.agent import Edit
from domain.errors import Misconfigured, Rejected
from integrations.builtin.order import Note, Order, Result
from integrations.builtin.tree import Tree
from integrations.builtin.work import Work

# Modules are imported when first needed: a parser of Python alone takes half a second.
HANDLERS = {
    "add_file": "files",
    "add_file_from_template": "files",
    "delete_file": "files",
    "move_file": "files",
    "apply_patch": "patch",
    "replace_text": "text",
    "regex_replace": "text",
    "update_changelog": "changelog",
    "set_key": "keys",
    "dependency_bump": "dependencies",
    "ruff_fix": "ruff",
    "format": "ruff",
    "rename_symbol": "rename",
    "move_symbol": "move",
    "add_parameter": "signatures",
    "change_default": "signatures",
    "ensure_import": "imports",
    "remove_import": "imports",
    "remove_dead_imports": "dead_imports",
    "replace_call": "calls",
    "wrap_call": "calls",
    "add_decorator": "structure",
    "insert_function": "structure",
    "replace_function": "structure",
    "insert_method": "structure",
    "add_dataclass_field": "structure",
    "structural_rewrite": "patterns",
    "generate_tests": "criteria_tests",
    "add_endpoint": "endpoints",
    "add_cli_option": "options",
    "add_feature_flag": "flags",
}

Handler = Callable[[Any, Work], None]
Progress = Callable[[dict[str, Any]], None]


def handler(op: str) -> Handler:
    """Return the function that applies operations of this name."""
    module = import_module(f"integrations.builtin.{HANDLERS[op]}")
    found: Handler = getattr(module, op if op != "format" else "format_files")
    return found


def run(order: Order, root: Path, progress: Progress = lambda event: None) -> Result:
    """Apply an order to the folder `root`; a refused operation leaves every file as it was."""
    tree = Tree(root, order.touches, order.forbid)
    edits: list[Edit] = []
    notes: list[Note] = []
    for index, operation in enumerate(order.operations):
        progress({"kind": "started", "op": operation.op, "index": index})
        work = Work(operation.op, tree, ruff=order.ruff)
        try:
            handler(operation.op)(operation, work)
        except (Rejected, Misconfigured) as error:
            return _failed(error, operation.op, index, notes)
        edits += work.edits
        notes += work.notes
        progress({"kind": "edited", "op": operation.op, "files": len(work.edits)})
    if edits and not order.dry_run:
        tree.flush()
    return _ended(edits, notes)


def _failed(error: Rejected | Misconfigured, op: str, index: int, notes: list[Note]) -> Result:
    problem = error.problem
    return Result(
        status="failed",
        notes=tuple(notes[:100]),
        error=f"operation {index + 1} ({op}): {problem.message}",
        code=problem.code,
        hint=problem.hint,
    )


def _ended(edits: list[Edit], notes: list[Note]) -> Result:
    paths = {edit.path for edit in edits}
    inserted = sum(edit.insertions for edit in edits)
    deleted = sum(edit.deletions for edit in edits)
    summary = f"{len(paths)} files changed, {inserted} lines inserted, {deleted} deleted"
    return Result(
        status="changed" if edits else "no_change",
        edits=tuple(edits),
        notes=tuple(notes[:100]),
        summary=summary if edits else "nothing to change",
    )
