"""What releases need from outside: a driver, which runs a target and moves its traffic."""

from typing import Protocol

from domain.deployment import (
    Artefact,
    BuildOrder,
    Capabilities,
    Inspection,
    Instance,
    Observation,
    ObserveOrder,
    Place,
    StartOrder,
    WeightOrder,
)
from domain.service import Environment


class Driver(Protocol):
    """The driver protocol: each call may be repeated, and does what is missing.

    Raises `Unavailable` when whatever runs the target does not answer, `Rejected` when it
    refuses, `Misconfigured` when an operator has to do something first.
    """

    def capabilities(self) -> Capabilities:
        """Return what this driver can do; asks nobody."""
        ...

    async def build(self, order: BuildOrder) -> Artefact:
        """Build a commit, once; raises `Rejected` (`build_failed`) with the end of its log."""
        ...

    async def start(self, order: StartOrder) -> Instance:
        """Ensure one replica; returns at once, `probe` or `inspect` say when it is ready.

        Raises `Rejected`: `wrong_digest` (what was built is not what is to be started),
        `port_taken` (the public port belongs to another program).
        """
        ...

    async def probe(self, place: Place, environment: Environment, instance: str) -> Instance:
        """Return how an instance is; one that nobody knows is `gone`."""
        ...

    async def inspect(self, place: Place, environment: Environment) -> Inspection:
        """Return what the target really serves now."""
        ...

    async def set_weights(self, order: WeightOrder) -> int:
        """Move traffic in one compare and swap; return the new generation.

        Raises `Rejected`: `stale` (another generation is in force), `unknown_instance`,
        `bad_weights` (the sum is not `FULL`). A repeated `op` answers the same and does nothing.
        """
        ...

    async def drain(
        self, place: Place, environment: Environment, instance: str, deadline_s: float
    ) -> bool:
        """Wait until an instance without weight has no request left; whether that was in time."""
        ...

    async def stop(self, place: Place, environment: Environment, instance: str) -> None:
        """End an instance and all that it started; one that nobody knows is fine."""
        ...

    async def observe(self, order: ObserveOrder) -> Observation:
        """Return the counts of all instances since they began, and how these are now."""
        ...

    async def prune(
        self, place: Place, environment: Environment, keep: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Remove what was built of commits that are not named; return those commits."""
        ...
