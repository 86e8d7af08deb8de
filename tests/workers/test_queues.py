"""Each activity is on exactly one queue, and workflow workers hold nothing."""

import pytest

from config.settings import Settings
from workers.queues import WORKFLOWS, activities, load, workflows
from workers.wiring import Hands
from workflows.names import AGENTS, CHECKS, DELIVERY, INTEGRATIONS, QUEUES


@pytest.fixture
def hands(tmp_path):
    return Hands(Settings(home=tmp_path, cache=tmp_path / "cache", agent_slots=3, check_slots=5))


def test_each_activity_is_on_exactly_one_queue(hands):
    names = [
        activity.__name__
        for queue in (AGENTS, CHECKS, INTEGRATIONS)
        for activity in activities(queue, hands)
    ]

    assert sorted(set(names)) == sorted(names)
    assert {"plan_idea", "implement_task", "run_gate", "record_facts", "merge_entry"} <= set(names)


def test_the_workflows_queue_runs_workflows_and_holds_nothing(hands):
    assert activities(DELIVERY, hands) == []
    assert list(WORKFLOWS) == workflows(DELIVERY)
    assert [
        workflow for queue in QUEUES if queue != DELIVERY for workflow in workflows(queue)
    ] == []


def test_only_the_queue_with_records_builds_the_database(hands):
    for queue in (DELIVERY, AGENTS, CHECKS):
        activities(queue, hands)

    assert "_database" not in vars(hands)
    activities(INTEGRATIONS, hands)
    assert "_database" in vars(hands)


def test_agents_and_gates_have_the_slots_of_this_host():
    settings = Settings(agent_slots=3, check_slots=5)

    assert (load(AGENTS, settings).activities, load(CHECKS, settings).activities) == (3, 5)
