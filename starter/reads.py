"""What doors read: the records, the audit chain, artifacts; nothing is written here."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, TypeVar

from sqlalchemy import Connection

from domain.audit import Chain, ChainReport, Head
from domain.errors import Misconfigured
from domain.insight import Deployment, MergedChange
from domain.plan import Plan
from domain.record import ArtifactRef
from domain.record_view import (
    EventView,
    Evidence,
    IdeaFilter,
    IdeaLine,
    IdeaRecord,
    LogView,
    OpenQuestions,
    PlanView,
)
from domain.rollout import Served
from domain.rollout_view import RolloutFilter, RolloutLine, RolloutRecord
from domain.tick import Tick
from domain.way_back import PastRollout
from integrations import audit_log, insight_rows, rollout_reads, rollout_rows, rollout_views, views
from integrations.access import connect
from integrations.artifacts import ArtifactFiles
from integrations.engine import exists, parse, told
from integrations.migrations import newer, schema_of
from integrations.tables import SCHEMA

T = TypeVar("T")


class Reads:
    """Reads the records at `url`; use it as `async with Reads(url) as reads`.

    A database that does not exist yet is an empty one. Methods raise `Unavailable` and
    `Misconfigured`, those with a key also `Rejected` (code `unknown_idea`).
    """

    def __init__(self, url: str, artifacts: Path | None = None) -> None:
        self._url = parse(url)
        self._access = connect(self._url, 5, read_only=True)
        self._artifacts = ArtifactFiles(artifacts) if artifacts else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the database."""
        await self._access.close()

    async def list_ideas(
        self, wanted: IdeaFilter | None = None, limit: int = 50
    ) -> tuple[IdeaLine, ...]:
        """Return the newest ideas first."""
        work = partial(views.lines, wanted=wanted or IdeaFilter(), limit=limit)
        return await self._read(work, lambda: ())

    async def find(self, key: str) -> IdeaLine | None:
        """Return one idea as a line of the list; None: there is none."""
        return await self._read(partial(views.find, key=key), lambda: None)

    async def record(self, key: str, ui_url: str = "") -> IdeaRecord:
        """Return the `slipway.record/1` document of an idea."""
        return await self._about(key, partial(views.record, key=key, ui_url=ui_url))

    async def plan(self, key: str) -> PlanView | None:
        """Return the newest plan of an idea, by reference."""
        return await self._about(key, partial(views.plan, key=key))

    async def whole_plan(self, key: str) -> Plan | None:
        """Return the newest plan of an idea from the artifacts."""
        plan = await self.plan(key)
        return Plan.model_validate_json(await self.artifact(plan.artifact)) if plan else None

    async def evidence(self, key: str) -> Evidence:
        """Return what proves the outcome of an idea."""
        return await self._about(key, partial(views.evidence, key=key))

    async def logs(self, key: str, task: str = "") -> tuple[LogView, ...]:
        """Return references to transcripts and gate logs; `task` empty: all of the idea."""
        return await self._about(key, partial(views.logs, key=key, task=task))

    async def artifact(self, ref: ArtifactRef) -> bytes:
        """Return the bytes of an artifact."""
        if self._artifacts is None:
            raise Misconfigured("No artifact folder was named", code="artifact_folder")
        return await self._artifacts.get(ref)

    async def events_after(self, key: str, idea_seq: int = 0) -> tuple[EventView, ...]:
        """Return what happened to an idea after its `idea_seq`; of an unknown one nothing."""
        work = partial(views.events_after, key=key, idea_seq=idea_seq)
        return await self._read(work, lambda: ())

    async def open_questions(self, key: str = "") -> OpenQuestions:
        """Return all that waits for a person, of one idea or of all."""
        return await self._read(partial(views.open_questions, key=key), OpenQuestions)

    async def list_rollouts(
        self, wanted: RolloutFilter | None = None, limit: int = 50
    ) -> tuple[RolloutLine, ...]:
        """Return the newest rollouts first."""
        work = partial(rollout_views.lines, wanted=wanted or RolloutFilter(), limit=limit)
        return await self._read(work, lambda: ())

    async def rollouts_begun(self, start: str, limit: int = 50) -> tuple[str, ...]:
        """Return the newest rollouts whose id begins like this."""
        work = partial(rollout_views.begun, start=start, limit=limit)
        return await self._read(work, lambda: ())

    async def rollout(self, rollout: str) -> RolloutRecord:
        """Return the `slipway.rollout/1` document; raises `Rejected` (`unknown_rollout`)."""

        def absent() -> RolloutRecord:
            raise rollout_views.unknown(rollout)

        return await self._read(partial(rollout_views.record, rollout=rollout), absent)

    async def ticks(self, rollout: str) -> tuple[Tick, ...]:
        """Return all that the judge saw of a rollout, in the order of step and seq."""
        return await self._read(partial(rollout_rows.ticks, rollout=rollout), lambda: ())

    async def ticks_after(self, rollout: str, step: int, seq: int) -> tuple[Tick, ...]:
        """Return the ticks that came after one, in the same order."""
        work = partial(rollout_reads.ticks_after, rollout=rollout, step=step, seq=seq)
        return await self._read(work, lambda: ())

    async def past_rollouts(self, target: str) -> tuple[PastRollout, ...]:
        """Return all rollouts of a target that were planned, oldest first."""
        work = partial(rollout_reads.past_rollouts, target=target)
        return await self._read(work, lambda: ())

    async def served(self, target: str) -> tuple[Served | None, Served | None]:
        """Return what a target serves now, and the last release that passed there."""
        return await self._read(partial(rollout_rows.served, target=target), lambda: (None, None))

    async def recent_traffic(self, target: str) -> tuple[float, float]:
        """Return requests per second and the error share of lately; 0 and 0: nothing is known."""
        work = partial(rollout_rows.target_traffic, target=target)
        return await self._read(work, lambda: (0.0, 0.0))

    async def merged_changes(self, repository: str = "") -> tuple[MergedChange, ...]:
        """Return every round that moved its base branch; `repository` (its id) empty: of all."""
        work = partial(insight_rows.merged_changes, repository=repository)
        return await self._read(work, lambda: ())

    async def deployments(self, environment: str, repository: str = "") -> tuple[Deployment, ...]:
        """Return the rollouts that had traffic in an environment, oldest first."""
        work = partial(insight_rows.deployments, environment=environment, repository=repository)
        return await self._read(work, lambda: ())

    async def audit(self, head: Head | None = None) -> ChainReport:
        """Verify the audit chain; `head` is an anchor that was kept elsewhere."""
        return await self._read(
            partial(audit_log.verify_chain, head=head), lambda: Chain(head).report()
        )

    async def export(self, out: TextIO, *, texts: bool = True) -> Head:
        """Write the audit chain as JSON lines, with the free text or only its commitments."""
        empty = Head(size=0, sha256=Chain().report().sha256)
        return await self._read(
            partial(audit_log.export_chain, out=out, texts=texts), lambda: empty
        )

    async def _about(self, key: str, work: Callable[[Connection], T]) -> T:
        def absent() -> T:
            raise views.unknown(key)

        return await self._read(work, absent)

    async def _read(self, work: Callable[[Connection], T], absent: Callable[[], T]) -> T:
        if not exists(self._url):
            return absent()
        with told(self._url):
            return await self._access.run(partial(_if_there, work=work, absent=absent))


def _if_there(conn: Connection, work: Callable[[Connection], T], absent: Callable[[], T]) -> T:
    found = schema_of(conn)
    if not found:
        return absent()
    if found > SCHEMA:
        raise newer(found)
    if found < SCHEMA:
        raise Misconfigured(
            f"The database has schema {found}; this slipway reads {SCHEMA}",
            code="older_schema",
            hint="`slipway up` upgrades it.",
        )
    return work(conn)


async def read_audit(url: str, head: Head | None = None) -> ChainReport:
    """Verify the audit chain of the database at `url`."""
    async with Reads(url) as reads:
        return await reads.audit(head)


async def export_audit(url: str, out: TextIO, *, texts: bool = True) -> Head:
    """Write the audit chain of the database at `url` as JSON lines."""
    async with Reads(url) as reads:
        return await reads.export(out, texts=texts)
