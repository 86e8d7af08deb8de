"""Gates: choose the gates of a base commit, and judge a commit by one of them."""

import asyncio
import time
from pathlib import Path

from domain.judging import RunGate, SelectGates
from domain.review import GateResult, GateSet
from integrations.gates.judgement import Judgement
from integrations.gates.ports import Artifacts, Commands, Objects, Progress
from integrations.gates.selection import select
from integrations.gates.sides import ReadConfig, Sides
from integrations.gates.workshop import PASSED


class Gates:
    """The judgement; `cache` is shared by installations, `workspaces` belongs to this one."""

    def __init__(
        self,
        git: Objects,
        processes: Commands,
        artifacts: Artifacts,
        *,
        cache: Path,
        workspaces: Path,
        ruff: str,
        read_config: ReadConfig,
        passthrough: tuple[str, ...] = PASSED,
    ) -> None:
        self._git = git
        self._artifacts = artifacts
        self._sides = Sides(
            git,
            processes,
            artifacts,
            cache=cache,
            workspaces=workspaces,
            ruff=ruff,
            read_config=read_config,
            passthrough=passthrough,
        )
        self._sets: dict[str, GateSet] = {}

    async def select(self, order: SelectGates) -> GateSet:
        """Return the gates; raises `Rejected` when the repository's own file is not valid."""
        base = await self._sides.take(order.repository, order.base_sha, None)
        found = await asyncio.to_thread(
            select,
            base.snap,
            base.config,
            base.origin,
            order.validation,
            order.acceptance,
            order.protected_paths,
        )
        ref = await self._artifacts.put(found.model_dump_json().encode(), "application/json")
        found = found.but(ref=ref)
        self._sets[found.digest] = found
        return found

    async def judge(self, order: RunGate, progress: Progress) -> GateResult:
        """Return what one gate says about `sha`, measured against `base_sha`."""
        started = time.monotonic()
        known = await self._gate_set(order)
        result = await Judgement(self._git, self._sides, known, order, progress).judge()
        return result.but(seconds=round(time.monotonic() - started, 2))

    async def _gate_set(self, order: RunGate) -> GateSet | None:
        """Return the set that an order belongs to, as far as it is known."""
        if order.gate_set not in self._sets and order.gate_set_ref:
            data = await self._artifacts.get(order.gate_set_ref)
            self._sets[order.gate_set] = GateSet.model_validate_json(data)
        return self._sets.get(order.gate_set)
