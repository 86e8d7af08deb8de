"""What each queue runs, and how much of it at once."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from domain.record import Record
from workflows.deliver import DeliverIdea
from workflows.deploy import DeployRelease
from workflows.implement import ImplementTask
from workflows.integrate import IntegrateChanges
from workflows.monitor import WatchRelease
from workflows.names import AGENTS, CHECKS, DELIVERY, DEPLOYMENTS, INTEGRATIONS
from workflows.retire import RetireRelease
from workflows.undo import RollBackRelease

if TYPE_CHECKING:
    from workers.wiring import Hands

WORKFLOWS: tuple[type, ...] = (
    DeliverIdea,
    ImplementTask,
    IntegrateChanges,
    DeployRelease,
    WatchRelease,
    RollBackRelease,
    RetireRelease,
)


class Load(Record):
    """How much one worker of a queue does at once."""

    activities: int = 100
    cached_workflows: int = 2_000


def load(queue: str, settings: Settings) -> Load:
    """Return the limits of a queue on this host; agents and gates have fixed slots."""
    slots = {AGENTS: settings.agent_slots, CHECKS: settings.check_slots, INTEGRATIONS: 32}
    return Load(activities=slots.get(queue, 100))


def activities(queue: str, hands: "Hands") -> list[Callable[..., Any]]:
    """Return the activities of a queue; the workflows' queue has none, so it needs no credential.

    One queue is one credential boundary: only what it runs is built.
    """
    if queue == AGENTS:
        return [hands.planning.plan_idea, hands.agents.implement_task]
    if queue == CHECKS:
        return [hands.quality.select_gates, hands.quality.run_gate]
    if queue == INTEGRATIONS:
        return [*_methods(hands.ledger), *_methods(hands.source), *_methods(hands.policies)]
    if queue == DEPLOYMENTS:
        return [
            *_methods(hands.deployments),
            *_methods(hands.watching),
            *_methods(hands.undoing),
        ]
    return []


def needs_hands(queues: Sequence[str]) -> bool:
    """Return whether any of the queues has activities."""
    return any(queue != DELIVERY for queue in queues)


def workflows(queue: str) -> list[type]:
    return list(WORKFLOWS) if queue == DELIVERY else []


def _methods(capability: object) -> list[Callable[..., Any]]:
    """Return every activity of a capability class, so that none is forgotten."""
    members = (getattr(capability, name) for name in sorted(dir(capability)) if name[0] != "_")
    return [member for member in members if hasattr(member, "__temporal_activity_definition")]
