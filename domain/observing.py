"""Observing: two looks at cumulative counts become one tick of increases."""

from domain.deployment import BUCKETS_MS, Counts, Observation
from domain.shifting import of_rollout
from domain.tick import Side, Tick
from domain.verdict import JudgeSetup

CLIENTS_ARE_TOLD_APART_FOR = {"5xx", "connect", "timeout", "reset"}
_GONE_AWAY = "aborted"  # the client did not wait for an answer: neither good nor bad


def tick_between(
    before: Observation | None,
    after: Observation,
    *,
    rollout: str,
    step: int,
    seq: int,
    weight: int,
    setup: JudgeSetup,
    metrics: dict[str, tuple[float, float]] | None = None,
) -> Tick:
    """Return what both sides did between two looks; the first look of a step opens it, at zero.

    The instances of the rollout are the canary, all others the control. A counter that began
    anew counts from zero; one that is not there any more adds nothing.
    """
    mine = [each for each in after.instances if of_rollout(rollout, each.instance)]
    return Tick(
        rollout=rollout,
        step=step,
        seq=seq,
        at_ms=after.at_ms,
        ms=max(0, after.at_ms - before.at_ms) if before else 0,
        weight=weight,
        generation=after.generation,
        control=_side(before, after, setup, rollout, canary=False),
        canary=_side(before, after, setup, rollout, canary=True),
        down=max((each.failures for each in mine), default=0),
        crash_loop=any(each.state == "crash_loop" for each in mine),
        metrics=metrics or {},
        cursor=after.model_dump_json(),
    )


def _side(
    before: Observation | None,
    after: Observation,
    setup: JudgeSetup,
    rollout: str,
    *,
    canary: bool,
) -> Side:
    if before is None:
        return Side()
    known = {counts.instance: counts for counts in before.counts}
    sums = [0] * 6
    for counts in after.counts:
        if of_rollout(rollout, counts.instance) is canary:
            then = _then(known.get(counts.instance), counts)
            now = _figures(counts, setup)
            rises = (
                max(0, late - early) for early, late in zip(_figures(then, setup), now, strict=True)
            )
            sums = [total + rise for total, rise in zip(sums, rises, strict=True)]
    started, done, clients, errors, slow, timed = sums
    apart = set(setup.errors) == CLIENTS_ARE_TOLD_APART_FOR
    return Side(
        started=started,
        done=done,
        error=min(clients, errors) if apart else errors,
        slow=slow,
        errors=errors,
        timed=timed,
    )


def _then(before: Counts | None, now: Counts) -> Counts:
    """Return what was counted before; nothing, where the counter has begun anew."""
    if before is None or before.epoch != now.epoch:
        return Counts(instance=now.instance)
    return before


def _figures(counts: Counts, setup: JudgeSetup) -> tuple[int, ...]:
    """Return cumulative figures in the order of a side: all of them only ever rise."""
    done = sum(many for name, many in counts.done.items() if name != _GONE_AWAY)
    errors = sum(counts.done.get(name, 0) for name in setup.errors)
    slow = _slow(counts, setup.slow_ms)
    timed = sum(counts.histogram) + counts.overdue if setup.slow_ms else 0
    return counts.started, done, counts.bad_clients, errors, slow, timed


def _slow(counts: Counts, slow_ms: float) -> int:
    """Return the answers that took longer, and the requests that have waited for longer.

    What is overdue becomes an answer that was slow, so that the sum does not fall.
    """
    if not slow_ms or not counts.histogram:
        return 0
    first = next(at for at, edge in enumerate(BUCKETS_MS) if edge >= slow_ms) + 1
    return sum(counts.histogram[first:]) + counts.overdue
