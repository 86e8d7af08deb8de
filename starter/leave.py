"""How every short process of ours ends."""

import contextlib
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """Flush and end at once, without the interpreter's own farewell.

    A process that has used a Temporal client aborts in 3 to 10 of 100 interpreter exits
    (temporalio/sdk-python#300), after correct output and with a wrong exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
