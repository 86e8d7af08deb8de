"""What a run's account proves, and what it must not pass over."""

import pytest

from starter.demo.account import Account, Answers, checks

GOOD = Account(
    rate=150,
    began_ms=1_000,
    now_ms=2_000,
    over=True,
    started=110,
    versions={"v1": Answers(good=100), "v2": Answers(good=7, bad=3)},
)


def hold(account: Account, counted: int = 110, undone: tuple[str, ...] = ("v2",)) -> list[bool]:
    return [check.holds for check in checks(account, counted, undone)]


def test_a_run_holds_where_only_what_was_undone_has_failed():
    assert hold(GOOD) == [True, True, True]


def test_bad_answers_of_a_release_that_stays_are_told():
    assert hold(GOOD, undone=()) == [True, True, False]


def test_a_refused_request_counts_as_failed():
    versions = {"v1": Answers(good=99, refused=1), "v2": Answers(good=10)}

    assert hold(GOOD.but(versions=versions)) == [True, True, False]


def test_a_request_without_an_answer_has_failed_wherever_it_went():
    account = GOOD.but(started=111, aborted=1)

    assert hold(account, counted=111) == [True, True, False]


@pytest.mark.parametrize("changes", [{"started": 111}, {"over": False}])
def test_a_request_of_which_nobody_knows_is_told(changes):
    assert not hold(GOOD.but(**changes))[0]


@pytest.mark.parametrize("counted", [109, 111])
def test_the_edge_must_have_counted_the_same(counted):
    assert hold(GOOD, counted=counted) == [True, False, True]


def test_what_was_never_sent_is_not_expected_at_the_edge():
    account = GOOD.but(started=112, aborted=2, unsent=2)

    assert (hold(account)[1], account.sent) == (True, 110)
