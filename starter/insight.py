"""Figures of delivery, computed from the records of this home."""

import time
from pathlib import Path

from domain.insight import DAY_MS, Dora, dora
from starter.reads import Reads
from starter.repository import look_at


def repository_id(named: str) -> str:
    """Return the id of a repository, given as a path or as the id itself."""
    return look_at(named).id if named and Path(named).expanduser().is_dir() else named


async def dora_of(
    reads: Reads, *, days: int, repository: str = "", environment: str = "production"
) -> Dora:
    """Return the DORA figures of the last `days` days; `repository` is an id, empty: all."""
    until_ms = time.time_ns() // 1_000_000
    changes = await reads.merged_changes(repository)
    deployments = await reads.deployments(environment, repository)
    figures = dora(changes, deployments, until_ms - days * DAY_MS, until_ms)
    return figures.but(repository=repository, environment=environment)
