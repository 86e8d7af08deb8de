"""Starting the up process, in the foreground or in the background, and ending it.

`python -m starter.background REPORT_FD` is the background process; it reports one JSON line.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from config.settings import Settings
from domain.errors import Misconfigured, Problem, Rejected, Unavailable
from domain.record import Record
from starter.files import CappedLog, locked, tail
from starter.leave import leave
from starter.place import command, foreign_server, settings
from starter.processes import end
from starter.server import Tell, obtain
from starter.state import UpState, read_state, running
from starter.up import Announce, Up

_STARTING_SECONDS = 10
_ENDING_SECONDS = 60  # workers finish what they do


class Started(Record):
    """`started` is false when it had been running before."""

    started: bool
    state: UpState | None = None


class Report(Record):
    """What the background process tells the one that started it: ready, or why not."""

    started: Started | None = None
    error: Problem | None = None
    kind: str = ""


def run_up(
    chosen: Settings, tell: Tell, announce: Announce, workers: Sequence[str] = ()
) -> Started:
    """Serve in this process until it is asked to stop; returns at once when one runs already.

    Raises `Unavailable` or `Misconfigured` when something does not start.
    """
    with locked(chosen.home / "up.lock", wait=False) as held:
        if not held:
            return Started(started=False, state=_other(chosen.home))
        up = Up(chosen, _logged(chosen.home / "logs" / "up.log", tell), workers)
        up.prepare()
        asyncio.run(up.serve(announce))
        return Started(started=True)


def _logged(path: Path, tell: Tell) -> Tell:
    log = CappedLog(path)

    def told(line: str) -> None:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n".encode())
        tell(line)

    return told


def _other(home: Path) -> UpState:
    """Return the state of the process that holds the lock; it may still be starting."""
    deadline = time.monotonic() + _STARTING_SECONDS
    while (state := running(home)) is None:
        if time.monotonic() > deadline:
            raise Unavailable(
                f"Another `slipway up` of {home} is starting or ending",
                code="up_busy",
                path=str(home),
                hint="Try again in a moment; `slipway down` ends it.",
            )
        time.sleep(0.05)
    return state


def start_up(chosen: Settings, tell: Tell, workers: Sequence[str] = ()) -> Started:
    """Start it in the background and return when it is ready, or when it was running already.

    Raises what `run_up` raises.
    """
    if state := running(chosen.home):
        return Started(started=False, state=state)
    if foreign_server() is None:
        obtain(chosen, tell)  # here, so that the progress of a long build is seen
    reading, writing = os.pipe()
    errors = chosen.home / "logs" / "up.err"
    errors.parent.mkdir(parents=True, exist_ok=True)
    with errors.open("wb") as sink:
        subprocess.Popen(
            [*command("starter.background"), str(writing), *workers],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=(writing,),
        ).wait()  # it leaves its own child behind
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answers:
        line = answers.readline()
    return _understood(line, errors)


def _understood(line: str, errors: Path) -> Started:
    if not line:
        raise Unavailable(
            f"The background process ended while it was starting: {tail(errors, 3)}",
            code="up_died",
            path=str(errors),
            hint="`slipway up` in the foreground shows what happens.",
        )
    report = Report.model_validate_json(line)
    if report.started:
        return report.started
    assert report.error is not None
    told = report.error
    kind = Misconfigured if report.kind == "Misconfigured" else Unavailable
    raise kind(told.message, code=told.code, path=told.path, line=told.line, hint=told.hint)


def end_up(chosen: Settings) -> UpState | None:
    """End the up process of this home and wait until all it ran is gone; None: none ran.

    Raises `Unavailable` when it does not end.
    """
    state = read_state(chosen.home)
    if state is None or not state.alive:
        return None
    if not end(state.pid, state.born, patience=_ENDING_SECONDS):
        raise Unavailable(
            f"`slipway up` (process {state.pid}) does not end",
            code="down_stuck",
            hint=f"Its log is {state.logs}/up.log; end the process by hand.",
        )
    return state


def main(arguments: Sequence[str]) -> NoReturn:
    """Run in the background, report to the descriptor given, and leave."""
    report_fd = int(arguments[0])
    _detach()
    os.set_inheritable(report_fd, False)

    def report(told: Report) -> None:
        os.write(report_fd, told.model_dump_json().encode() + b"\n")

    def announce(state: UpState) -> None:
        report(Report(started=Started(started=True, state=state)))
        os.close(report_fd)

    try:
        started = run_up(settings(), lambda _: None, announce, arguments[1:])
    except (Misconfigured, Rejected, Unavailable) as error:
        report(Report(error=error.problem, kind=type(error).__name__))
        leave(1)
    if not started.started:
        report(Report(started=started))
    leave(0)


def _detach() -> None:
    """Become a child of nobody: who started us need not outlive us, nor reap us."""
    if os.fork():
        os._exit(0)
    os.setsid()


if __name__ == "__main__":
    main(sys.argv[1:])
