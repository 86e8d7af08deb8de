"""What a target's traffic was lately: the ground on which a plan says what it can see."""

from domain.tick import Tick

_DAY_MS = 86_400_000


def recent_traffic(ticks: tuple[Tick, ...]) -> tuple[float, float]:
    """Return requests per second and the error share of the last day before the newest tick.

    The share is that of the control, of the release itself where there was none; with half an
    event added (Jeffreys), so that a service without a single error still has a base. Both are
    0 when nothing is known.
    """
    newest = max((tick.at_ms for tick in ticks), default=0)
    recent = tuple(tick for tick in ticks if tick.at_ms > newest - _DAY_MS)
    seconds = sum(tick.ms for tick in recent) / 1_000
    started = sum(tick.control.started + tick.canary.started for tick in recent)
    sides = [tick.control for tick in recent if tick.control.done]
    sides = sides or [tick.canary for tick in recent]
    done = sum(side.done for side in sides)
    if not seconds or not done:
        return 0.0, 0.0
    return started / seconds, (sum(side.error for side in sides) + 0.5) / (done + 1)
