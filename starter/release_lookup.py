"""Finding the rollout that is meant: by target or a part of it, by idea, or by its own id."""

from difflib import get_close_matches

from domain.errors import Rejected
from domain.rollout import ENDED
from domain.rollout_view import RolloutLine
from starter.reads import Reads

_LOOKED_THROUGH = 500
_SHOWN = 8


async def meant(reads: Reads, given: str, *, prefer_open: bool = True) -> RolloutLine:
    """Return the newest rollout of what is given, an open one before those that have ended.

    `given` is a target, `service/environment`, a service, the key of an idea or a rollout, or the
    beginning of one of these; empty: the only one that is open, else the newest of all. Raises
    `Rejected` with what there is where nothing or more than one target is meant.
    """
    lines = await reads.list_rollouts(limit=_LOOKED_THROUGH)
    if not lines:
        raise Rejected(
            "There is no rollout yet",
            code="no_rollout",
            hint="An idea starts one when its change is merged; `slipway idea list` shows them.",
        )
    found = _matching(lines, given)
    opened = tuple(line for line in found if line.state not in ENDED)
    found = opened if opened and prefer_open else found
    if not given and not opened:
        return found[0]
    targets = tuple(dict.fromkeys(line.target for line in found))
    if len(targets) > 1:
        raise Rejected(
            f"{given!r} is several targets" if given else "Several rollouts are open",
            code="ambiguous_target",
            path="target",
            hint=f"Say which: {_listed(targets)}.",
        )
    return found[0]


def _matching(lines: tuple[RolloutLine, ...], given: str) -> tuple[RolloutLine, ...]:
    """Return the lines that are meant by the narrowest reading that finds any."""
    for means in (_is, _begins):
        if found := tuple(line for line in lines if means(given, line)):
            return found
    targets = tuple(dict.fromkeys(line.target for line in lines))
    keys = tuple(dict.fromkeys(line.key for line in lines))
    names = dict.fromkeys(name for line in lines for name in (_short(line), line.service))
    close = get_close_matches(given, [*names, *targets, *keys], n=3, cutoff=0.5)
    told = f"Did you mean {', '.join(close)}?" if close else f"There are {_listed(targets)}."
    raise Rejected(
        f"No rollout has a target, idea or id {given!r:.80}",
        code="unknown_target",
        path="target",
        hint=told,
    )


def _short(line: RolloutLine) -> str:
    return f"{line.service}/{line.environment}"


def _names(line: RolloutLine) -> tuple[str, ...]:
    in_repository = f"{line.repository}.{line.service}"
    return line.target, _short(line), line.service, in_repository, line.key, line.rollout


def _is(given: str, line: RolloutLine) -> bool:
    return not given or given in _names(line) or given.upper() == line.rollout


def _begins(given: str, line: RolloutLine) -> bool:
    return any(name.lower().startswith(given.lower()) for name in _names(line))


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


async def targets_of(reads: Reads) -> tuple[str, ...]:
    """Return what can be named, for completion: short targets and ideas, newest first."""
    lines = await reads.list_rollouts(limit=_LOOKED_THROUGH)
    return tuple(dict.fromkeys([*map(_short, lines), *(line.key for line in lines)]))
