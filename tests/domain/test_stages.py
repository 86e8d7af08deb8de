"""The published state machine of an idea."""

from itertools import pairwise

import pytest

from domain.delivery import TERMINAL, FailureClass, Outcome, Stage, TaskState, Wait
from domain.fact import (
    AttemptEnded,
    BaseResolved,
    GatesRan,
    IdeaEnded,
    QuestionClosed,
    StageReached,
    Steered,
    TaskMoved,
    WaitsChanged,
)
from domain.rollout import RolloutState, Undo
from domain.rollout_fact import RolloutMoved, RolloutUndone
from domain.stages import EDGES, FROM_ANYWHERE, after_end, legal, stage_after
from tests.facts import WAY_TO_INTEGRATING

WAIT = Wait(flag="Paused", owner="ada", predicate="ada resumes", since_ms=1)


def end(stage: Stage) -> IdeaEnded:
    return IdeaEnded(outcome=Outcome(stage=stage, failure=FailureClass.NONE))


@pytest.mark.parametrize(
    "way",
    [
        (Stage.REGISTERED, *WAY_TO_INTEGRATING, Stage.COMPLETED),
        (
            *WAY_TO_INTEGRATING,
            Stage.AWAITING_DEPLOY_APPROVAL,
            Stage.DEPLOYING,
            Stage.MONITORING,
            Stage.REMEDIATING,
            Stage.ROLLED_BACK,
        ),
        (Stage.VALIDATING, Stage.NEEDS_REFINEMENT, Stage.VALIDATING, Stage.REJECTED),
        (Stage.PLANNING, Stage.REJECTED),
        (Stage.CRITIQUING, Stage.AWAITING_PLAN_APPROVAL, Stage.SCHEDULED),
        (Stage.REVIEWING, Stage.RUNNING, Stage.REVIEWING, Stage.INTEGRATING, Stage.RUNNING),
        (Stage.MONITORING, Stage.REMEDIATING, Stage.RUNNING),
        # Two services, each approved by a person, then a revert of both.
        (
            Stage.MONITORING,
            Stage.AWAITING_DEPLOY_APPROVAL,
            Stage.DEPLOYING,
            Stage.MONITORING,
            Stage.DEPLOYING,
            Stage.MONITORING,
            Stage.ROLLED_BACK,
        ),
        (Stage.RUNNING, Stage.DRAINING, Stage.CANCELLED),
        (Stage.CRITIQUING, Stage.SHADOW_COMPLETED),
    ],
)
def test_the_published_ways_are_legal(way):
    assert [step for step in pairwise(way) if not legal(*step)] == []


@pytest.mark.parametrize(
    ("now", "to"),
    [
        (Stage.REGISTERED, Stage.RUNNING),
        (Stage.PLANNING, Stage.RUNNING),
        (Stage.RUNNING, Stage.COMPLETED),
        (Stage.RUNNING, Stage.INTEGRATING),
        (Stage.DEPLOYING, Stage.PLANNING),
        (Stage.NEEDS_REFINEMENT, Stage.RUNNING),
        (Stage.COMPLETED, Stage.RUNNING),
        (Stage.CANCELLED, Stage.DRAINING),
    ],
)
def test_shortcuts_and_revivals_are_not(now, to):
    assert not legal(now, to)


def test_every_stage_may_stay_and_every_open_one_may_fail_or_be_cancelled():
    assert all(legal(stage, stage) for stage in Stage)
    assert all(legal(stage, to) for stage in EDGES for to in FROM_ANYWHERE)


def test_every_stage_is_either_terminal_or_has_a_way_out():
    assert set(EDGES) | set(TERMINAL) == set(Stage)
    assert set(EDGES) & set(TERMINAL) == set()


@pytest.mark.parametrize(
    ("fact", "may"),
    [
        (end(Stage.FAILED), True),
        (end(Stage.COMPLETED), False),
        (WaitsChanged(waits=()), True),
        (WaitsChanged(waits=(WAIT,)), False),
        (TaskMoved(task="t", state=TaskState.CANCELLED), True),
        (TaskMoved(task="t", state=TaskState.WORKING), False),
        (QuestionClosed(approval="a", state="void"), True),
        (QuestionClosed(approval="a", state="approved"), False),
        (Steered(verb="cancel", actor="ada", via="cli"), True),
        (AttemptEnded(task="t", attempt=1, backend="builtin", status="failed"), True),
        (GatesRan(where="task", sha="s", base_sha="b", results=()), True),
        (RolloutMoved(rollout="r", state=RolloutState.UNDOING), True),
        (RolloutUndone(undo=Undo(rollout="r", verified=True, reason="errors")), True),
        (StageReached(stage=Stage.FAILED), False),
        (BaseResolved(base_sha="b"), False),
    ],
)
def test_after_the_end_only_evidence_and_tidying_may_follow(fact, may):
    assert after_end(fact, Stage.FAILED, ended=False) == may


def test_an_idea_ends_once():
    assert not after_end(end(Stage.FAILED), Stage.FAILED, ended=True)


def test_only_a_stage_and_the_end_move_an_idea():
    assert stage_after(StageReached(stage=Stage.PLANNING), Stage.VALIDATING) == Stage.PLANNING
    assert stage_after(end(Stage.FAILED), Stage.RUNNING) == Stage.FAILED
    assert stage_after(BaseResolved(base_sha="b"), Stage.RUNNING) == Stage.RUNNING
