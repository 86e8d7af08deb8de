"""What a demo came to: when it is as hoped, what happened when, and what it prints of that."""

from pathlib import Path

import pytest

from domain.delivery import Stage
from domain.record_view import AuditHead, IdeaRecord, RepoView
from domain.rollout import RolloutState, Undo
from domain.rollout_view import RolloutRecord, WeightChange
from starter.demo.account import Account, Answers, Check
from starter.demo.printing import intro, outro
from starter.demo.repository import make_repository
from starter.demo.told import Chapter, Told, as_hoped, moments, verdict
from tests.rollouts import FIRST, SECOND, TARGET, plan, served

UNDO = Undo(
    rollout=SECOND,
    verified=True,
    reason="the traffic is back, and well",
    anchor_sha="5" * 40,
    decided_ms=4_000,
    restored_ms=4_200,
    verified_ms=6_000,
    checks=("0 requests went to the undone release since then",),
)
ACCOUNT = Account(
    rate=150,
    began_ms=0,
    now_ms=9_000,
    over=True,
    started=20,
    versions={
        "v1": Answers(good=16),
        "v2": Answers(good=1, bad=3, first_bad_ms=1_100, last_bad_ms=4_100),
    },
    p50_ms=1.4,
    p99_ms=7.2,
)


def idea(state: Stage = Stage.COMPLETED) -> IdeaRecord:
    return IdeaRecord(
        key="prices",
        state=state,
        title="Prices",
        repo=RepoView(id="r", name="r", location="r", base="main"),
        audit_head=AuditHead(size=1, sha256="", idea_size=1, idea_sha256=""),
    )


def rollout(
    tag: str, state: RolloutState = RolloutState.PASSED, **changes: object
) -> RolloutRecord:
    made = RolloutRecord(
        rollout=FIRST,
        key="prices",
        round=1,
        target=TARGET,
        tag=tag,
        state=state,
        reason="3 of 4 answers were bad",
        created_at_ms=900,
        updated_at_ms=8_000,
        ended_at_ms=8_000,
    )
    return made.but(**changes)


BAD = rollout(
    "v2",
    RolloutState.UNDONE,
    undo=UNDO,
    plan=plan(anchor=served().but(tag="v1")),
    weights=(
        WeightChange(rollout=SECOND, op="0", weights={}, expected_generation=1, begun_at_ms=1_000),
        WeightChange(rollout=SECOND, op="1", weights={}, expected_generation=2, begun_at_ms=4_050),
    ),
)
FIXED = rollout("v3", created_at_ms=7_000)
CHAPTERS = (
    Chapter(idea=idea(), rollouts=(rollout("v0"),)),
    Chapter(idea=idea(), rollouts=(rollout("v1"),)),
    Chapter(idea=idea(), rollouts=(BAD, FIXED)),
)


def holds(chapters: tuple[Chapter, ...]) -> list[bool]:
    return [check.holds for check in verdict(chapters, ACCOUNT, 20)]


def test_a_demo_is_as_hoped_chapter_by_chapter():
    assert [as_hoped(CHAPTERS[:number]) for number in (1, 2, 3)] == [True, True, True]
    assert holds(CHAPTERS) == [True, True, True, True, True]


def test_a_demo_that_stops_early_has_not_held():
    assert not holds(CHAPTERS[:2])[0]


@pytest.mark.parametrize("rollouts", [(FIXED,), (BAD,), (BAD, BAD), (FIXED, BAD)])
def test_a_third_idea_that_goes_another_way_has_not_held(rollouts):
    chapters = (*CHAPTERS[:2], CHAPTERS[2].but(rollouts=rollouts))

    assert not as_hoped(chapters)
    assert not holds(chapters)[0]


def test_an_idea_that_has_not_completed_has_not_held():
    chapters = (*CHAPTERS[:2], CHAPTERS[2].but(idea=idea(Stage.ROLLED_BACK)))

    assert not holds(chapters)[0]


def test_an_undo_must_be_verified():
    bad = BAD.but(undo=UNDO.but(verified=False))

    assert not holds((*CHAPTERS[:2], CHAPTERS[2].but(rollouts=(bad, FIXED))))[1]


def test_bad_answers_of_the_release_that_passed_are_not_excused():
    account = ACCOUNT.but(versions={**ACCOUNT.versions, "v3": Answers(bad=1)}, started=21)

    assert [check.holds for check in verdict(CHAPTERS, account, 21)][-1] is False


def test_moments_are_told_in_the_order_of_time():
    told = moments(CHAPTERS[2], ACCOUNT)

    assert [(moment.at_ms, moment.what) for moment in told] == [
        (1_000, "v2 gets its first share of the traffic"),
        (1_100, "first bad answer"),
        (4_000, "judged: 3 of 4 answers were bad"),
        (4_100, "last bad answer"),
        (4_200, "traffic restored to v1"),
        (6_000, "undo verified"),
        (7_000, "fix merged by the same idea, on its way as v3"),
        (8_000, "fixed: v3 passed, the idea is Completed"),
    ]


def test_where_nothing_was_undone_there_are_no_moments():
    assert moments(CHAPTERS[1], ACCOUNT) == ()


def test_the_first_lines_say_what_is_shortened_and_what_holds_otherwise():
    told = intro(150)

    assert "150 requests/s; 20, 50, 100 % of the traffic, 6 s each, then 8 s" in told
    assert "5, 10, 25, 50, 100 % of the traffic, 2 min each, then 30 min" in told


def test_the_last_lines_name_times_checks_and_where_to_look(tmp_path: Path, capsys):
    story = Told(
        chapters=CHAPTERS,
        repository=str(make_repository(tmp_path)),
        url="http://127.0.0.1:8080",
        account=ACCOUNT,
        counted=20,
        reports=("/r/v2.html", "/r/v3.html"),
        checks=(*verdict(CHAPTERS, ACCOUNT, 20), Check(holds=False, text="this does not hold")),
        moments=moments(CHAPTERS[2], ACCOUNT),
    )

    outro(story)

    out = capsys.readouterr().out
    assert "+3.2 s  traffic restored to v1" in out
    assert "✔  20 requests started = 20 completed + 0 aborted" in out
    assert "✔  20 requests sent = 20 counted by the edge" in out
    assert "✔  3 requests failed on v2, 0 anywhere else" in out
    assert "✘  this does not hold" in out
    assert "/r/v2.html" in out
    assert not story.well
    assert story.but(checks=story.checks[:-1]).well
