"""The judge as a door sees it: a file of counts, a verdict."""

from pathlib import Path

from domain.judge import judge
from domain.service import Analysis
from domain.verdict import CountClass, JudgeSetup, Verdict
from starter.judge_file import read_counts


def judge_file(path: Path, *, alpha: float, tolerance: float, min_requests: int) -> Verdict:
    """Judge the counts of a file as if its hold were over; raises `Refused` for a bad one."""
    counted = read_counts(path)
    classes = [CountClass(name="error", tolerance=tolerance)]
    if counted.slow:
        classes.append(CountClass(name="slow", tolerance=0))
    analysis = Analysis(
        tick=min(300.0, counted.tick_s),
        alpha=alpha,
        tolerance=tolerance,
        min_requests=min_requests,
    )
    setup = JudgeSetup(classes=tuple(classes), analysis=analysis)
    return judge(setup, counted.ticks, step=counted.ticks[-1].step, hold_over=True)
