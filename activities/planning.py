"""Planning: turn an idea into a checked plan, without a model or with one."""

from typing import Literal

from domain.errors import Problem
from domain.idea import Idea
from domain.plan import Skeleton
from domain.record import Record


class PlanIdea(Record):
    idea: Idea
    round: int
    base_sha: str
    answers: tuple[str, ...] = ()  # what a person answered when the planner asked
    op: str


class Planned(Record):
    """`refused` carries problems, `needs_input` a question with options."""

    status: Literal["planned", "no_change", "needs_input", "refused"]
    skeleton: Skeleton | None = None
    rationale: str = ""
    problems: tuple[Problem, ...] = ()
    question: str = ""
    options: tuple[str, ...] = ()
    irreversible: bool = False
    backends: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()  # at most 200 globs, for policy at phase plan
