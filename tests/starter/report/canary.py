"""Made-up rollouts for reports: regular traffic, some of it bad, latencies that double."""

from bisect import bisect_left
from collections.abc import Iterator

from domain.deployment import BUCKETS_MS, Counts, Observation
from domain.rollout import PlannedStep, RolloutPlan, RolloutState, Undo
from domain.rollout_view import MoveView, RolloutRecord, VerdictView, WeightChange
from domain.service import Analysis, MetricSource
from domain.tick import Side, Tick
from domain.verdict import CountClass, JudgeSetup
from starter.report import ReportView
from tests.facts import KEY
from tests.rollouts import FIRST, SECOND, TARGET, plan, served, verdict

BEGIN = 1_790_000_000_000
SECOND_MS = 1_000
RPS = 100
NEW, OLD = f"{SECOND}.0", f"{FIRST}.0"
HOLDS = ((2_000, 10), (5_000, 10), (10_000, 0))  # weight, seconds


def canary_plan(**changes: object) -> RolloutPlan:
    """Return a plan of three steps, ten seconds each, with ticks of a second."""
    metrics = (MetricSource(name="queue", source="command", query="q", unit="jobs"),)
    setup = JudgeSetup(
        classes=(CountClass(name="error", tolerance=0.25), CountClass(name="slow", tolerance=0)),
        analysis=Analysis(tick=1, metrics=metrics),
        slow_ms=100,
    )
    steps = (
        PlannedStep(index=index, weight=weight, hold_s=hold)
        for index, (weight, hold) in enumerate(HOLDS)
    )
    made = plan(
        SECOND, tag="v1.1.0", setup=setup, steps=tuple(steps), bake_s=10, anchor=served(FIRST)
    )
    return made.but(**changes)


class Traffic:
    """Counts of both sides, second by second."""

    def __init__(self, bad: float = 0.0, histogram: bool = True, slow_ms: float = 40) -> None:
        self._bad = bad
        self._histogram = histogram
        self._slow_ms = slow_ms  # of every answer of the new release
        self._counts = {NEW: [0] * 40, OLD: [0] * 40}
        self.now_ms = BEGIN

    def step(self, step: int, weight: int, seconds: int) -> Iterator[Tick]:
        """Yield the ticks of a step, the opening one first."""
        yield self._tick(step, 0, weight, 0)
        for seq in range(1, seconds + 1):
            self.now_ms += SECOND_MS
            yield self._tick(step, seq, weight, SECOND_MS)

    def _tick(self, step: int, seq: int, weight: int, ms: int) -> Tick:
        new = RPS * ms // 1_000 * weight // 10_000
        old = RPS * ms // 1_000 - new
        bad = round(new * self._bad)
        self._counts[NEW][bisect_left(BUCKETS_MS, self._slow_ms)] += new
        self._counts[OLD][bisect_left(BUCKETS_MS, 20)] += old
        return Tick(
            rollout=SECOND,
            step=step,
            seq=seq,
            at_ms=self.now_ms,
            ms=ms,
            weight=weight,
            control=Side(started=old, done=old),
            canary=Side(started=new, done=new, error=bad, errors=bad),
            metrics={"queue": (3.0, 4.0)},
            cursor=self._cursor(),
        )

    def _cursor(self) -> str:
        counts = tuple(
            Counts(instance=name, epoch="1", histogram=tuple(told) if self._histogram else ())
            for name, told in self._counts.items()
        )
        return Observation(
            target=TARGET, at_ms=self.now_ms, generation=2, counts=counts
        ).model_dump_json()


def ticks(traffic: Traffic, steps: int = 3, bake_s: int = 10) -> tuple[Tick, ...]:
    """Return all ticks of a rollout that comes through `steps` steps and, after three, the bake."""
    found: list[Tick] = []
    for index, (weight, seconds) in enumerate(HOLDS[:steps]):
        if seconds:
            found += traffic.step(index, weight, seconds)
    if steps == len(HOLDS):
        found += traffic.step(steps, 10_000, bake_s)
    return tuple(found)


def record(state: RolloutState, **changes: object) -> RolloutRecord:
    """Return the record of a rollout whose steps were ordered ten seconds apart."""
    moments = [(BEGIN + 10_000 * index, weight) for index, (weight, _) in enumerate(HOLDS)]
    values = {
        "rollout": SECOND,
        "key": KEY,
        "round": 1,
        "target": TARGET,
        "sha": "9" * 40,
        "tag": "v1.1.0",
        "state": state,
        "reason": "because",
        "exposure": 1.0,
        "created_at_ms": BEGIN - 5_000,
        "started_at_ms": BEGIN,
        "updated_at_ms": BEGIN,
        "ended_at_ms": BEGIN + 30_000,
        "plan": canary_plan(),
        "moves": tuple(
            MoveView(at_ms=at, state=RolloutState.SHIFTING, step=index, weight=weight)
            for index, (at, weight) in enumerate(moments)
        ),
        "weights": tuple(change(index, at, weight) for index, (at, weight) in enumerate(moments)),
        "verdicts": (VerdictView(at_ms=BEGIN + 10_000, step=0, verdict=verdict()),),
    }
    return RolloutRecord.model_validate(values | changes)


def change(index: int, at_ms: int, weight: int) -> WeightChange:
    return WeightChange(
        rollout=SECOND,
        op=f"{SECOND}/step/{index}",
        weights={NEW: weight, OLD: 10_000 - weight},
        expected_generation=index,
        generation=index + 1,
        begun_at_ms=at_ms,
        done_at_ms=at_ms,
    )


def passed(**changes: object) -> ReportView:
    """Return the view of a rollout that came through all its steps."""
    return view(record(RolloutState.PASSED, **changes), ticks(Traffic()))


def undone(**changes: object) -> ReportView:
    """Return the view of a rollout that was undone in its first step."""
    back = change(9, BEGIN + 10_200, 0)
    undo = Undo(
        rollout=SECOND,
        verified=True,
        reason="the traffic is back, and well",
        decided_ms=BEGIN + 10_100,
        restored_ms=BEGIN + 10_200,
        verified_ms=BEGIN + 13_000,
        checks=("0 requests went to the undone release since then",),
    )
    made = record(
        RolloutState.UNDONE,
        undo=undo,
        bad_since_ms=BEGIN + 2_000,
        exposure=0.2,
        weights=(change(0, BEGIN, 2_000), back),
        moves=(),
    )
    return view(made.but(**changes), ticks(Traffic(bad=0.4), steps=1))


def view(told: RolloutRecord, seen: tuple[Tick, ...], title: str = "Quote a price") -> ReportView:
    return ReportView(record=told, title=title, ticks=seen, made_ms=BEGIN + 60_000, version="0.1.0")
