"""Account: what became of every request that the load generator began."""

from domain.record import Record


class Answers(Record):
    """What one version of the service answered; times in milliseconds since the epoch."""

    good: int = 0  # status below 400
    refused: int = 0  # 4xx
    bad: int = 0  # 5xx
    first_bad_ms: int = 0  # 0: none was bad
    last_bad_ms: int = 0

    @property
    def all(self) -> int:
        return self.good + self.refused + self.bad


class Account(Record):
    """All of it; `versions` is told apart by the header that the edge puts into each answer."""

    rate: float
    began_ms: int
    now_ms: int
    over: bool = False
    started: int = 0
    unsent: int = 0  # of `aborted`: nobody took the connection
    aborted: int = 0  # no whole answer came
    versions: dict[str, Answers] = {}
    p50_ms: float = 0  # from when it should have been sent to the end of its answer
    p99_ms: float = 0

    @property
    def completed(self) -> int:
        return sum(answers.all for answers in self.versions.values())

    @property
    def sent(self) -> int:
        return self.started - self.unsent

    @property
    def balanced(self) -> bool:
        """Whether nothing is left of which nobody knows what became of it."""
        return self.over and self.started == self.completed + self.aborted


class Check(Record):
    """A claim about the whole run, and whether it holds."""

    holds: bool
    text: str
    notes: tuple[str, ...] = ()


def checks(account: Account, counted: int, undone: tuple[str, ...]) -> tuple[Check, ...]:
    """Return what must hold of a run; `counted` is what the edge has counted meanwhile.

    Only the versions in `undone` may have answered badly.
    """
    return (_complete(account), _counted(account, counted), _elsewhere(account, undone))


def _complete(account: Account) -> Check:
    text = (
        f"{account.started:,} requests started = {account.completed:,} completed "
        f"+ {account.aborted:,} aborted"
    )
    return Check(holds=account.balanced, text=text)


def _counted(account: Account, counted: int) -> Check:
    equal = "=" if account.sent == counted else "is not"
    text = f"{account.sent:,} requests sent {equal} {counted:,} counted by the edge"
    return Check(holds=account.sent == counted, text=text)


def _elsewhere(account: Account, undone: tuple[str, ...]) -> Check:
    bad = {name: each.bad + each.refused for name, each in account.versions.items()}
    inside = sum(number for name, number in bad.items() if name in undone)
    outside = sum(bad.values()) - inside + account.aborted
    where = ", ".join(undone) or "a release that was undone"
    text = f"{inside:,} requests failed on {where}, {outside:,} anywhere else"
    return Check(holds=outside == 0, text=text)
