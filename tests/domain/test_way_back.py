"""Where an undo by hand leads, and which merges it takes away."""

import pytest

from domain.errors import Rejected
from domain.rollout import RolloutState
from domain.way_back import PastRollout, WayBack, way_back
from tests.rollouts import served

S = RolloutState


def sha(number: int) -> str:
    return f"{number}" * 40


def rollout(number: int) -> str:
    return f"01J00000000000000000000{number:03}"


def past(number: int, state: RolloutState = S.PASSED, anchor: int = 0) -> PastRollout:
    """Return the rollout of v1.<number>.0, which came after that of v1.<anchor>.0."""
    return PastRollout(
        rollout=rollout(number),
        state=state,
        sha=sha(number),
        tag=f"v1.{number}.0",
        merges=(sha(number),),
        anchor=served(rollout(anchor), sha(anchor)).but(tag=f"v1.{anchor}.0") if anchor else None,
    )


THREE = (past(1), past(2, anchor=1), past(3, anchor=2))


def names(back: WayBack) -> tuple[str, tuple[str, ...]]:
    return back.anchor.tag, back.merges


def refused(rollouts: tuple[PastRollout, ...], undone: int, to: str = "") -> Rejected:
    with pytest.raises(Rejected) as caught:
        way_back(rollouts, rollout(undone), to)
    return caught.value


def test_goes_back_to_the_last_release_that_passed_before():
    assert names(way_back(THREE, rollout(3))) == ("v1.2.0", (sha(3),))
    assert names(way_back(THREE, rollout(2))) == ("v1.1.0", (sha(2),))


def test_an_undo_of_a_release_that_is_on_its_way_takes_its_merges_along():
    rollouts = (*THREE, past(4, S.SHIFTING, anchor=3))

    assert names(way_back(rollouts, rollout(4))) == ("v1.3.0", (sha(4),))


@pytest.mark.parametrize("to", ["v1.1.0", "1111", rollout(1), rollout(1).lower()])
def test_a_release_is_named_by_tag_commit_or_rollout(to: str):
    assert names(way_back(THREE, rollout(3), to)) == ("v1.1.0", (sha(2), sha(3)))


def test_merges_that_were_undone_on_the_way_are_barred_already():
    rollouts = (*THREE[:2], past(3, S.UNDONE, anchor=2), past(4, anchor=2))

    assert names(way_back(rollouts, rollout(4), "v1.1.0")) == ("v1.1.0", (sha(2), sha(4)))


def test_a_release_that_was_undone_by_hand_is_no_way_back():
    rollouts = (past(1), past(2, S.UNDONE, anchor=1), past(3, anchor=2))

    assert names(way_back(rollouts, rollout(3))) == ("v1.1.0", (sha(3),))
    error = refused(rollouts, 3, "v1.2.0")

    assert (error.problem.code, error.problem.hint) == ("was_undone", "It can go back to v1.1.0.")


def test_a_version_that_never_passed_is_refused_with_those_that_have():
    rollouts = (*THREE, past(4, S.UNDONE, anchor=3), past(5, anchor=3))
    error = refused(rollouts, 5, "v1.4.0")

    assert error.problem.code == "never_passed"
    assert error.problem.message.startswith("v1.4.0 is undone there")
    assert error.problem.hint == "It can go back to v1.3.0, v1.2.0, v1.1.0."


def test_an_unknown_version_is_told_apart_and_too_short_a_name_means_nothing():
    unknown, short = refused(THREE, 3, "v9"), refused(THREE, 3, "111")

    assert unknown.problem.message.startswith("no v9 there")
    assert short.problem.code == "never_passed"


def test_without_any_release_before_there_is_no_way_back():
    alone, named = refused(THREE[:1], 1), refused(THREE[:1], 1, "v1.1.0")

    assert alone.problem.code == "no_way_back"
    assert (named.problem.code, named.problem.hint) == ("never_passed", "There is none.")


def test_a_tag_that_means_two_releases_is_not_guessed():
    again = past(3, anchor=2).but(anchor=served(rollout(2), sha(2)).but(tag="v1.1.0"))
    rollouts = (past(1), past(2, anchor=1), again)

    assert refused(rollouts, 3, "v1.1.0").problem.code == "ambiguous_version"
