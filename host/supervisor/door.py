"""The door `host.sock`: one JSON object per line is an order, one line is its answer."""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, get_args

from pydantic import ValidationError

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.record import Record
from host.supervisor.supervised import Tell

LONGEST = 1024 * 1024  # bytes of one order

Words = Mapping[type[Record], Callable[[Any], Awaitable[dict[str, Any]]]]


class Door:
    """Serves connections; an order that was understood is carried out even if its sender leaves."""

    def __init__(self, words: Words, tell: Tell) -> None:
        self._words = {get_args(kind.model_fields["op"].annotation)[0]: (kind, do)
                       for kind, do in words.items()}  # fmt: skip
        self._tell = tell
        self._orders: set[asyncio.Task[dict[str, Any]]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it is closed."""
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # gone, or a line without end
            return
        finally:
            writer.close()

    async def idle(self) -> None:
        """Wait until all that was ordered is done."""
        if self._orders:
            await asyncio.wait(self._orders)

    async def _answer(self, line: bytes) -> dict[str, Any]:
        task = asyncio.create_task(self._carry_out(line))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)
        return await asyncio.shield(task)

    async def _carry_out(self, line: bytes) -> dict[str, Any]:
        try:
            order, do = self._understood(line)
            return await do(order)
        except (Rejected, Unavailable, Misconfigured) as error:
            return _told(error, error.problem.code, error.problem.hint)
        except Exception as error:
            self._tell(f"fault of the supervisor: {traceback.format_exc()}")
            return _told(Unavailable(f"the supervisor failed: {error!r}"), "fault", "see its log")

    def _understood(self, line: bytes) -> tuple[Record, Callable[[Any], Awaitable[dict[str, Any]]]]:
        try:
            said = json.loads(line)
            kind, do = self._words[said["op"]]
            return kind.model_validate(said), do
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Rejected(f"{said['op']}: {where}: {first['msg']}", code="bad_order") from error
        except (ValueError, KeyError, TypeError) as error:
            with suppress(Exception):
                line = line[:200]
            raise Rejected(f"{line!r} is no order that is known here", code="bad_order") from error


def _told(error: Exception, code: str, hint: str) -> dict[str, Any]:
    kind = type(error).__name__
    return {"error": {"code": code, "message": str(error), "hint": hint, "kind": kind}}
