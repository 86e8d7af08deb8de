"""`python -I -m integrations.builtin ORDER.json RESULT.json`, in the workspace."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from integrations.builtin.engine import Progress, run
from integrations.builtin.order import Order, Result

EVENTS = 3  # file descriptor for progress, one JSON document per line


def main(arguments: list[str]) -> int:
    """Carry out one order; exit 0 when it ran, 1 when it failed, 2 when the call is wrong."""
    if len(arguments) != 2:
        print("usage: python -m integrations.builtin ORDER.json RESULT.json", file=sys.stderr)
        return 2
    order_file, result_file = (Path(argument) for argument in arguments)
    progress = _tell if _listening() else _silent
    result = carry_out(order_file.read_bytes(), Path.cwd(), progress)
    result_file.write_text(result.model_dump_json(), encoding="utf-8")
    print(result.error or result.summary)
    return 1 if result.status == "failed" else 0


def carry_out(order: bytes, root: Path, progress: Progress) -> Result:
    """Read an order and apply it; an order that makes no sense is a failed result."""
    try:
        parsed = Order.model_validate_json(order)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return Result(status="failed", code="order", error=f"order: {where}: {first['msg']}")
    return run(parsed, root, progress)


def _listening() -> bool:
    """Say whether the descriptor was open when we began, before files of ours could take it."""
    try:
        os.fstat(EVENTS)
    except OSError:
        return False
    return True


def _tell(event: dict[str, Any]) -> None:
    """Write progress; a listener that went away does not stop the work."""
    with suppress(OSError):
        os.write(EVENTS, (json.dumps(event) + "\n").encode())


def _silent(event: dict[str, Any]) -> None:
    """Nobody listens."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
