"""Tally: counts what becomes of requests while they are sent."""

import time
from bisect import bisect_left

from domain.deployment import BUCKETS_MS
from starter.demo.account import Account, Answers


class Tally:
    """Grows request by request; `account` is how it stands."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began_ms = _now_ms()
        self._started = self._unsent = self._aborted = 0
        self._versions: dict[str, Answers] = {}
        self._buckets = [0] * (len(BUCKETS_MS) + 1)

    def start(self) -> None:
        """Count a request that is due."""
        self._started += 1

    def abort(self, *, sent: bool) -> None:
        """Count one that got no whole answer, or could not even be sent."""
        self._aborted += 1
        self._unsent += not sent

    def complete(self, version: str, status: int, ms: float) -> None:
        """Count one that was answered, `ms` after it was due."""
        known = self._versions.get(version, Answers())
        self._versions[version] = _with(known, status)
        self._buckets[bisect_left(BUCKETS_MS, ms)] += 1

    def account(self, *, over: bool = False) -> Account:
        """Return how it stands; `over`: no request is on its way any more."""
        return Account(
            rate=self._rate,
            began_ms=self._began_ms,
            now_ms=_now_ms(),
            over=over,
            started=self._started,
            unsent=self._unsent,
            aborted=self._aborted,
            versions=self._versions,
            p50_ms=self._quantile(0.5),
            p99_ms=self._quantile(0.99),
        )

    def _quantile(self, share: float) -> float:
        """Return the upper edge of the bucket that holds it; 0: nothing was answered."""
        left = share * sum(self._buckets)
        if not left:
            return 0.0
        for bound, number in zip(BUCKETS_MS, self._buckets, strict=False):
            left -= number
            if left <= 0:
                return bound
        return BUCKETS_MS[-1]


def _with(known: Answers, status: int) -> Answers:
    if status < 400:
        return known.but(good=known.good + 1)
    if status < 500:
        return known.but(refused=known.refused + 1)
    now = _now_ms()
    return known.but(bad=known.bad + 1, first_bad_ms=known.first_bad_ms or now, last_bad_ms=now)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
