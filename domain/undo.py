"""Undo: what must be seen before the way back counts as done."""

from domain.deployment import FULL, Inspection, Observation
from domain.record import Record
from domain.rollout import Served
from domain.shifting import of_rollout
from domain.verdict import Verdict


class Check(Record):
    """One thing that was looked at, and what was seen."""

    good: bool
    text: str


class Seen(Record):
    """What is known of a target after its traffic was given back."""

    anchor: Served | None
    rollout: str  # that was undone
    generation: int  # of the restoration
    started_then: int  # requests that the undone instances had begun when it was done
    before: Observation  # soon after the restoration
    after: Observation  # now
    inspection: Inspection  # now
    least: int  # completed requests of the anchor


def proofs(seen: Seen) -> tuple[Check, ...]:
    """Return what the routes and the counts say; all must be good.

    That the anchor itself is well again is the judge's to say.
    """
    return (_routes(seen), _digests(seen), _silence(seen), _requests(seen))


def started(observation: Observation, rollout: str) -> int:
    """Return how many requests the instances of a rollout have begun."""
    return sum(c.started for c in observation.counts if of_rollout(rollout, c.instance))


def completed(seen: Seen) -> int:
    """Return how many requests the anchor has answered since the traffic is back."""
    anchor = seen.anchor.rollout if seen.anchor else ""
    return _done(seen.after, anchor) - _done(seen.before, anchor)


def _routes(seen: Seen) -> Check:
    anchor = seen.anchor.rollout if seen.anchor else ""
    weight = sum(r.weight for r in seen.inspection.routes if of_rollout(anchor, r.instance))
    wanted = FULL if seen.anchor else 0
    whole = sum(route.weight for route in seen.inspection.routes) == wanted == weight
    new = seen.inspection.generation >= seen.generation
    text = f"generation {seen.inspection.generation}, {weight / 100:g} % to the release before"
    return Check(good=whole and new, text=text)


def _digests(seen: Seen) -> Check:
    wanted = {seen.anchor.artefact.digest} if seen.anchor else set()
    serving = {route.digest for route in seen.inspection.routes if route.weight}
    good = serving <= wanted
    text = "every instance with traffic runs what passed before"
    return Check(good=good, text=text if good else f"{len(serving - wanted)} others run too")


def _silence(seen: Seen) -> Check:
    late = started(seen.after, seen.rollout) - seen.started_then
    text = f"{max(0, late)} requests went to the undone release since then"
    return Check(good=late <= 0, text=text)


def _requests(seen: Seen) -> Check:
    if seen.anchor is None:
        return Check(good=True, text="there was no release before: nothing is served")
    done = completed(seen)
    return Check(
        good=done >= seen.least, text=f"{done} of {seen.least} requests answered since then"
    )


def health(verdict: Verdict) -> Check:
    """Return what the judge says of the anchor after the undo."""
    return Check(good=verdict.verdict == "pass", text=verdict.reason)


def _done(observation: Observation, rollout: str) -> int:
    return sum(
        sum(counts.done.values())
        for counts in observation.counts
        if of_rollout(rollout, counts.instance)
    )
