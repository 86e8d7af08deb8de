"""What the activities of a release need of the records."""

from typing import Literal, Protocol

from domain.rollout import Quarantined, RolloutPlan, Served
from domain.rollout_view import RolloutLine, WeightChange
from domain.tick import Tick


class Rollouts(Protocol):
    """Every method may be repeated; what is written is on disk when it returns."""

    async def plan(self, rollout: str) -> RolloutPlan | None:
        """Return the plan of a rollout; None: it was never planned."""
        ...

    async def put_tick(self, tick: Tick) -> Tick:
        """Write a tick, or return the one that is stored for its rollout, step and seq."""
        ...

    async def ticks(self, rollout: str) -> tuple[Tick, ...]:
        """Return all ticks of a rollout in the order of step and seq."""
        ...

    async def begin_weights(
        self, rollout: str, op: str, weights: dict[str, int], expected_generation: int, at_ms: int
    ) -> dict[str, int]:
        """Write the intent before traffic moves; return the weights to order.

        Those are of the first try of `op`, for it may have reached the driver.
        """
        ...

    async def end_weights(self, op: str, generation: int, at_ms: int) -> None:
        """Write what was read back; raises `Rejected` (unknown_weights, readback_differs)."""
        ...

    async def weight_changes(self, rollout: str) -> tuple[WeightChange, ...]:
        """Return the orders to move traffic of a rollout, oldest first."""
        ...

    async def served(self, target: str) -> tuple[Served | None, Served | None]:
        """Return what a target serves now, and the last release that passed there."""
        ...

    async def set_current(self, served: Served, instead_of: str = "") -> None:
        """Note what a target serves; a word of an older rollout, or an undone one, is ignored.

        `instead_of` names the rollout that is undone: then an older one may take its place.
        """
        ...

    async def set_passed(self, served: Served, instead_of: str = "") -> None:
        """Note the release to come back to, by the same rule."""
        ...

    async def quarantine(self, items: tuple[Quarantined, ...]) -> None:
        """Bar merges; one that a newer rollout undid again loses its cure."""
        ...

    async def quarantined(self, repository: str) -> tuple[Quarantined, ...]:
        """Return all merges of a repository that were ever undone, cured ones too."""
        ...

    async def cure(
        self, repository: str, sha: str, cure: str, kind: Literal["fix", "revert", "flag_off"]
    ) -> None:
        """Note the commit that mends a barred merge."""
        ...

    async def open_rollouts(self, target: str) -> tuple[RolloutLine, ...]:
        """Return the rollouts of a target that have not ended, oldest first."""
        ...

    async def rollouts_since(self, target: str, at_ms: int) -> tuple[RolloutLine, ...]:
        """Return the rollouts of a target that were planned at or after a time, oldest first."""
        ...

    async def recent_traffic(self, target: str) -> tuple[float, float]:
        """Return requests per second and the error share of lately; 0 and 0: nothing is known."""
        ...
