"""Finding an idea: its key or the beginning of it, its place in the Temporal UI."""

from difflib import get_close_matches
from urllib.parse import quote

from config.settings import Settings
from domain.delivery import TERMINAL, Stage, Wait
from domain.errors import Rejected
from domain.plan import Plan
from domain.record_view import Evidence, IdeaFilter, IdeaLine, IdeaRecord, LogView
from starter.codes import Exit
from starter.reads import Reads
from starter.state import running

# Waits that only a person can end; the others end by time or by what else runs.
FOR_A_PERSON = ("AwaitingInput", "AwaitingApproval", "Paused", "NeedsBackend", "BlockedOnBudget")
_SUCCESS = ("Completed", "ShadowCompleted")
_LOOKED_THROUGH = 500


def open_reads(chosen: Settings) -> Reads:
    """Return the reads of this home's records and artifacts."""
    return Reads(chosen.database, chosen.artifacts)


async def full_key(reads: Reads, given: str) -> str:
    """Return the key of the idea that is meant: the key itself or an unambiguous beginning.

    Raises `Rejected` with what was perhaps meant.
    """
    if await reads.find(given):
        return given
    keys = [line.key for line in await reads.list_ideas(limit=_LOOKED_THROUGH)]
    begun = [key for key in keys if key.startswith(given)]
    if len(begun) == 1:
        return begun[0]
    close = begun or get_close_matches(given, keys, n=3, cutoff=0.5)
    told = f"Did you mean {', '.join(close[:5])}?" if close else "`slipway idea list` shows all."
    raise Rejected(f"There is no idea {given!r}", code="unknown_idea", path=given, hint=told)


async def record_of(chosen: Settings, reads: Reads, given: str) -> IdeaRecord:
    """Return the whole record of an idea, with the address of its page where we know it."""
    key = await full_key(reads, given)
    return await reads.record(key, ui_url(chosen, key))


def ui_url(chosen: Settings, key: str) -> str:
    """Return the page of an idea's workflow in the Temporal UI that runs here; else empty."""
    state = running(chosen.home)
    if state is None or not state.server.ui:
        return ""
    workflow = quote(f"idea/{key}", safe="")
    return f"{state.server.ui}/namespaces/{state.server.namespace}/workflows/{workflow}"


def ended(record: IdeaRecord) -> bool:
    """Whether the idea has reached its end."""
    return record.state in TERMINAL


def for_a_person(waits: tuple[Wait, ...]) -> tuple[Wait, ...]:
    """Return the waits that only a person can end."""
    return tuple(wait for wait in waits if wait.flag in FOR_A_PERSON)


def exit_code(record: IdeaRecord) -> int:
    """Return the exit code that stands for where an idea is."""
    if ended(record):
        return Exit.DONE if record.state in _SUCCESS else Exit.ENDED
    return Exit.WAITS if for_a_person(record.waits) else Exit.DONE


async def ideas(
    reads: Reads, active: bool, states: tuple[str, ...], text: str, limit: int
) -> tuple[IdeaLine, ...]:
    """Return the lines of ideas, newest first; raises `Rejected` for a state that is none."""
    known = {stage.value.lower(): stage for stage in Stage}
    for state in states:
        if state.lower() not in known:
            raise Rejected(
                f"{state} is no state of an idea",
                code="unknown_state",
                path="state",
                hint=f"There are {', '.join(stage.value for stage in Stage)}.",
            )
    wanted = IdeaFilter(
        states=tuple(known[state.lower()] for state in states), active=active, text=text
    )
    return await reads.list_ideas(wanted, limit)


async def plan_of(reads: Reads, given: str) -> Plan:
    """Return the newest plan of an idea; raises `Rejected` while there is none."""
    key = await full_key(reads, given)
    plan = await reads.whole_plan(key)
    if plan is None:
        hint = f"`slipway idea explain {key}` says where it is."
        raise Rejected(f"{key} has no plan yet", code="no_plan", path=key, hint=hint)
    return plan


async def evidence_of(reads: Reads, given: str) -> Evidence:
    """Return what proves the outcome of an idea."""
    return await reads.evidence(await full_key(reads, given))


async def logs_of(
    reads: Reads, given: str, task: str, name: str
) -> tuple[tuple[LogView, str], ...]:
    """Return logs with their text, oldest first; `task` and `name` empty: all."""
    found = await reads.logs(await full_key(reads, given), task)
    return tuple(
        [
            (log, (await reads.artifact(log.ref)).decode("utf-8", "replace"))
            for log in found
            if name in ("", log.name)
        ]
    )
