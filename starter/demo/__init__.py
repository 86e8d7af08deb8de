"""The demo: a sample service in a bare repository, one idea, from specification to a tag."""

import asyncio
from pathlib import Path

from config.settings import Settings
from domain.record_view import IdeaRecord
from starter.background import start_up
from starter.codes import Exit
from starter.demo.repository import log_of, make_repository
from starter.following import View, at_first_wait, follow
from starter.intake import Wanted, take
from starter.live import view
from starter.lookup import exit_code, open_reads
from starter.place import settings
from starter.starting import begin
from starter.telling import emit, note, show

IDEA = Path(__file__).with_name("idea.yaml")


def run(*, as_json: bool) -> int:
    """Start what is needed, deliver the idea, tell the story; leave everything to look at."""
    chosen = settings()
    note("1  slipway up: a Temporal server, its web UI and the workers, on loopback")
    state = start_up(chosen, note).state
    repository = make_repository(chosen.home / "demo")
    note(f"2  a small service in a bare repository: {repository}")
    note(f"3  the idea: {IDEA}")
    record = asyncio.run(_deliver(chosen, repository, view()))
    code = exit_code(record)
    if as_json:
        emit(record)
    else:
        _tell(record, repository, state.server.ui if state is not None else "")
    return Exit.OTHER if code == Exit.WAITS else code


async def _deliver(chosen: Settings, repository: Path, shown: View) -> IdeaRecord:
    reads = open_reads(chosen)
    try:
        idea = take(Wanted(file=str(IDEA), repo=str(repository))).idea
        begun = await begin(chosen, reads, idea, again=False)
        return await follow(chosen, reads, begun.key, shown, at_first_wait)
    finally:
        await reads.close()


def _tell(record: IdeaRecord, repository: Path, ui: str) -> None:
    from starter.render import board

    show(board(record))
    show("\nWhat is in the repository now:")
    show(log_of(repository))
    # Not wrapped: these are there to be copied.
    print("\nLook at it:")
    print(f"  the story      {record.ui_url or ui or 'the Temporal web UI'}")
    print(f"  on record      slipway idea show {record.key}")
    print(f"  the plan       slipway idea plan {record.key}")
    print(f"  the evidence   slipway idea evidence {record.key}")
    print(f"  the change     git -C {repository} show --stat HEAD")
    print("  the audit      slipway audit verify")
    print("\nThe server and the workers go on running; `slipway down` stops them.")
