"""The size of a change."""

from domain.churn import FileLines, judge_churn
from domain.review import Verdict

FILES = (
    FileLines(path="a.py", insertions=30, deletions=10),
    FileLines(path="b.py", insertions=100, deletions=0),
    FileLines(path="uv.lock", insertions=900, deletions=900),
)


def test_counts_what_agents_wrote_and_fails_above_the_limit() -> None:
    judged = judge_churn(FILES, limit=139)

    assert judged.verdict == Verdict.FAILED
    assert judged.reason == "140 changed lines and 1800 by machines, the limit is 139"


def test_passes_at_the_limit_and_without_one() -> None:
    assert judge_churn(FILES, limit=140).verdict == Verdict.PASSED
    assert judge_churn(FILES, limit=0).verdict == Verdict.PASSED


def test_edits_of_builtin_operations_count_apart() -> None:
    judged = judge_churn(FILES[:2], limit=50, generated=("b.py",))

    assert (judged.verdict, judged.reason) == (
        Verdict.PASSED,
        "40 changed lines and 100 by machines",
    )


def test_says_only_one_number_without_machine_edits() -> None:
    assert judge_churn(FILES[:1], limit=50).reason == "40 changed lines"
