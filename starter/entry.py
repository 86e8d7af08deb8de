"""The console entry point: runs the command line, tells every error in one shape, and leaves."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from starter.codes import Exit
from starter.leave import leave


def main() -> NoReturn:
    """Run `slipway` with the arguments of this process."""
    leave(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Whatever happens, nothing is raised."""
    from starter.cli import app

    _prepare_completion()
    try:
        code = app(args=list(arguments), prog_name="slipway", standalone_mode=False)
    except SystemExit as ended:  # shell completion leaves this way
        return ended.code if isinstance(ended.code, int) else Exit.OTHER
    except BaseException as error:
        from starter.telling import tell_error

        return tell_error(error, as_json=_wants_json(arguments))
    return code if isinstance(code, int) else Exit.DONE


def _prepare_completion() -> None:
    """Make the shells known when one asks for words.

    Typer does so itself only for an app with its options --install-completion and
    --show-completion; ours is the command `completion`.
    """
    if "_SLIPWAY_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors go to stdout as a document; known even when the rest cannot be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


if __name__ == "__main__":
    main()
