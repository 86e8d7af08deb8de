"""Health of one process: is it ready, is it still well, is it too big; only monotonic time."""

import asyncio
import time
from collections.abc import Callable

from domain.hosting import StartProcess
from host.supervisor.census import Seen
from host.supervisor.ports import holder, holders, ports_of
from host.supervisor.probing import probe

_FIRST_PAUSE = 0.05  # seconds; a start is noticed soon, refused connections cost nothing


class Health:
    """What the probes of one process say; `word` is the last complaint, empty when it is well."""

    def __init__(self, order: StartProcess, port: int, members: Callable[[], list[Seen]]) -> None:
        self._order = order
        self._port = port
        self._members = members
        self._complaint: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.failures = 0  # probes in a row
        self.word = ""

    async def become_ready(self) -> str:
        """Ask until the first good answer; empty, or why it did not come in time."""
        ready = self._order.ready
        deadline = time.monotonic() + ready.deadline
        pause = _FIRST_PAUSE
        while left := max(0.0, deadline - time.monotonic()):
            answer = await probe(self._port, ready.path, min(ready.timeout, left))
            self.word = self._explained(answer)
            if not self.word:
                self.failures = 0
                return ""
            await asyncio.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, ready.interval)
        return f"not ready within {ready.deadline:g} s: {self.word}"

    def _explained(self, answer: str) -> str:
        """Say more where a start goes wrong: another port, or another program on ours."""
        if not answer:
            return self._stranger()
        if not answer.startswith("nothing listens"):
            return answer
        others = sorted(ports_of(seen.pid for seen in self._members()))
        if not others:
            return answer
        named = ", ".join(str(port) for port in others)
        return f"{answer}; it listens on {named} instead (`run` must use {{port}} or $PORT)"

    def _stranger(self) -> str:
        """Whoever answers must be of this instance, as far as we may see who it is."""
        found = holders(self._port)
        if not found or found & {seen.pid for seen in self._members()}:
            return ""
        return f"port {self._port} is answered by {holder(self._port)}, not by this instance"

    async def stay_well(self) -> str:
        """Ask from time to time; return why it is not well any more."""
        health = self._order.health
        while True:
            self.word = await probe(self._port, health.path, health.timeout)
            self.failures = self.failures + 1 if self.word else 0
            if self.failures >= health.failures:
                return f"{self.failures} probes in a row failed: {self.word}"
            await asyncio.sleep(health.interval)

    def complain(self, word: str) -> None:
        """End the present process for a reason that no probe sees."""
        if not self._complaint.done():
            self._complaint.set_result(word)

    async def complaint(self) -> str:
        """Wait for such a reason."""
        return await asyncio.shield(self._complaint)
