"""RolloutRecords: what activities write of rollouts beside the audit chain, and read back."""

from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection

from domain.rollout import Quarantined, RolloutPlan, Served
from domain.rollout_view import RolloutLine, WeightChange
from domain.tick import Tick
from integrations import rollout_rows

T = TypeVar("T")


class Transact(Protocol):
    async def __call__(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, after its transaction is committed."""
        ...


class RolloutRecords:
    """Ticks, weight changes, what is served, and quarantine; get it from `Database.rollouts`.

    Every method may be repeated. Raises as `Database` does.
    """

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    async def plan(self, rollout: str) -> RolloutPlan | None:
        """Return the plan of a rollout; None: it was never planned."""
        return await self._transact(partial(rollout_rows.plan, rollout=rollout))

    async def put_tick(self, tick: Tick) -> Tick:
        """Write a tick, or return the one that is stored for its rollout, step and seq."""
        return await self._transact(partial(rollout_rows.put_tick, tick=tick))

    async def ticks(self, rollout: str) -> tuple[Tick, ...]:
        """Return all ticks of a rollout in the order of step and seq."""
        return await self._transact(partial(rollout_rows.ticks, rollout=rollout))

    async def begin_weights(
        self, rollout: str, op: str, weights: dict[str, int], expected_generation: int, at_ms: int
    ) -> dict[str, int]:
        """Write the intent before traffic moves; return the weights to order.

        Those are of the first try of `op`, for it may have reached the driver.
        """
        work = partial(
            rollout_rows.begin_weights,
            rollout=rollout,
            op=op,
            weights=weights,
            expected_generation=expected_generation,
            at_ms=at_ms,
        )
        return await self._transact(work)

    async def end_weights(self, op: str, generation: int, at_ms: int) -> None:
        """Write what was read back; raises `Rejected` (unknown_weights, readback_differs)."""
        work = partial(rollout_rows.end_weights, op=op, generation=generation, at_ms=at_ms)
        await self._transact(work)

    async def weight_changes(self, rollout: str) -> tuple[WeightChange, ...]:
        """Return the orders to move traffic of a rollout, oldest first."""
        return await self._transact(partial(rollout_rows.weights_of, rollout=rollout))

    async def served(self, target: str) -> tuple[Served | None, Served | None]:
        """Return what a target serves now, and the last release that passed there."""
        return await self._transact(partial(rollout_rows.served, target=target))

    async def set_current(self, served: Served, instead_of: str = "") -> None:
        """Note what a target serves; a word of an older rollout, or an undone one, is ignored.

        `instead_of` names the rollout that is undone: then an older one may take its place.
        """
        await self._set("current", served, instead_of)

    async def set_passed(self, served: Served, instead_of: str = "") -> None:
        """Note the release to come back to, by the same rule."""
        await self._set("last_passed", served, instead_of)

    async def _set(
        self, column: Literal["current", "last_passed"], served: Served, instead_of: str
    ) -> None:
        work = partial(rollout_rows.set_served, column=column, new=served, instead_of=instead_of)
        await self._transact(work)

    async def quarantine(self, items: tuple[Quarantined, ...]) -> None:
        """Bar merges; one that a newer rollout undid again loses its cure."""
        await self._transact(partial(rollout_rows.quarantine, items=items))

    async def quarantined(self, repository: str) -> tuple[Quarantined, ...]:
        """Return all merges of a repository that were ever undone, cured ones too."""
        return await self._transact(partial(rollout_rows.quarantined, repository=repository))

    async def cure(
        self, repository: str, sha: str, cure: str, kind: Literal["fix", "revert", "flag_off"]
    ) -> None:
        """Note the commit that mends a barred merge."""
        work = partial(rollout_rows.cure, repository=repository, sha=sha, cure=cure, kind=kind)
        await self._transact(work)

    async def open_rollouts(self, target: str) -> tuple[RolloutLine, ...]:
        """Return the rollouts of a target that have not ended, oldest first."""
        return await self._transact(partial(rollout_rows.open_rollouts, target=target))

    async def rollouts_since(self, target: str, at_ms: int) -> tuple[RolloutLine, ...]:
        """Return the rollouts of a target that were planned at or after a time, oldest first."""
        return await self._transact(
            partial(rollout_rows.rollouts_since, target=target, at_ms=at_ms)
        )

    async def recent_traffic(self, target: str) -> tuple[float, float]:
        """Return requests per second and the error share of lately; 0 and 0: nothing is known."""
        return await self._transact(partial(rollout_rows.target_traffic, target=target))
