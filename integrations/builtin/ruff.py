"""Ruff's safe fixes and its formatter, isolated from what the repository configures."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruff.__main__ import find_ruff_bin

from domain.errors import Misconfigured, Rejected
from domain.operation import Format, RuffFix
from integrations.builtin.python_version import target_version
from integrations.builtin.work import Work

SECONDS = 300  # limit of one run of ruff
ALONE = ("--isolated", "--no-cache", "--quiet", ".")


def ruff_fix(operation: RuffFix, work: Work) -> None:
    """Fix what is always safe to fix; findings without a safe fix stay."""
    paths = work.tree.editable(operation.paths)
    target = operation.target_version or target_version(work.tree)
    options = ["check", "--fix", "--exit-zero", f"--select={','.join(operation.select)}"]
    if operation.ignore:
        options.append(f"--ignore={','.join(operation.ignore)}")
    _run(work, paths, [*options, f"--target-version={target}"])


def unused_imports(work: Work, paths: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the imports that nothing in their own file uses, as dotted names by path."""
    with TemporaryDirectory(prefix="slipway-ruff-") as folder:
        if not _copy(work, paths, Path(folder)):
            return {}
        options = ["check", "--exit-zero", "--select=F401", "--output-format=json"]
        found = json.loads(_call(work, [*options, *ALONE], folder) or b"[]")
    unused: dict[str, tuple[str, ...]] = {}
    for finding in found:
        named = re.match(r"`([^`]+)`", finding["message"])
        path = Path(finding["filename"]).relative_to(Path(folder).resolve()).as_posix()
        if named:
            unused[path] = (*unused.get(path, ()), named.group(1).partition(" as ")[0])
    return unused


def format_files(operation: Format, work: Work) -> None:
    """Format; a file that ruff cannot parse stays as it is."""
    changed = set(work.tree.changed)
    paths = tuple(
        path
        for path in work.tree.editable(operation.paths)
        if path in changed or not operation.changed_only
    )
    length = operation.line_length or _line_length(work)
    _run(work, paths, ["format", f"--line-length={length}"])


def _run(work: Work, paths: tuple[str, ...], options: list[str]) -> None:
    """Let ruff edit copies, so that it can touch nothing else, and take over the result."""
    with TemporaryDirectory(prefix="slipway-ruff-") as folder:
        originals = _copy(work, paths, Path(folder))
        if not originals:
            return
        _call(work, [*options, *ALONE], folder)
        for path, before in originals.items():
            after = (Path(folder) / path).read_bytes()
            if after != before:
                work.put_bytes(path, after)


def _copy(work: Work, paths: tuple[str, ...], folder: Path) -> dict[str, bytes]:
    """Copy files that are UTF-8 text, as ruff reads nothing else; return their bytes."""
    originals = {}
    for path in paths:
        document = work.tree.document(path)
        if document is None or document.encoding != "utf-8":
            continue
        data = document.encode(document.text)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        originals[path] = data
    return originals


def _call(work: Work, options: list[str], folder: str) -> bytes:
    """Run ruff in a folder and return what it printed."""
    binary = work.ruff or _found()
    try:
        ended = subprocess.run(
            [binary, *options], cwd=folder, capture_output=True, timeout=SECONDS, check=False
        )
    except OSError as error:
        raise Misconfigured(
            f"ruff cannot be started from {binary}: {error.strerror}",
            code="ruff_missing",
            hint="install slipway's requirements again",
        ) from None
    except subprocess.TimeoutExpired:
        raise Rejected(f"ruff did not end within {SECONDS} s", code="ruff_timeout") from None
    if ended.returncode and options[0] == "check":
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise Rejected(f"ruff refused: {said[0] if said else ended.returncode}", code="ruff")
    return ended.stdout


def _found() -> str:
    try:
        return str(find_ruff_bin())
    except FileNotFoundError:
        raise Misconfigured(
            "ruff is not installed beside the interpreter of slipway",
            code="ruff_missing",
            hint="install slipway's requirements again",
        ) from None


def _line_length(work: Work) -> int:
    """Return the line length that the project configures for ruff or black, else 88."""
    for path, tables in (("ruff.toml", ()), (".ruff.toml", ()), ("pyproject.toml", ("tool",))):
        found = _configured(work.tree.read(path), tables)
        if found:
            return found
    return 88


def _configured(data: bytes | None, tables: tuple[str, ...]) -> int:
    try:
        settings: dict[str, Any] = tomllib.loads((data or b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return 0
    tool = settings.get("tool") if tables else {"ruff": settings}
    tool = tool if isinstance(tool, dict) else {}
    named = (tool.get(name) for name in ("ruff", "black"))
    lengths = (table.get("line-length") for table in named if isinstance(table, dict))
    length = next((length for length in lengths if length), 0)
    return length if isinstance(length, int) and re.fullmatch(r"\d{1,3}", str(length)) else 0
