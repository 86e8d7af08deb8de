"""Sums and selections of the record."""

from domain.record import ArtifactRef
from domain.record_view import AttemptView, TaskView, cost, gate_view, logs_of
from domain.review import GateResult, Verdict

LOG = ArtifactRef(sha256="1" * 64, size=1)


def attempt(at_ms: int, transcript: ArtifactRef | None = LOG) -> AttemptView:
    return AttemptView(
        attempt=1, backend="b", status="changed", failure="none", reason="", seconds=0.5, tokens=3,
        micro_usd=4, tier="none", runs=2, at_ms=at_ms, transcript=transcript,
    )  # fmt: skip


def task(name: str, *attempts: AttemptView) -> TaskView:
    return TaskView(
        round=1, id=name, title=name, state="Merged", reason="", failure="none", at_ms=1,
        attempts=attempts,
    )  # fmt: skip


def gate(task: str, at_ms: int, log: ArtifactRef | None = LOG):
    result = GateResult(
        gate="tests", kind="tests", verdict=Verdict.PASSED, reason="", log=log, seconds=0.25
    )
    return gate_view(
        result, round=1, where="task", task=task, attempt=1, base="b", after="s", at_ms=at_ms
    )


def test_cost_adds_up_attempts_and_gates():
    total = cost((task("one", attempt(1), attempt(2)), task("two")), (gate("one", 3),))

    assert (total.attempts, total.runs, total.tokens, total.micro_usd) == (2, 4, 6, 8)
    assert (total.agent_seconds, total.gate_seconds) == (1.0, 0.25)


def test_logs_are_in_the_order_of_time_and_of_one_task_if_asked():
    tasks = (task("one", attempt(5), attempt(1, None)), task("two", attempt(2)))
    gates = (gate("one", 3), gate("one", 4, None))

    assert [(log.task, log.name) for log in logs_of(tasks, gates)] == [
        ("two", "transcript"),
        ("one", "tests"),
        ("one", "transcript"),
    ]
    assert [log.name for log in logs_of(tasks, gates, "one")] == ["tests", "transcript"]
