"""What is told of rollouts, and which state may follow which."""

import pytest

from domain.rollout import ENDED, RolloutResult, RolloutState, Undo
from domain.rollout_fact import ended, follows
from domain.verdict import Verdict
from tests.rollouts import FIRST, SHA, TARGET, verdict

S = RolloutState


def test_the_end_leaves_out_what_other_facts_have_told():
    result = RolloutResult(
        rollout=FIRST, target=TARGET, status=S.UNDONE, reason="errors", sha=SHA,
        verdict=verdict(), undo=Undo(rollout=FIRST, verified=True, reason="errors"),
        merges=(SHA,),
    )  # fmt: skip

    told = ended(result).result

    assert (told.verdict, told.undo) == (None, None)
    assert (told.status, told.merges) == (S.UNDONE, (SHA,))


@pytest.mark.parametrize("now", [state for state in S if state not in ENDED])
@pytest.mark.parametrize("to", S)
def test_an_open_rollout_may_go_anywhere(now, to):
    assert follows(now, to)


@pytest.mark.parametrize("now", ENDED)
def test_an_ended_rollout_does_not_begin_anew(now):
    assert follows(now, now)
    assert not any(follows(now, to) for to in S if to not in ENDED and to is not S.UNDOING)


@pytest.mark.parametrize(
    ("now", "may"),
    [
        (S.PASSED, True),
        (S.HELD, True),
        (S.RESTORED_UNVERIFIED, True),
        (S.UNDONE, False),
        (S.SUPERSEDED, False),
        (S.FAILED, False),
    ],
)
def test_a_person_may_undo_what_passed_or_stands_still(now, may):
    assert follows(now, S.UNDOING) is may
    assert not follows(now, S.PASSED) or now is S.PASSED


def test_infinite_numbers_survive_being_sent():
    sent = verdict().model_dump_json()

    assert Verdict.model_validate_json(sent) == verdict()
    assert "null" not in sent
