"""Evidence: the judge, replayed over the stored ticks, against what is on record."""

from collections.abc import Iterator

from domain.judge import judge, judge_bake
from domain.observing import past_of
from domain.rollout import RolloutPlan
from domain.tick import Tick, watched_ms
from domain.verdict import Verdict
from scripts.kill_rollouts.records import Told
from scripts.kill_rollouts.service import FAILED, HELD, PASSED, UNDONE


def wrong_verdicts(told: Told, anchors: tuple[Tick, ...]) -> Iterator[str]:
    """Compare each verdict on record with its ticks; `anchors` are of the release before."""
    for given in told.verdicts:
        if told.plan is None:
            yield "a verdict without a plan"
            return
        heard = tuple(tick for tick in told.ticks if tick.at_ms <= given.verdict.at_ms)
        again = replayed(told.plan, heard, anchors, given.step, over=True)
        if again != given.verdict:
            there = _brief(given.verdict)
            yield f"step {given.step}: the ticks say {_brief(again)}, on record is {there}"


def replayed(
    plan: RolloutPlan,
    ticks: tuple[Tick, ...],
    anchors: tuple[Tick, ...],
    step: int,
    *,
    over: bool,
) -> Verdict:
    """Judge a step again; `over`: its hold."""
    heard = tuple(tick for tick in ticks if tick.step <= step)
    if step < len(plan.steps):
        return judge(plan.setup, heard, step=step, hold_over=over)
    mine = tuple(tick for tick in heard if tick.step == step)
    stable = tuple(tick for tick in heard if tick.step != step)
    if plan.anchor and not any(tick.control.done for tick in stable):
        stable = past_of(plan.anchor.rollout, anchors, mine, plan.setup)
    return judge_bake(plan.setup, stable, mine, hold_over=over)


def demanded(told: Told, anchors: tuple[Tick, ...]) -> str:
    """Return the state that the stored evidence demands; empty: it demands none yet."""
    if told.plan is None:
        return HELD
    if not told.ticks:
        return FAILED
    step = told.ticks[-1].step
    verdict = replayed(told.plan, told.ticks, anchors, step, over=_held(told.plan, told.ticks))
    if verdict.verdict == "pass":
        return PASSED if step == len(told.plan.steps) else ""
    return "" if verdict.verdict == "watching" else UNDONE


def _held(plan: RolloutPlan, ticks: tuple[Tick, ...]) -> bool:
    """Return whether the hold of the last step that was watched is over."""
    step = ticks[-1].step
    mine = tuple(tick for tick in ticks if tick.step == step)
    hold = plan.bake_s if step == len(plan.steps) else plan.steps[step].hold_s
    return watched_ms(mine, plan.service.analysis.tick) >= hold * 1_000


def _brief(verdict: Verdict) -> str:
    evidence = ", ".join(
        f"{each.name} {each.canary_bad}/{each.canary_total} against "
        f"{each.control_bad}/{each.control_total}, log e {each.log_e!r}"
        for each in verdict.classes
    )
    return f"{verdict.verdict} after {verdict.ticks} ticks ({verdict.guard or evidence})"
