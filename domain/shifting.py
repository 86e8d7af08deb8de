"""Shifting: which instance gets how much of a target's traffic."""

from domain.deployment import FULL, Inspection, Instance, Route
from domain.errors import Rejected


def of_rollout(rollout: str, instance: str) -> bool:
    """Return whether an instance was started by this rollout."""
    return instance.startswith(f"{rollout}.")


def split(new: tuple[str, ...], old: tuple[str, ...], weight: int) -> dict[str, int]:
    """Give the new instances `weight` basis points together and the old ones the rest.

    The sum is exactly `FULL`; with no old ones the new get all. Raises `Rejected` where there is
    nobody who could take the traffic.
    """
    if not new and not old:
        raise Rejected("no instance is there that could take traffic", code="no_instance")
    share = FULL if not old else weight if new else 0
    return _even(new, share) | _even(old, FULL - share)


def _even(instances: tuple[str, ...], share: int) -> dict[str, int]:
    """Divide a share evenly; the first ones get what does not divide."""
    if not instances:
        return {}
    each, left = divmod(share, len(instances))
    return {name: each + (at < left) for at, name in enumerate(sorted(instances))}


def weight_of(rollout: str, routes: tuple[Route, ...]) -> int:
    """Return the basis points that a rollout's instances have together."""
    return sum(route.weight for route in routes if of_rollout(rollout, route.instance))


def ready(instances: tuple[Instance, ...], rollout: str) -> tuple[str, ...]:
    """Return the instances of a rollout that answer their probe."""
    return tuple(
        each.instance
        for each in instances
        if of_rollout(rollout, each.instance) and each.state == "ready"
    )


def serving(seen: Inspection, rollout: str) -> tuple[str, ...]:
    """Return the ready instances of a rollout, and those with traffic that start again."""
    fit = ready(seen.instances, rollout)
    back = (
        each.instance
        for each in seen.instances
        if each.state == "starting" and seen.weight_of(each.instance)
    )
    return (*fit, *(name for name in back if of_rollout(rollout, name)))
