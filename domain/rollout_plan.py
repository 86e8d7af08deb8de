"""Planning a rollout: may it begin, and with which steps?"""

from domain.deployment import Capabilities
from domain.judge import mde, setup_for
from domain.record import Record
from domain.rollout import (
    PlannedStep,
    Quarantined,
    Refusal,
    RolloutPlan,
    RolloutState,
    Served,
    StartRollout,
)
from domain.rollout_view import RolloutLine
from domain.service import Environment, Service
from domain.service_check import release_words
from domain.service_steps import chosen_strategy, plan_steps

WEEK_MS = 7 * 86_400_000


class Known(Record):
    """All that was looked up for the plan."""

    service: Service | None
    current: Served | None = None
    anchor: Served | None = None
    anchor_ready: bool = True  # whether it runs, so that one can be compared with it
    descends: bool = True
    merges: tuple[str, ...] = ()
    poisoned: tuple[Quarantined, ...] = ()
    capabilities: Capabilities | None = None
    past: tuple[RolloutLine, ...] = ()  # of the last week, oldest first
    rps: float = 0  # of the last rollouts
    base_rate: float = 0
    now_ms: int = 0


def planned(start: StartRollout, known: Known) -> RolloutPlan | Refusal:
    """Return the plan of a rollout, or why it does not begin.

    Words that judge come from the last release that passed, so that a change can not soften its
    own judgement.
    """
    if known.service is None or start.place.environment not in known.service.environments:
        return Refusal(
            status="nothing",
            code="no_service",
            reason=f"{start.sha[:12]} declares no service {start.place.service} "
            f"in {start.place.environment}",
        )
    service = release_words(known.service, known.anchor.service if known.anchor else None)
    environment = service.environments.get(
        start.place.environment, known.service.environments[start.place.environment]
    )
    refusal = _refusal(start, known)
    return refusal or _plan(start, known, service, environment)


def _plan(
    start: StartRollout, known: Known, service: Service, environment: Environment
) -> RolloutPlan:
    strategy = chosen_strategy(service, environment)
    service = service.but(strategy=strategy)
    capabilities = known.capabilities or Capabilities(name=environment.driver)
    # A person may release although nothing runs that one could compare with, or go back to.
    anchor = known.anchor if known.anchor_ready or not start.confirmed else None
    first = anchor is None
    setup = setup_for(service, capabilities, service.slow.objective_ms, first=first)
    steps = plan_steps(service, environment, setup, known.rps, known.base_rate, mde)
    if first:
        steps = (PlannedStep(index=0, weight=10_000, hold_s=0),)
    return RolloutPlan(
        rollout=start.rollout,
        place=start.place,
        key=start.key,
        round=start.round,
        sha=start.sha,
        tag=start.tag,
        service=service,
        environment=environment,
        setup=setup,
        steps=steps,
        bake_s=strategy.bake,
        anchor=anchor,
        merges=known.merges,
        first=first,
    )


def _refusal(start: StartRollout, known: Known) -> Refusal | None:
    if not start.base_moved:
        return _held(
            "base_not_moved",
            f"{start.tag or start.sha[:12]} is not on the base branch: it would be lost by the "
            "next release",
            "merge the branch yourself, or use a bare repository or --update-base",
        )
    if known.anchor and known.anchor.sha == start.sha:
        return Refusal(
            status="nothing", code="serves", reason=f"{start.place.target} serves it already"
        )
    if not known.descends and known.anchor:
        return _held(
            "not_descended",
            f"{start.sha[:12]} does not hold {known.anchor.sha[:12]}, which "
            f"{start.place.target} serves",
            "bring it up to date with the base branch",
        )
    return _poisoned(known) or _undone_twice(start, known)


def _poisoned(known: Known) -> Refusal | None:
    if not known.poisoned:
        return None
    bad = known.poisoned[0]
    return _held(
        "quarantined",
        f"it holds {bad.sha[:12]} of idea {bad.key}, which was undone and is not mended: "
        f"{bad.reason}",
        f"wait for the fix of idea {bad.key}, or revert {bad.sha[:12]}",
    )


def _undone_twice(start: StartRollout, known: Known) -> Refusal | None:
    ended = [past for past in known.past if past.state in _TOLD]
    last = ended[-2:]
    if start.confirmed or len(last) < 2 or any(p.state is RolloutState.PASSED for p in last):
        return None
    return _held(
        "undone_twice",
        f"the last two releases of {start.place.target} were undone: {last[-1].reason}",
        f"look at them, then: slipway release retry {start.key}",
    )


def deployed_at(past: tuple[RolloutLine, ...]) -> tuple[int, ...]:
    """Return when a target was deployed to, for its budget; an undone release counts twice."""
    times = []
    for line in past:
        if line.state in (*_TOLD, RolloutState.SHIFTING, RolloutState.BAKING):
            times += [line.created_at_ms] * (2 if line.state in _UNDONE else 1)
    return tuple(times)


_UNDONE = (RolloutState.UNDONE, RolloutState.RESTORED_UNVERIFIED)
_TOLD = (RolloutState.PASSED, *_UNDONE)


def _held(code: str, reason: str, hint: str) -> Refusal:
    return Refusal(status="held", code=code, reason=reason, hint=hint)
