"""`python -m host --home DIR`: one supervisor, until it is told to end; what it keeps goes on."""

import argparse
import asyncio
import ctypes
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from host.supervisor import logs
from host.supervisor.address import bind_door
from host.supervisor.door import LONGEST, Door
from host.supervisor.folder import Folder, hold
from host.supervisor.supervisor import Supervisor

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
RUNS_ALREADY = 3  # exit code


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or the order to end; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m host", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the state folder of slipway")
    folder = Folder(parser.parse_args(arguments).home.absolute() / "host")
    if sys.platform != "linux":
        return _refuse("the supervisor needs Linux (pidfd, /proc)")
    try:
        folder.make()
        lock = hold(folder.lock)
    except OSError as error:
        return _refuse(f"the folder of the host cannot be used: {error}")
    if lock is None:
        _refuse(f"a supervisor of {folder.path} runs already")
        return RUNS_ALREADY
    asyncio.run(serve(folder))
    return 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


async def serve(folder: Folder) -> None:
    """Look after everything; the caller holds the lock of the folder."""

    def tell(line: str) -> None:
        logs.note(folder.log("host"), line)
        logs.turn(folder.log("host"))

    adopt_orphans()
    supervisor = Supervisor(folder, tell, _version())
    door = Door(supervisor.words, tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.ending.set)
    await supervisor.take_up()
    listener = bind_door(folder.door)
    server = await asyncio.start_unix_server(door.serve, sock=listener, limit=LONGEST)
    tell("ready")
    await supervisor.ending.wait()
    server.close()
    await supervisor.shut()
    folder.door.unlink(missing_ok=True)
    tell("ended")


def adopt_orphans() -> None:
    """Become the parent of what dead services leave behind (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _version() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:
        return ""
