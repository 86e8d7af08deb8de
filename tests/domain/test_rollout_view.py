"""A rollout as doors show it."""

from domain.rollout_view import RolloutRecord, VerdictView
from domain.verdict import Verdict


def test_the_last_word_on_a_step_is_what_counts():
    said = [
        VerdictView(step=step, at_ms=at, verdict=Verdict(verdict=word, reason=""))
        for at, (step, word) in enumerate([(0, "inconclusive"), (0, "pass"), (1, "fail")])
    ]
    record = RolloutRecord.model_construct(verdicts=tuple(said))

    assert {step: each.verdict for step, each in record.last_verdicts.items()} == {
        0: "pass", 1: "fail",
    }  # fmt: skip
