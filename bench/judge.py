"""Measure the judge on simulated traffic, beside two others: `python -m bench.judge [--quick]`.

Every verdict comes from `domain.judge`'s own hearing of ticks; seeds are fixed. The table goes
between the marks of docs/judge.md.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.judge_rivals import flagger_fails_at, kayenta_fails, per_minute
from bench.judge_streams import Scene, Shake, Step, Stream, bursts, incident, noise
from domain.deployment import FULL
from domain.judge import mde
from domain.judge_hearing import Hearing
from domain.record import Record
from domain.service import Analysis
from domain.tick import Tick
from domain.verdict import CountClass, JudgeSetup

PAGE = Path(__file__).parents[1] / "docs" / "judge.md"
MARK = "<!-- judge-bench -->", "<!-- /judge-bench -->"
SEED = 20_260_704
RUNS = 1_500
TICK = round(Analysis().tick)
CLASSES = (CountClass(name="error", tolerance=0.25), CountClass(name="slow", tolerance=0))
RAMP = tuple(Step(weight=w, seconds=150) for w in (0.05, 0.1, 0.25, 0.5))
TENTH = (Step(weight=0.1, seconds=600),)


class Goal(Record):
    """What a row must reach; times are seconds from the onset."""

    found_least: float = 0
    found_most: float = 1
    median_most: float = math.inf
    p95_most: float = math.inf

    def met(self, row: "Row") -> bool:
        return (
            self.found_least <= row.found <= self.found_most
            and row.median <= self.median_most
            and row.p95 <= self.p95_most
        )

    def told(self) -> str:
        parts = [
            f"at least {_percent(self.found_least)}" if self.found_least else "",
            f"at most {_percent(self.found_most)}" if self.found_most < 1 else "",
            f"median at most {self.median_most:g} s" if self.median_most < math.inf else "",
            f"95th percentile at most {self.p95_most:g} s" if self.p95_most < math.inf else "",
        ]
        return ", ".join(part for part in parts if part)


class Row(Record):
    """What came out of one scene."""

    name: str
    runs: int
    found: float
    median: float  # seconds from the onset, of all runs; infinity: not found in most
    p95: float
    first_median: float  # seconds from the first bad answer
    first_p95: float
    guards: float  # part of the runs that a guard ended
    kayenta: float
    flagger: float
    flagger_median: float
    goal: str = ""
    met: bool = True


FALSE = Goal(found_most=0.01)
CLUSTERED = Goal(found_most=0.02)
FOUND: tuple[tuple[Scene, Shake | None, Goal], ...] = (
    (Scene(name="0.2 → 1 % bad", bad=0.01), None, Goal(found_least=0.9)),
    (Scene(name="0.2 → 2 %", bad=0.02), None, Goal(found_least=0.995, median_most=130)),
    (Scene(name="0.2 → 5 %", bad=0.05), None, Goal(median_most=40)),
    (
        Scene(
            name="0.2 → 5 % after 30 good minutes",
            bad=0.05,
            onset=1_800,
            steps=(Step(weight=0.1, seconds=2_400),),
        ),
        None,
        Goal(p95_most=90),
    ),
    (
        Scene(name="0.2 → 5 %, canary 20 %", bad=0.05, steps=(Step(weight=0.2, seconds=600),)),
        None,
        Goal(),
    ),
    (Scene(name="0.2 → 100 %", bad=1.0), None, Goal()),
    (Scene(name="2 requests/s, 1 → 20 %", base=0.01, bad=0.2, rps=2), None, Goal()),
    (Scene(name="500 requests/s, 0.2 → 0.5 %", bad=0.005, rps=500), None, Goal()),
    (Scene(name="slow 5 → 10 %", slow=0.05, slower=0.1), None, Goal()),
)
HEALTHY: tuple[tuple[Scene, Shake | None, Goal], ...] = (
    (Scene(name="both 0.2 % bad"), None, FALSE),
    (Scene(name="both 5 %", base=0.05), None, FALSE),
    (Scene(name="both 50 %", base=0.5), None, FALSE),
    (Scene(name="both 0.2 %, 10 requests/s", rps=10), None, FALSE),
    (Scene(name="both 50 %, 10 requests/s", base=0.5, rps=10), None, FALSE),
    (Scene(name="incident on both: 8 % for 2 minutes"), incident(240, 120, 0.08), FALSE),
    (
        Scene(name="the same in the last of four steps", steps=RAMP),
        incident(480, 120, 0.08),
        FALSE,
    ),
    (Scene(name="shared noise around 2 %", base=0.02), noise, FALSE),
    (Scene(name="retries: failures come in threes", retries=3), None, CLUSTERED),
    (
        Scene(name="the same at 5 %", base=0.05, retries=3),
        None,
        CLUSTERED,
    ),
    (Scene(name="bursts on one instance of ten"), bursts(), CLUSTERED),
)
# Without a goal: what the choices are worth.
BESIDE: tuple[tuple[Scene, Shake | None, Goal], ...] = (
    (
        Scene(name="retries, clients not told apart", retries=3, known_clients=False),
        None,
        Goal(),
    ),
    (Scene(name="longer bursts, up to 10 s"), bursts(longest=10), Goal()),
    (Scene(name="total bursts: all answers for up to 5 s"), bursts(share=1), Goal()),
)
BAKE = (*RAMP, Step(weight=1, seconds=1_800))
BAKES: tuple[tuple[Scene, Shake | None, Goal], ...] = (
    (Scene(name="as good as the stable one", steps=BAKE), None, FALSE),
    (Scene(name="the same at 5 %", base=0.05, steps=BAKE), None, FALSE),
    (Scene(name="0.2 → 1 %, after 5 minutes", bad=0.01, onset=900, steps=BAKE), None, Goal()),
    (Scene(name="0.2 → 0.5 %, from its start", bad=0.005, onset=600, steps=BAKE), None, Goal()),
    (
        Scene(name="an incident in the bake alone: 8 % for 2 minutes", steps=BAKE, onset=1_200),
        incident(1_200, 120, 0.08),
        Goal(),
    ),
)
TICKS = (1, 2, 5, 10)
BY_TICK = (FOUND[0], FOUND[2], HEALTHY[8], BESIDE[0], HEALTHY[10])


def setup(tick: float) -> JudgeSetup:
    """Return the judge's setup with two classes that can fail a release."""
    return JudgeSetup(classes=CLASSES, analysis=Analysis(tick=tick))


def measure(scene: Scene, shake: Shake | None, goal: Goal, runs: int, tick: int = TICK) -> Row:
    """Let the judge and the others look at the same streams."""
    stream = Stream(scene, np.random.default_rng(SEED), runs, shake)
    ends, guards = [], 0
    for ticks in stream.runs(tick):
        hearing = _hear(ticks, setup(tick))
        ends.append(hearing.at_ms / 1_000 if hearing.decided else math.inf)
        guards += hearing.guards.rung != ""
    firsts = [end - stream.first_bad(run) for run, end in enumerate(ends)]
    early = [end for end in ends if end <= scene.onset]
    found = [end - scene.onset for end in ends]
    kayenta, flagger = _others(stream, runs)
    row = Row(
        name=scene.name,
        runs=runs,
        found=(sum(end < math.inf for end in found) - len(early)) / runs,
        median=_quantile(found, 0.5),
        p95=_quantile(found, 0.95),
        first_median=_quantile(firsts, 0.5),
        first_p95=_quantile(firsts, 0.95),
        guards=guards / runs,
        kayenta=kayenta,
        flagger=sum(end < math.inf for end in flagger) / runs,
        flagger_median=_quantile([end - scene.onset for end in flagger], 0.5),
        goal=goal.told(),
    )
    return row.but(met=goal.met(row))


def _hear(ticks: list[Tick], chosen: JudgeSetup) -> Hearing:
    """Judge steps beside the stable release, and what has all the traffic by what it did."""
    beside = [tick for tick in ticks if tick.weight < FULL]
    hearing = Hearing(chosen).take_all(beside)
    if hearing.decided or len(beside) == len(ticks):
        return hearing
    return Hearing(chosen, tuple(beside)).take_all(ticks[len(beside) :])


def _others(stream: Stream, runs: int) -> tuple[float, list[float]]:
    """Return how often Kayenta fails the release, and when Flagger does."""
    failed, ends = 0, []
    for run in range(runs):
        control = per_minute(stream.control_bad[run].sum(axis=1), stream.control_all[run])
        canary = per_minute(stream.canary_bad[run].sum(axis=1), stream.canary_all[run])
        failed += kayenta_fails(control, canary)
        ends.append(flagger_fails_at(1 - canary))
    return failed / runs, ends


def _quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that this part does not exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def at_mde(runs: int) -> tuple[float, float]:
    """Return the smallest ratio that a plan promises to see, and how often it is seen."""
    ratio = mde(setup(TICK), 50, 1_000, 600, 0.002)
    scene = Scene(name="at the promised ratio", bad=0.002 * ratio)
    return ratio, measure(scene, None, Goal(), runs).found


def table(rows: Sequence[Row]) -> list[str]:
    """Return rows in Markdown."""
    lines = [
        "| stream | found | median | 95 % | goal | met | Kayenta | Flagger |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = "" if not row.goal else "yes" if row.met else "**no**"
        flagger = _percent(row.flagger)
        if row.flagger_median < math.inf:
            flagger += f" @{row.flagger_median:g} s"
        lines.append(
            f"| {row.name} | {_percent(row.found)} | {_seconds(row.median)} | "
            f"{_seconds(row.p95)} | {row.goal} | {met} | {_percent(row.kayenta)} | {flagger} |"
        )
    return lines


def by_tick(runs: int) -> list[str]:
    """Return what longer and shorter ticks are worth, in Markdown."""
    lines = [
        "| tick | " + " | ".join(scene.name for scene, _, _ in BY_TICK) + " |",
        "|---|" + "---|" * len(BY_TICK),
    ]
    for tick in TICKS:
        cells = []
        for scene, shake, goal in BY_TICK:
            row = measure(scene, shake, goal, runs, tick)
            cells.append(
                _percent(row.found)
                + (f", median {row.median:g} s" if row.median < math.inf else "")
            )
        lines.append(f"| {tick} s | " + " | ".join(cells) + " |")
    return lines


def first_bad(rows: Sequence[Row]) -> list[str]:
    """Say how long it takes from the first bad answer on."""
    return [
        f"From the first bad answer to the verdict ({row.name}): median {row.first_median:g} s, "
        f"95th percentile {row.first_p95:g} s."
        for row in rows
        if row.name in (FOUND[2][0].name, FOUND[4][0].name)
    ]


def report(runs: int) -> tuple[list[str], bool]:
    """Return the page's part and whether all goals are met."""
    began, more = time.perf_counter(), 4 * runs // 3
    found = [_tell(measure(*each, runs)) for each in FOUND]
    healthy = [_tell(measure(*each, more)) for each in HEALTHY]
    beside = [_tell(measure(*each, runs)) for each in BESIDE]
    bakes = [_tell(measure(*each, runs // 3)) for each in BAKES]
    ratio, power = at_mde(runs)
    lines = [
        f"Simulated with fixed seeds, {runs:,} runs a row and {more:,} where nothing is wrong: "
        f"50 requests/s, 10 % canary, 600 s, base 0.2 %, ticks of {TICK} s, two classes, 2 % of "
        "all answers slow, unless said. Times are seconds after the onset.",
        "",
        "**A bad release**",
        "",
        *table(found),
        "",
        *first_bad(found),
        "",
        f"A plan promises to see a ratio of {ratio:.2f} in 80 % of cases: seen in "
        f"{_percent(power)}.",
        "",
        "**A release as good as the stable one** (what is found is a false alarm)",
        "",
        *table(healthy),
        "",
        f"**The bake**, 30 minutes with all traffic after four steps of 150 s ({runs // 3:,} runs)",
        "",
        *table(bakes),
        "",
        "**Beyond the goals** (false alarms)",
        "",
        *table(beside),
        "",
        f"**The length of a tick** ({runs // 3:,} runs a cell)",
        "",
        *by_tick(runs // 3),
    ]
    print(f"took {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return lines, all(row.met for row in (*found, *healthy, *bakes))


def _tell(row: Row) -> Row:
    mark = "" if row.met else "  NOT MET: " + row.goal
    print(
        f"{row.name}: found {_percent(row.found)}, median {_seconds(row.median)}{mark}",
        file=sys.stderr,
        flush=True,
    )
    return row


def write(lines: list[str]) -> None:
    """Put the tables between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARK[0])
    _, _, after = rest.partition(MARK[1])
    inner = "\n".join(lines)
    PAGE.write_text(f"{before}{MARK[0]}\n{inner}\n{MARK[1]}{after}", encoding="utf-8")


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < math.inf else "–"


def main() -> int:
    """Return 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.judge", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs, nothing is written")
    arguments = parser.parse_args()
    lines, met = report(100 if arguments.quick else RUNS)
    print("\n".join(lines))
    if not arguments.quick:
        write(lines)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
