"""What is said of an undo by hand: what would happen, what has happened, what is left to do."""

from domain.rollout import Undo
from domain.timeline import percent
from starter.release_direct import Direct
from starter.release_steering import Planned


def foreseen(planned: Planned, *, direct: bool) -> tuple[str, ...]:
    """Say what an undo would do."""
    to = f"all its traffic would go to {planned.to}" if planned.to else "nothing would be served"
    lines = [
        f"{planned.target}: {planned.name} would be undone; {to}",
        f"  by {_who(planned, direct)}",
    ]
    if planned.merges:
        merges = ", ".join(sha[:12] for sha in planned.merges)
        lines.append(f"  barred from release until a fix or a revert is recorded: {merges}")
    return (*lines, "nothing was done: --dry-run")


def _who(planned: Planned, direct: bool) -> str:
    if direct:
        return "this command, at the edge of this machine; nobody proves it then"
    if planned.open:
        return f"its rollout {planned.rollout}, which is under way"
    return f"a way back of its own: its rollout {planned.rollout} has ended"


def proven(planned: Planned, undo: Undo | None) -> tuple[str, ...]:
    """Say what is known of an undo that is over; None: there was no traffic to give back."""
    if undo is None:
        return (f"{planned.target}: {planned.name} is stopped; it had no traffic yet",)
    seen = "and that is proven" if undo.verified else "but that is not proven"
    head = f"{planned.target}: {planned.name} is undone, {seen}: {undo.reason}"
    return (head, *(f"  {check}" for check in undo.checks))


def done_directly(done: Direct) -> tuple[str, ...]:
    """Say what was done at the edge, and what is left to do."""
    shares = ", ".join(f"{percent(weight)} to {name}" for name, weight in done.weights.items())
    lines = [
        f"{done.target}: all traffic goes to {done.to} instead of {done.name}",
        f"  generation {done.generation}: {shares}",
    ]
    if done.started:
        lines.append(f"  started for it: {', '.join(done.started)}")
    if done.stopped:
        lines.append(f"  stopped: {', '.join(done.stopped)}")
    lines.append("  nobody has looked whether all is well again: `slipway service status`")
    if done.unrecorded:
        lines.append(f"  NOT on record: {done.unrecorded}")
    if done.open:
        lines.append(
            "  its rollout is still open, and finds the traffic moved when Temporal is back: "
            f"then `slipway release rollback {done.target}` ends it"
        )
    return tuple(lines)
