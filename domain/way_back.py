"""The way back: which release an undo by hand returns to, and which merges it takes away."""

from domain.errors import Rejected
from domain.record import Record
from domain.rollout import RolloutState, Served

_UNDONE = (RolloutState.UNDONE, RolloutState.RESTORED_UNVERIFIED)
_LEAST = 4  # characters of a commit or rollout that name it


class PastRollout(Record):
    """One rollout of a target, as far as a way back depends on it."""

    rollout: str
    state: RolloutState
    sha: str
    tag: str
    merges: tuple[str, ...] = ()
    anchor: Served | None = None  # what had passed before it


class WayBack(Record):
    """What gets the traffic, and the merges between it and what is undone, oldest first."""

    anchor: Served
    merges: tuple[str, ...]


def way_back(past: tuple[PastRollout, ...], undone: str, to: str = "") -> WayBack:
    """Return where an undo of the rollout `undone` leads.

    `past` are all rollouts of the target, oldest first. `to` is a tag, or the beginning of a
    commit or rollout; empty: the last release that passed before it. Raises `Rejected` where
    nothing is meant, or what never passed there, or what was undone itself.
    """
    known = {each.rollout: each for each in past}
    passed = _passed(past, undone)
    anchor = _named(to, past, passed, known) if to else _last(passed, known)
    between = (each for each in past if anchor.rollout < each.rollout <= undone)
    merges = [
        merge
        for each in between
        if each.state is RolloutState.PASSED or each.rollout == undone
        for merge in each.merges
    ]
    return WayBack(anchor=anchor, merges=tuple(dict.fromkeys(merges)))


def _passed(past: tuple[PastRollout, ...], undone: str) -> tuple[Served, ...]:
    """Return what has passed before, oldest first: each was once the one to come back to."""
    found = {each.anchor.rollout: each.anchor for each in past if each.anchor}
    return tuple(found[rollout] for rollout in sorted(found) if rollout < undone)


def _last(passed: tuple[Served, ...], known: dict[str, PastRollout]) -> Served:
    sound = [each for each in passed if not _was_undone(each, known)]
    if not sound:
        raise Rejected(
            "nothing has passed there before: there is no release to go back to",
            code="no_way_back",
            hint="Release a repair, or stop the service.",
        )
    return sound[-1]


def _named(
    to: str,
    past: tuple[PastRollout, ...],
    passed: tuple[Served, ...],
    known: dict[str, PastRollout],
) -> Served:
    meant = [each for each in passed if _means(to, each.tag, each.sha, each.rollout)]
    if len(meant) > 1:
        named = ", ".join(f"{each.tag} ({each.rollout})" for each in meant)
        raise Rejected(f"{to} could be {named}", code="ambiguous_version", path="to")
    if not meant:
        raise _no_version(to, past, passed, known)
    if _was_undone(meant[0], known):
        raise Rejected(
            f"{to} was undone there itself",
            code="was_undone",
            path="to",
            hint=_choice(passed, known),
        )
    return meant[0]


def _no_version(
    to: str,
    past: tuple[PastRollout, ...],
    passed: tuple[Served, ...],
    known: dict[str, PastRollout],
) -> Rejected:
    tried = [each for each in past if _means(to, each.tag, each.sha, each.rollout)]
    what = f"{to} is {tried[-1].state.value.replace('_', ' ')} there" if tried else f"no {to} there"
    return Rejected(
        f"{what}: one can only go back to what has passed before",
        code="never_passed",
        path="to",
        hint=_choice(passed, known),
    )


def _choice(passed: tuple[Served, ...], known: dict[str, PastRollout]) -> str:
    names = [each.tag or each.sha[:12] for each in passed if not _was_undone(each, known)]
    return f"It can go back to {', '.join(names[::-1][:8])}." if names else "There is none."


def _means(to: str, tag: str, sha: str, rollout: str) -> bool:
    if to == tag:
        return True
    return len(to) >= _LEAST and (sha.startswith(to.lower()) or rollout.startswith(to.upper()))


def _was_undone(served: Served, known: dict[str, PastRollout]) -> bool:
    rollout = known.get(served.rollout)
    return rollout is not None and rollout.state in _UNDONE
