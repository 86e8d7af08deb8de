"""Quarantine: merges that were undone, and the word of a person that one of them is mended."""

import time
from typing import Literal

from config.settings import Settings
from domain.delivery import Steer
from domain.errors import Rejected
from domain.ledger import RecordFacts
from domain.rollout import Quarantined
from domain.rollout_fact import QuarantineCured
from integrations.database import Database
from starter import repository

Kind = Literal["fix", "revert", "flag_off"]


async def barred(chosen: Settings, location: str) -> tuple[Quarantined, ...]:
    """Return every merge of a repository that was ever undone, mended ones too."""
    where = repository.look_at(location)
    database = Database(chosen.database)
    await database.open()
    try:
        return await database.rollouts.quarantined(where.id)
    finally:
        await database.close()


async def mend(
    chosen: Settings, location: str, merge: str, by: str, kind: Kind, message: Steer
) -> Quarantined:
    """Put on record which commit mends an undone merge.

    Raises `Rejected` when no such merge is barred, or when the commit does not contain it: what
    is released holds both.
    """
    where = repository.look_at(location)
    cure = repository.commit_of(where.location, by)
    database = Database(chosen.database)
    await database.open()
    try:
        item = _meant(await database.rollouts.quarantined(where.id), merge)
        _refuse_unless_later(where.location, item, cure)
        await database.rollouts.cure(where.id, item.sha, cure, kind)
        await database.append(_told(item, cure, kind, message))
        return item.but(cure=cure, cure_kind=kind)
    finally:
        await database.close()


def _meant(items: tuple[Quarantined, ...], merge: str) -> Quarantined:
    found = [item for item in items if item.sha.startswith(merge.lower())]
    if len(merge) >= 4 and len(found) == 1:
        return found[0]
    known = ", ".join(item.sha[:12] for item in items if not item.cure) or "none"
    raise Rejected(
        f"{merge!r:.60} names no undone merge of this repository",
        code="not_barred",
        path="merge",
        hint=f"Barred and not mended: {known}. `slipway release barred` tells why.",
    )


def _refuse_unless_later(location: str, item: Quarantined, cure: str) -> None:
    if item.sha == cure or not repository.contains(location, cure, item.sha):
        raise Rejected(
            f"{cure[:12]} does not come after {item.sha[:12]}, so it can not mend it",
            code="not_later",
            path="by",
            hint="Name the commit of the fix or of the revert, on the base branch.",
        )


def _told(item: Quarantined, cure: str, kind: Kind, message: Steer) -> RecordFacts:
    now = time.time_ns() // 1_000_000
    fact = QuarantineCured(repository=item.repository, sha=item.sha, cure=cure, cure_kind=kind)
    return RecordFacts(
        key=item.key,
        round=1,
        op=f"mended/{item.sha}/{cure}/{kind}",
        at_ms=now,
        actor=message.actor,
        facts=(fact,),
    )
