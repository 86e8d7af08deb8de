"""Who does it, how patient, how often again: the option profiles of all activity calls."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from domain.delivery import Patience
from workflows.names import AGENTS, CHECKS, DEPLOYMENTS, INTEGRATIONS

# The match is on the exact class name, so these are all there are (domain/errors.py).
NEVER_AGAIN = ["Rejected", "Misconfigured", "Refused", "ValidationError"]


def _again(patience: Patience, attempts: int = 0) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=patience.retry_first),
        maximum_interval=timedelta(seconds=patience.retry_max),
        maximum_attempts=attempts,
        non_retryable_error_types=NEVER_AGAIN,
    )


def quick(patience: Patience, summary: str) -> ActivityConfig:
    """Records, reads and git plumbing: seconds of work, tried until it works."""
    return ActivityConfig(
        task_queue=INTEGRATIONS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=patience.quick),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
    )


def plumbing(patience: Patience, summary: str) -> ActivityConfig:
    """Git work that grows with the repository: heartbeats, tried until it works."""
    return ActivityConfig(
        task_queue=INTEGRATIONS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=patience.plan),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def planning(patience: Patience, summary: str) -> ActivityConfig:
    return ActivityConfig(
        task_queue=AGENTS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=patience.plan),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def agent(patience: Patience, wall_seconds: float, summary: str) -> ActivityConfig:
    """One attempt of one task; a lost worker is replaced by another run of the same attempt."""
    return ActivityConfig(
        task_queue=AGENTS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=wall_seconds + patience.agent_slack),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def selecting(patience: Patience, summary: str) -> ActivityConfig:
    return ActivityConfig(
        task_queue=CHECKS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=patience.plan),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
    )


def gate(patience: Patience, timeout_seconds: float, summary: str) -> ActivityConfig:
    """One gate on a commit and on its base: both sides, twice when something is newly red."""
    return ActivityConfig(
        task_queue=CHECKS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=4 * timeout_seconds + patience.gate_slack),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def deploying(patience: Patience, summary: str, seconds: float = 0) -> ActivityConfig:
    """Builds, starts, hooks and clean-up of a rollout."""
    return ActivityConfig(
        task_queue=DEPLOYMENTS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=seconds or patience.deploy),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience),
    )


def starts(patience: Patience, summary: str) -> ActivityConfig:
    """Starts of instances: at a cancel they have to stop before anything is cleaned up."""
    config = deploying(patience, summary)
    config["cancellation_type"] = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return config


def shifting(patience: Patience, summary: str) -> ActivityConfig:
    """Moves of traffic: short, and tried again at once."""
    return ActivityConfig(
        task_queue=DEPLOYMENTS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=patience.quick),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience.but(retry_max=2)),
    )


def watching(patience: Patience, seconds: float, summary: str) -> ActivityConfig:
    """A look that lasts as long as a step; another worker goes on where a lost one stopped."""
    return ActivityConfig(
        task_queue=DEPLOYMENTS,
        summary=summary[:200],
        start_to_close_timeout=timedelta(seconds=seconds + patience.plan),
        heartbeat_timeout=timedelta(seconds=patience.heartbeat),
        retry_policy=_again(patience.but(retry_max=2)),
    )
