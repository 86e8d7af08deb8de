"""The board of a rollout shows where it stands, what it waits for, and what was said of it."""

from domain.rollout import PlannedStep, RolloutState
from domain.rollout_board import RolloutBoard, markdown
from domain.verdict import Verdict


def test_a_new_rollout_shows_its_name_and_nothing_else():
    text = markdown(RolloutBoard(rollout="R", target="r.api/production", tag="", sha="a" * 40))

    assert text == "### aaaaaaaaaaaa → r.api/production\n\n**planned**, 0 %"


def test_shows_steps_verdicts_waits_and_who_comes_next():
    board = RolloutBoard(
        rollout="R",
        target="r.api/production",
        tag="v2.0.0",
        sha="a" * 40,
        state=RolloutState.SHIFTING,
        reason="a | b <c>",
        steps=tuple(PlannedStep(index=at, weight=w, hold_s=6) for at, w in enumerate((5, 10, 20))),
        step=1,
        weight=1_050,
        waits="a person",
        verdicts=(Verdict(verdict="pass", reason="x" * 400),),
        waiting=("v2.0.1",),
    )
    text = markdown(board)

    assert "**shifting**, 10.5 %" in text
    assert "a \\| b &lt;c>" in text
    assert "**Waits for** a person" in text
    assert [line[:5] for line in text.splitlines() if line.endswith("6 s |")] == [
        "| ✔ |",
        "| → |",
        "| · |",
    ]
    assert "✔ " + "x" * 299 + "…" in text
    assert text.endswith("After it: v2.0.1")
