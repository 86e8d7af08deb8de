"""What the figures of delivery are computed from: merged changes and deployments, from rows."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from domain.delivery import Stage
from domain.insight import Deployment, MergedChange
from domain.rollout import RolloutState, Undo
from domain.rollout_fact import RolloutEnded, VerdictGiven
from integrations.tables import attempts, events, gates, ideas, releases, rollout_story, rollouts

Found = Row[Any]
Round = tuple[str, int]
_FAILED = (RolloutState.UNDONE, RolloutState.RESTORED_UNVERIFIED)


def merged_changes(conn: Connection, repository: str = "") -> tuple[MergedChange, ...]:
    """Return every round that moved its base branch, oldest first; `repository` empty: of all."""
    query = (
        select(releases, ideas.c.repository, ideas.c.created_at_ms)
        .join(ideas, ideas.c.key == releases.c.key)
        .where(releases.c.base_moved, ideas.c.mode == "live")
        .order_by(releases.c.at_ms, releases.c.key)
    )
    if repository:
        query = query.where(ideas.c.repository == repository)
    committed, reviewed, opened = _committed(conn), _reviewed(conn), _opened(conn)
    return tuple(
        MergedChange(
            key=row.key,
            round=row.round,
            repository=row.repository,
            sha=row.sha,
            created_ms=row.created_at_ms,
            committed_ms=committed.get((row.key, row.round)),
            opened_ms=opened.get((row.key, row.round)),
            reviewed_ms=reviewed.get((row.key, row.round)),
            merged_ms=row.at_ms,
        )
        for row in conn.execute(query)
    )


def _committed(conn: Connection) -> dict[Round, int]:
    """Return when an attempt of a round first ended with a change."""
    first = select(attempts.c.key, attempts.c.round, func.min(attempts.c.at_ms).label("at_ms"))
    changed = first.where(attempts.c.change != "null").group_by(attempts.c.key, attempts.c.round)
    return _by_round(conn.execute(changed).all())


def _reviewed(conn: Connection) -> dict[Round, int]:
    """Return when the review of a round first judged."""
    first = select(gates.c.key, gates.c.round, func.min(gates.c.at_ms).label("at_ms"))
    judged = first.where(gates.c.place == "review").group_by(gates.c.key, gates.c.round)
    return _by_round(conn.execute(judged).all())


def _by_round(rows: Sequence[Any]) -> dict[Round, int]:
    return {(row.key, row.round): row.at_ms for row in rows}


def _opened(conn: Connection) -> dict[Round, int]:
    """Return when a round was first put to review."""
    query = select(events.c.key, events.c.round, events.c.at_ms, events.c.entry)
    found: dict[Round, int] = {}
    for row in conn.execute(query.where(events.c.kind == "stage_reached").order_by(events.c.seq)):
        if json.loads(row.entry)["body"]["stage"] == Stage.REVIEWING:
            found.setdefault((row.key, row.round), row.at_ms)
    return found


def deployments(conn: Connection, environment: str, repository: str = "") -> tuple[Deployment, ...]:
    """Return the rollouts that had traffic in an environment, oldest first."""
    query = (
        select(rollouts)
        .where(rollouts.c.environment == environment, rollouts.c.started_at_ms.is_not(None))
        .order_by(rollouts.c.started_at_ms, rollouts.c.rollout)
    )
    if repository:
        query = query.where(rollouts.c.repository == repository)
    passed, judged = _passed(conn), _judged(conn)
    return tuple(
        _deployment(row, passed.get(row.rollout), judged.get(row.rollout))
        for row in conn.execute(query)
    )


def _passed(conn: Connection) -> dict[str, int]:
    """Return when a rollout first had passed; it may have been undone since."""
    found: dict[str, int] = {}
    for row in _story(conn, "rollout_ended"):
        if RolloutEnded.model_validate_json(row.fact).result.status is RolloutState.PASSED:
            found.setdefault(row.rollout, row.at_ms)
    return found


def _judged(conn: Connection) -> dict[str, int]:
    """Return the end of the tick at which the judge first said `fail`."""
    found: dict[str, int] = {}
    for row in _story(conn, "verdict_given"):
        verdict = VerdictGiven.model_validate_json(row.fact).verdict
        if verdict.verdict == "fail":
            found.setdefault(row.rollout, verdict.at_ms or row.at_ms)
    return found


def _story(conn: Connection, kind: str) -> Sequence[Found]:
    query = select(rollout_story).where(rollout_story.c.kind == kind)
    return conn.execute(query.order_by(rollout_story.c.seq)).all()


def _deployment(row: Found, passed_ms: int | None, judged_ms: int | None) -> Deployment:
    undo = Undo.model_validate_json(row.undo) if row.undo else None
    stands = row.state == RolloutState.HELD and judged_ms is not None
    return Deployment(
        rollout=row.rollout,
        key=row.key,
        repository=row.repository,
        target=row.target,
        sha=row.sha,
        merges=tuple(json.loads(row.plan)["merges"]) if row.plan else (),
        started_ms=row.started_at_ms,
        passed_ms=passed_ms,
        failed=row.state in _FAILED or stands,
        exposure=row.exposure / 10_000,
        bad_since_ms=row.bad_since_ms or None,
        judged_ms=judged_ms,
        decided_ms=(undo.decided_ms or None) if undo else None,
        restored_ms=(undo.restored_ms or None) if undo else None,
        ended_ms=row.ended_at_ms,
    )
