"""Queue names, workflow ids and search attributes: one place for each string that is frozen."""

from hashlib import sha256
from typing import Any
from urllib.parse import quote

from temporalio.common import SearchAttributeKey

from domain.repository import Repository

DELIVERY = "delivery"
AGENTS = "agents"
CHECKS = "checks"
INTEGRATIONS = "integrations"
DEPLOYMENTS = "deployments"
QUEUES = (DELIVERY, AGENTS, CHECKS, INTEGRATIONS, DEPLOYMENTS)

# A workflow id has at most 255 characters on SQL stores; the rest is for prefix and key.
_LONGEST_BRANCH = 120


def idea_id(key: str) -> str:
    return f"idea/{key}"


def task_id(key: str, round_: int, task: str) -> str:
    return f"task/{key}/{round_}/{task}"


def train_id(repository: Repository) -> str:
    """Return the id of the merge train of one branch of one repository.

    Branch names keep their case (they differ by it); long ones are hashed.
    """
    branch = quote(repository.base.removeprefix("refs/heads/"), safe="")
    if len(branch) > _LONGEST_BRANCH:
        branch = sha256(branch.encode()).hexdigest()
    return f"train/{repository.id}/{branch}"


def deploy_id(target: str) -> str:
    return f"deploy/{target}"


def watch_id(target: str, rollout: str) -> str:
    return f"watch/{target}/{rollout}"


def rollback_id(target: str) -> str:
    return f"rollback/{target}"


def retire_id(target: str, rollout: str) -> str:
    return f"retire/{target}/{rollout}"


IDEA = SearchAttributeKey.for_keyword("SlipwayIdea")
REPO = SearchAttributeKey.for_keyword("SlipwayRepo")
STAGE = SearchAttributeKey.for_keyword("SlipwayStage")
RISK = SearchAttributeKey.for_keyword("SlipwayRisk")
GATE = SearchAttributeKey.for_keyword("SlipwayGate")
ENV = SearchAttributeKey.for_keyword("SlipwayEnv")
TENANT = SearchAttributeKey.for_keyword("SlipwayTenant")
INITIATOR = SearchAttributeKey.for_keyword("SlipwayInitiator")
LABELS = SearchAttributeKey.for_keyword_list("SlipwayLabels")
PRIORITY = SearchAttributeKey.for_int("SlipwayPriority")
ATTEMPT = SearchAttributeKey.for_int("SlipwayAttempt")
COST_USD = SearchAttributeKey.for_float("SlipwayCostUsd")
DEADLINE = SearchAttributeKey.for_datetime("SlipwayDeadline")
PAUSED = SearchAttributeKey.for_bool("SlipwayPaused")
TITLE = SearchAttributeKey.for_text("SlipwayTitle")

SEARCH_ATTRIBUTES: tuple[SearchAttributeKey[Any], ...] = (
    IDEA, REPO, STAGE, RISK, GATE, ENV, TENANT, INITIATOR, LABELS,
    PRIORITY, ATTEMPT, COST_USD, DEADLINE, PAUSED, TITLE,
)  # fmt: skip
