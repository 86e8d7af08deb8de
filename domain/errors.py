"""The three errors that cross a room's border, and the one shape in which any is shown."""

from domain.record import Record


class Problem(Record):
    """One sentence about what is wrong, where, and what to do (the error contract)."""

    code: str
    message: str
    path: str = ""
    line: int = 0
    hint: str = ""


class _Told(Exception):
    """An error that carries a `Problem`."""

    def __init__(
        self, message: str, *, code: str = "", path: str = "", line: int = 0, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.problem = Problem(
            code=code or type(self).__name__.lower(),
            message=message,
            path=path,
            line=line,
            hint=hint,
        )


class Unavailable(_Told):
    """Try again: the other side did not answer, or is busy."""


class Rejected(_Told):
    """Do not try again: the other side understood and refused, or the input is wrong."""


class Misconfigured(_Told):
    """Do not try again before an operator has changed something."""


class Refused(Exception):
    """A document or a plan with problems; each of them is told."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
