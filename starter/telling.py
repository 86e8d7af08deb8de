"""What commands print: one JSON document or text on stdout, progress and errors on stderr."""

import errno
import json
import math
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starter.codes import Exit

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from domain.errors import Problem


def emit(document: Any) -> None:
    """Print one JSON document on one line of stdout."""
    if hasattr(document, "model_dump"):
        document = document.model_dump(mode="json", by_alias=True)
    print(json.dumps(_finite(document), ensure_ascii=True, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    """Return `value` with what JSON has no number for as text (RFC 8259, section 6)."""
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity" if value < 0 else "NaN"
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def console(*, stderr: bool = False) -> "Console":
    """Return the terminal; markup in texts of others is never interpreted."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else int(os.environ.get("COLUMNS", "100"))
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def show(*parts: "RenderableType") -> None:
    """Print for people, on stdout, each part on lines of its own."""
    terminal = console()
    for part in parts:
        # Addresses and commands in plain lines must stay whole, to be opened and copied.
        terminal.print(part, soft_wrap=isinstance(part, str))


def note(line: str) -> None:
    """Print a line of progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def tell_error(error: BaseException, *, as_json: bool) -> int:
    """Print an error in the one shape that all have; the exit code that goes with it."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return _pipe_closed()
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        return _pipe_closed()
    code, problems = _understood(error)
    if as_json:
        emit({"error": problems[0].model_dump(), "problems": [p.model_dump() for p in problems]})
    elif not _shown_by_typer(error):
        _show_problems(problems)
    if code == Exit.OTHER and problems[0].code == "fault":
        traceback.print_exception(error, file=sys.stderr)
    return code


def _pipe_closed() -> int:
    """Nobody reads on; what is still buffered must not fail again at exit."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (lives as long as we do)
    return Exit.OTHER


def _understood(error: BaseException) -> tuple[int, "Sequence[Problem]"]:
    """Return the exit code of an error and what is told of it."""
    from domain.errors import Misconfigured, Problem, Refused, Rejected, Unavailable

    if isinstance(error, Refused):
        return Exit.INVALID, error.problems
    if isinstance(error, Rejected):
        return Exit.INVALID, (error.problem,)
    if isinstance(error, Unavailable):
        return Exit.UNREACHABLE, (error.problem,)
    if isinstance(error, Misconfigured):
        return Exit.OTHER, (error.problem,)
    if usage := getattr(error, "format_message", None):
        hint = "`slipway --help` lists the commands, `slipway COMMAND --help` their options."
        return Exit.INVALID, (Problem(code="usage", message=usage(), hint=hint),)
    message = f"{type(error).__name__}: {error}"
    return Exit.OTHER, (Problem(code="fault", message=message, hint="Please report this."),)


def _shown_by_typer(error: BaseException) -> bool:
    """Show a wrong command line with the usage of the command."""
    if not hasattr(error, "format_message"):
        return False
    from typer.rich_utils import rich_format_error

    rich_format_error(error)  # type: ignore[arg-type]
    return True


def _show_problems(problems: "Sequence[Problem]") -> None:
    from rich.text import Text

    terminal = console(stderr=True)
    for problem in problems:
        terminal.print(Text.assemble(("error: ", "bold red"), problem.message), soft_wrap=True)
        if problem.hint:
            terminal.print(Text.assemble(("  ", ""), (problem.hint, "dim")), soft_wrap=True)
