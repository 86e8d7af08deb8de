"""What dashboards see of rollouts: told as it happens, and never in the way of a release."""

from typing import Protocol

from domain.fact import Fact
from domain.rollout import RolloutPlan
from domain.verdict import Verdict


class Gauges(Protocol):
    """Shows rollouts to whoever watches all of them; both calls return at once."""

    def judged(self, plan: RolloutPlan, weight: int, verdict: Verdict) -> None:
        """Show a look of the judge at a rollout with `weight` basis points."""
        ...

    def told(self, facts: tuple[Fact, ...]) -> None:
        """Show what the ledger was told; the same fact twice counts once."""
        ...
