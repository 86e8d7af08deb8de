"""A program of the operator: JSON in, JSON out, a time limit, and an end for its whole group."""

import asyncio
import json
import os
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from domain.errors import Misconfigured, Rejected, Unavailable

_MOST = 16 * 1024 * 1024  # bytes of an answer
_TAIL = 600  # characters of complaint that are told
_GRACE = 5.0  # seconds from TERM to KILL
_KINDS = {"rejected": Rejected, "unavailable": Unavailable, "misconfigured": Misconfigured}
# sysexits.h: EX_DATAERR, EX_CONFIG; everything else may pass by itself
_EXITS = {65: Rejected, 78: Misconfigured}


class Program:
    """Runs one program once per question; cancelling ends all that it has started in its group."""

    def __init__(self, argv: tuple[str, ...], folder: Path, env: Mapping[str, str]) -> None:
        """`env` is the complete environment, `folder` where it runs and may keep things."""
        self._argv = argv
        self._folder = folder
        self._env = env

    async def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer; raises what it says, or what its exit code means.

        Raises `Misconfigured` (`no_program`, `bad_answer`) too, `Unavailable` (`timeout`).
        """
        # Files, not pipes: whatever it leaves in the background may keep them open.
        with (
            tempfile.TemporaryFile() as asked,
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as complained,
        ):
            asked.write(json.dumps(question).encode() + b"\n")
            asked.seek(0)
            process = await self._start(asked, said, complained)
            try:
                async with asyncio.timeout(seconds):
                    code = await process.wait()
            except TimeoutError as error:
                raise Unavailable(
                    f"{self._name} did not answer `{question['op']}` within {seconds:g} s"
                    f"{_words(complained)}",
                    code="timeout",
                ) from error
            finally:
                if process.returncode is None:
                    await _uncancelled(_end(process))
            return self._answer(str(question["op"]), code, said, complained)

    @property
    def _name(self) -> str:
        return f"the driver program `{' '.join(self._argv)[:120]}`"

    async def _start(self, asked: BinaryIO, said: BinaryIO, complained: BinaryIO) -> Process:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asked,
                stdout=said,
                stderr=complained,
                cwd=self._folder,
                env=dict(self._env),
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise Misconfigured(
                f"{self._name} cannot be run: {error}",
                code="no_program",
                hint="`command` of the environment names a program of this machine, by its whole "
                "path or on PATH",
            ) from error
        except OSError as error:
            raise Unavailable(f"{self._name} cannot be run: {error}", code="no_process") from error

    def _answer(self, op: str, code: int, said: BinaryIO, complained: BinaryIO) -> dict[str, Any]:
        answer = _parsed(said)
        if answer is not None and isinstance(answer.get("error"), dict):
            _refuse(f"{self._name}, `{op}`", answer["error"], code)
        if code:
            raise _EXITS.get(code, Unavailable)(
                f"{self._name} ended `{op}` with {_how(code)}{_words(complained)}",
                code="build_failed" if op == "build" else "exit",
            )
        if answer is None:
            raise Misconfigured(
                f"{self._name} answered `{op}` with what is no JSON object{_words(complained)}",
                code="bad_answer",
                hint="it prints one JSON object to its standard output, and nothing else",
            )
        return answer


def _parsed(said: BinaryIO) -> dict[str, Any] | None:
    said.seek(0)
    text = said.read(_MOST + 1)
    try:
        answer = json.loads(text) if len(text) <= _MOST else None
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _refuse(who: str, told: Mapping[str, Any], code: int) -> NoReturn:
    kind = _KINDS.get(str(told.get("kind", "")).lower(), _EXITS.get(code, Rejected))
    raise kind(
        f"{who}: {str(told.get('message', '')) or 'refused'}"[:2_000],
        code=str(told.get("code", "")) or "refused",
        hint=str(told.get("hint", ""))[:500],
    )


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _words(complained: BinaryIO) -> str:
    """Return the end of what it wrote to its standard error."""
    end = complained.seek(0, os.SEEK_END)
    complained.seek(max(0, end - 4 * _TAIL))
    text = complained.read().decode("utf-8", "replace").strip()[-_TAIL:]
    return f": {text}" if text else ""


async def _end(process: Process) -> None:
    """End the whole group: asked first, killed after `_GRACE` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _send(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
                break
    _send(process.pid, signal.SIGKILL)


def _send(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def _uncancelled(work: Any) -> None:
    """Finish a clean-up, also when cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
