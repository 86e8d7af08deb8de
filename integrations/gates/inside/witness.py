"""Writes down, at the exit of each Python process, where the project's modules came from.

Installed into the environment of a checkout as `slipway_witness` and started by a .pth file, so
that it sees any test runner and every process that a test starts with the same interpreter.
"""

# os.path starts faster than pathlib, and this starts with every process.
# ruff: noqa: PTH118, PTH120, PTH123
import atexit
import os
import sys


def watch(names: str) -> None:
    """Note at exit which of these modules (comma separated) were loaded, and from where."""
    room = os.path.dirname(os.path.realpath(sys.prefix))
    atexit.register(_note, names.split(","), room, os.getpid())


def _note(names: "list[str]", room: str, pid: int) -> None:
    if os.getpid() != pid:  # a forked child: its parent speaks for it
        return
    lines = []
    tree = os.path.join(room, "tree") + os.sep
    for name in names:
        path = _origin(sys.modules.get(name))
        if path:
            inside = os.path.realpath(path).startswith(tree)
            lines.append(("in" if inside else "out") + "\t" + name + "\t" + path + "\n")
    if not lines:
        return
    try:
        with open(os.path.join(room, "witness", str(pid)), "a", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError:
        pass


def _origin(module: object) -> str:
    path = getattr(module, "__file__", None)
    return path if isinstance(path, str) else ""
