"""Accounts: what explains each failed request, a kill or the release that it went to."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from scripts.kill_rollouts.killer import Kill
from scripts.kill_rollouts.load import BAD, BROKE_OFF, CUT, NOBODY, REFUSED, Sent

_NEAR = 0.3  # seconds by which two clocks of one machine under load may differ
_RETURN = 3.0  # seconds in which an instance that was killed must be back, besides its own start
_START = 2.0  # seconds that an instance may take to start on a busy machine
_PAUSE = 1.5  # seconds that the supervisor may wait before it starts one for the second time


class Explained(NamedTuple):
    """What failed, by why; `wrong` are those that nothing explains."""

    reasons: Counter[str]
    wrong: tuple[str, ...]


class Accounts:
    """The requests of one target, against what was killed, and which releases are bad."""

    def __init__(self, target: str, kinds: dict[str, str], kills: Iterable[Kill]) -> None:
        """`target` is slipway's name of it; `kinds` says the sort of each version."""
        self._target = target
        self._kinds = kinds
        self._kills = tuple(kills)

    def explain(self, sent: Iterable[Sent]) -> Explained:
        reasons: Counter[str] = Counter()
        wrong = []
        for each in sent:
            if not each.outcome:
                continue
            why = self._why(each)
            reasons[why or "unexplained"] += 1
            if not why:
                wrong.append(
                    f"{self._target}: {each.outcome} of {each.version or 'nobody'} at "
                    f"{each.begun:.2f}, after {each.ended - each.begun:.2f} s"
                )
        return Explained(reasons, tuple(wrong))

    def _why(self, sent: Sent) -> str:
        kind = self._kinds.get(sent.version, "")
        if sent.outcome == BAD:
            return "answered badly by a bad release" if kind == "bad answers" else ""
        if sent.outcome == BROKE_OFF:
            if self._died(sent, _NEAR):
                return "in flight at the kill of its instance"
            return "in flight as its release crashed" if kind == "crashes under load" else ""
        if sent.outcome == NOBODY:
            if self._died(sent, _RETURN + _START + _PAUSE):
                return "sent while its only instance started again after a kill"
            return "sent to a release that crashes" if kind == "crashes under load" else ""
        if sent.outcome.startswith(CUT):
            return "in flight at the kill of the edge" if self._cut(sent) else ""
        if sent.outcome == REFUSED:
            return "sent while edge and supervisor were both dead" if self._closed(sent) else ""
        return ""

    def _died(self, sent: Sent, after: float) -> bool:
        """Whether an instance of the version that was asked died shortly before, or meanwhile."""
        return any(
            sent.begun - self._while_away(kill, after) <= kill.at <= sent.ended + _NEAR
            for kill in self._kills
            if kill.instance
            and (kill.instance.target, kill.instance.version) == (self._target, sent.version)
        )

    def _while_away(self, kill: Kill, after: float) -> float:
        """Return the seconds after a kill in which nobody starts the instance again."""
        away = [
            s
            for s in self._of("supervisor")
            if s.at - _START <= kill.at + after and s.back > kill.at
        ]
        return after + sum(each.back - each.at for each in away) if after > _NEAR else after

    def _cut(self, sent: Sent) -> bool:
        return any(sent.begun - _NEAR <= kill.at <= sent.ended + _NEAR for kill in self._of("edge"))

    def _closed(self, sent: Sent) -> bool:
        """Whether nobody held the socket: the supervisor died, and the edge before it was back."""
        return any(
            edge.at <= sent.ended and supervisor.at <= sent.ended
            and edge.at < supervisor.back and supervisor.at < edge.back
            and sent.begun <= max(edge.back, supervisor.back) + _NEAR
            for edge in self._of("edge") for supervisor in self._of("supervisor")
        )  # fmt: skip

    def _of(self, what: str) -> Iterator[Kill]:
        return (kill for kill in self._kills if kill.what == what)
