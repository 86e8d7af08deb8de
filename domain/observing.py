"""Observing: two looks at cumulative counts become one tick of increases."""

from bisect import bisect_left

from domain.deployment import BUCKETS_MS, FULL, Counts, Instance, Observation
from domain.record import Record
from domain.shifting import of_rollout
from domain.tick import Side, Tick
from domain.verdict import JudgeSetup

# Bad answers of these classes are counted once per client, by drivers that know clients.
_BY_CLIENT = frozenset(("5xx", "connect", "timeout", "reset"))
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
    anew counts from zero; one that is not there any more adds nothing. No increase is negative,
    whatever clocks and counters do.
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
        down=max((_down(each, setup) for each in mine), default=0),
        crash_loop=any(each.state == "crash_loop" for each in mine),
        metrics=metrics or {},
        cursor=after.model_dump_json(),
    )


def _down(instance: Instance, setup: JudgeSetup) -> int:
    """Return how many probes in a row failed; whoever probes may count in its own way."""
    least = setup.probe_failures if instance.state == "down" else 0
    return max(instance.failures, least)


class _Figures(Record):
    """What one instance did, cumulative or within a tick."""

    started: int = 0
    done: int = 0
    clients: int = 0  # bad answers that are counted once per client
    by_client: int = 0  # the same, each counted
    others: int = 0  # bad answers of other classes
    slow: int = 0
    timed: int = 0

    def less(self, earlier: "_Figures") -> "_Figures":
        """Return the rises since then."""
        then = dict(earlier)
        return _Figures(**{name: max(0, now - then[name]) for name, now in self})

    def side(self) -> Side:
        # A driver that cannot tell clients apart counts none of them.
        once = min(self.clients, self.by_client) or self.by_client
        return Side(
            started=self.started,
            done=self.done,
            error=once + self.others,
            errors=self.by_client + self.others,
            slow=self.slow,
            timed=self.timed,
        )


def _side(
    before: Observation | None, after: Observation, setup: JudgeSetup, rollout: str, *, canary: bool
) -> Side:
    if before is None:
        return Side()
    known = {counts.instance: counts for counts in before.counts}
    mine = [now for now in after.counts if of_rollout(rollout, now.instance) is canary]
    sides = [
        _figures(now, setup, canary).less(_then(known.get(now.instance), now, setup, canary)).side()
        for now in mine
    ]
    names = Side.model_fields
    return Side(**{name: sum(getattr(side, name) for side in sides) for name in names})


def _then(before: Counts | None, now: Counts, setup: JudgeSetup, canary: bool) -> _Figures:
    """Return what was counted before; nothing, where the counter has begun anew."""
    if before is None or before.epoch != now.epoch:
        return _Figures()
    return _figures(before, setup, canary)


def _figures(counts: Counts, setup: JudgeSetup, canary: bool) -> _Figures:
    """Return what an instance did.

    What another one took when it could not be reached was answered there. It speaks against the
    new release all the same, but it must not hide that release's errors behind a stable instance
    that was away.
    """
    done, errors = counts.done, frozenset(setup.errors)
    passed_on = 0 if canary else counts.passed_on
    slow, timed = _lateness(counts, setup.slow_ms)
    return _Figures(
        started=counts.started,
        done=sum(many for name, many in done.items() if name != _GONE_AWAY) - passed_on,
        clients=counts.bad_clients,
        by_client=sum(done.get(name, 0) for name in errors & _BY_CLIENT)
        - ("connect" in errors) * passed_on,
        others=sum(done.get(name, 0) for name in errors - _BY_CLIENT),
        slow=slow,
        timed=timed,
    )


def _lateness(counts: Counts, slow_ms: float) -> tuple[int, int]:
    """Return how many requests are known to be slow, and of how many it is known.

    What is overdue becomes an answer that was slow, so that each counts once, when it becomes
    known; an instance that hangs is slow before it has answered anything.
    """
    if not (slow_ms and counts.histogram):
        return 0, 0
    first = bisect_left(BUCKETS_MS, slow_ms) + 1
    return (
        sum(counts.histogram[first:]) + counts.overdue,
        sum(counts.histogram) + counts.overdue,
    )


def as_past(ticks: tuple[Tick, ...]) -> tuple[Tick, ...]:
    """Return what a release did with all the traffic in its own rollout, as a control of the past.

    For a release that was never beside the one before it, as in blue-green.
    """
    return tuple(
        tick.but(control=tick.canary, canary=Side(), weight=0)
        for tick in ticks
        if tick.weight == FULL and tick.canary.done
    )


def past_of(
    anchor: str, theirs: tuple[Tick, ...], mine: tuple[Tick, ...], setup: JudgeSetup
) -> tuple[Tick, ...]:
    """Return what the release of the rollout `anchor` did until another took all of its traffic.

    That is what it did alone in its own rollout, by its ticks. Where that was too quiet, as at a
    first install without users yet, it is all that its instances had answered at the first look
    of the other rollout, whose ticks are `mine`.
    """
    alone = as_past(theirs)
    if answered(alone) >= setup.analysis.min_requests or not mine:
        return alone
    return max(alone, (_lived(anchor, mine[0], setup),), key=answered)


def _lived(anchor: str, first: Tick, setup: JudgeSetup) -> Tick:
    look = Observation.model_validate_json(first.cursor)
    counts = tuple(each for each in look.counts if of_rollout(anchor, each.instance))
    return tick_between(
        look.but(counts=()),
        look.but(counts=counts),
        rollout=first.rollout,
        step=first.step,
        seq=first.seq,
        weight=0,
        setup=setup,
    )


def answered(ticks: tuple[Tick, ...]) -> int:
    """Return how many requests the stable release answered."""
    return sum(tick.control.done for tick in ticks)
