"""A checkout of a Python project that sees its environment, and itself first."""

import shutil
from pathlib import Path

from integrations.gates.environment import SYSTEM_PATH, Entered, Environment, Room
from integrations.gates.python_versions import pretended
from integrations.gates.workshop import inside

WITNESS = Path(__file__).parent / "inside" / "witness.py"


def enter(environment: Environment, room: Room) -> Entered:
    """Give a checkout an interpreter that sees the dependencies and, first, the checkout."""
    lay_venv(room.venv, environment.python, environment.python_prefix)
    site = room.venv / "lib" / environment.python_name / "site-packages"
    roots = [str(room.tree / root) for root in environment.roots]
    shared = [f"import site; site.addsitedir({str(environment.site)!r})"]
    (site / "a_slipway.pth").write_text("\n".join((*roots, *shared, "")))
    (room.path / "witness").mkdir(exist_ok=True)
    if environment.packages:
        shutil.copyfile(WITNESS, site / "slipway_witness.py")
        names = ",".join(environment.packages)
        line = f"import slipway_witness; slipway_witness.watch({names!r})\n"
        (site / "b_slipway.pth").write_text(line)
    kept = environment.kept
    for distribution in environment.distributions:
        shutil.copytree(kept / distribution.info, site / distribution.info, symlinks=True)
    _lay_files(kept / "files", room.tree)
    _lay_scripts(environment, room)
    return Entered(
        env={
            "PATH": f"{room.venv}/bin:{SYSTEM_PATH}",
            "VIRTUAL_ENV": str(room.venv),
            "PYTHONHASHSEED": "0",
            **pretended("0.0.0"),
        },
        readable=tuple(dict.fromkeys((environment.folder, *_prefix(environment)))),
    )


def _prefix(environment: Environment) -> tuple[str, ...]:
    prefix = environment.python_prefix
    return () if prefix.startswith("/usr") else (prefix,)


def witnessed(room: Room) -> tuple[bool, str]:
    """Return whether a module was seen, and the first that did not come from the checkout."""
    seen = False
    for file in sorted((room.path / "witness").glob("*")):
        if not inside(room.path, file):
            continue
        for line in file.read_text("utf-8", "replace").splitlines():
            where, _, rest = line.partition("\t")
            seen = True
            if where == "out":
                name, _, path = rest.partition("\t")
                return True, f"module {name} was loaded from {Path(path).name} outside the checkout"
    return seen, ""


def lay_venv(folder: Path, python: str, prefix: str) -> None:
    """Lay a virtual environment without pip (PEP 405): a configuration file and links."""
    name = Path(python).name
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / name / "site-packages").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(
        f"home = {Path(prefix, 'bin')}\ninclude-system-site-packages = false\n"
    )
    for link in ("python", "python3", name):
        (folder / "bin" / link).symlink_to(python)


def _lay_files(source: Path, tree: Path) -> None:
    for path in source.rglob("*"):
        target = tree / path.relative_to(source)
        if path.is_file() and inside(tree, target) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


# A script that starts with the interpreter beside it, wherever that is: to the shell the second
# line is a command, to Python it is a string.
_HEAD = "#!/bin/sh\n'''exec' \"$(dirname \"$0\")/python\" \"$0\" \"$@\"\n' '''\n"


def _lay_scripts(environment: Environment, room: Room) -> None:
    target = room.venv / "bin"
    for path in (Path(environment.folder) / "venv" / "bin").iterdir():
        if not inside(Path(environment.folder), path):
            continue
        if not path.is_file() or path.is_symlink() or (target / path.name).exists():
            continue
        with path.open("rb") as file:
            first = file.readline(400)
            body = file.read()
        if not first.startswith(b"#!"):
            (target / path.name).symlink_to(path)
        elif b"python" in first:
            _write_script(target / path.name, _HEAD.encode() + body)
        elif body.startswith(b"'''exec'"):
            _write_script(target / path.name, _HEAD.encode() + body.partition(b"'''\n")[2])
    for distribution in environment.distributions:
        for name, entry in distribution.scripts.items():
            if "/" not in name:
                _write_script(target / name, _HEAD.encode() + _start(entry).encode())


def _start(entry: str) -> str:
    module, _, attribute = entry.partition("[")[0].strip().partition(":")
    first = attribute.partition(".")[0]
    return f"import sys\nfrom {module} import {first}\nsys.exit({attribute}())\n"


def _write_script(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o755)
