"""Measurements by content: the same tree, gate and environment are measured once per host."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from domain.errors import Rejected, Unavailable
from domain.evidence import Measurement
from domain.record import digest
from domain.review import GateSpec, Tier
from integrations.gates.ports import Artifacts
from integrations.gates.workshop import locked

VERSION = 2  # raise it when a measurement would come out differently


class EvidenceCache:
    """Files below one folder; a lock per measurement, so that two gates share one run."""

    def __init__(self, folder: Path, artifacts: Artifacts) -> None:
        self._folder = folder
        self._artifacts = artifacts

    async def get(
        self, key: str, measure: Callable[[], Awaitable[Measurement]]
    ) -> tuple[Measurement, bool]:
        """Return a measurement, and whether it was there already."""
        path = self._folder / f"{key}.json"
        async with locked(self._folder / f"{key}.lock"):
            if path.exists():
                return await self._with_log(
                    Measurement.model_validate_json(path.read_bytes())
                ), True
            measured = await measure()
            if measured.ended == "exited":  # a timeout may be the host's fault
                fresh = path.with_suffix(".new")
                fresh.write_text(measured.model_dump_json(), encoding="utf-8")
                fresh.replace(path)
            return measured, False

    async def _with_log(self, measured: Measurement) -> Measurement:
        """Leave a log out that this installation does not have: the cache is shared by several."""
        if measured.log is None:
            return measured
        try:
            await self._artifacts.get(measured.log)
        except (OSError, KeyError, Rejected, Unavailable):
            return measured.but(log=None)
        return measured


def evidence_key(tree: str, spec: GateSpec, environment: str, tool: str, tier: Tier) -> str:
    """Return what names a measurement: all that could make it come out differently."""
    content = spec.model_dump(mode="json", exclude={"name", "network", "after_only", "expected"})
    parts = [VERSION, tree, content, environment, tool, tier.name]
    return digest(json.dumps(parts, sort_keys=True).encode())[:40]
