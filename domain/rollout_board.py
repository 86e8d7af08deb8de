"""The board of a rollout: what a person sees of it while it runs."""

from domain.record import Record
from domain.rollout import PlannedStep, RolloutState
from domain.verdict import Verdict


class RolloutBoard(Record):
    """One rollout at one moment."""

    rollout: str
    target: str
    tag: str
    sha: str
    state: RolloutState = RolloutState.PLANNED
    reason: str = ""
    steps: tuple[PlannedStep, ...] = ()
    step: int = -1  # of `steps`; -1: no traffic yet
    weight: int = 0  # basis points
    waits: str = ""  # for whom, until what; empty: it waits for nothing
    verdicts: tuple[Verdict, ...] = ()  # of the steps that are over
    waiting: tuple[str, ...] = ()  # later releases of the same target


def markdown(board: RolloutBoard) -> str:
    """Return the board as Markdown for the current details of the workflow."""
    name = board.tag or board.sha[:12]
    parts = [f"### {name} → {board.target}\n\n**{board.state}**, {board.weight / 100:g} %"]
    if board.reason:
        parts.append(_plain(board.reason))
    if board.waits:
        parts.append(f"**Waits for** {_plain(board.waits)}")
    if board.steps:
        parts.append(_steps(board))
    parts += [f"- {_MARKS[verdict.verdict]} {_plain(verdict.reason)}" for verdict in board.verdicts]
    if board.waiting:
        parts.append(f"After it: {', '.join(board.waiting)}")
    return "\n\n".join(parts)


_MARKS = {"pass": "✔", "fail": "✘", "inconclusive": "?", "no_data": "?", "watching": "…"}


def _steps(board: RolloutBoard) -> str:
    rows = [
        f"| {'→' if step.index == board.step else '✔' if step.index < board.step else '·'} "
        f"| {step.weight / 100:g} % | {step.hold_s:g} s |"
        for step in board.steps
    ]
    return "\n".join(["| | Traffic | At least |", "|---|---|---|", *rows])


def _plain(text: str) -> str:
    """Keep a text on one line and out of the table's grammar."""
    flat = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return flat if len(flat) <= 300 else flat[:299] + "…"
