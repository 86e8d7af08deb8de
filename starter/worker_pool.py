"""The worker processes of the up process: started, awaited, restarted, and evicted when dead."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from domain.errors import Unavailable
from starter.child import Child, Family, gone
from starter.files import CappedLog, tail
from starter.state import RunningWorker

# Two processes: workflow tasks stay quick while agents and gates keep the other one busy.
WORKERS: tuple[tuple[str, ...], ...] = (
    ("delivery",),
    ("agents", "checks", "integrations", "deployments"),
)

_LONGEST_PAUSE = 15.0
_HEALTHY_SECONDS = 10.0  # after that long a death counts as the first one again
_TRIES_AT_START = 3
_ORPHAN_SECONDS = 10.0  # the keepers of agents and gates end them at once
_GRACE_SECONDS = 40.0  # above the workers' own graceful shutdown

Evict = Callable[[str], Awaitable[None]]
Tell = Callable[[str], None]


class WorkerPool:
    """Keeps one process per set of queues alive until it is stopped."""

    def __init__(
        self,
        family: Family,
        command: Sequence[str],
        env: dict[str, str],
        logs: Path,
        evict: Evict,
        tell: Tell,
        changed: Callable[[], None],
    ) -> None:
        self._family = family
        self._command = command
        self._env = env
        self._logs = logs
        self._evict = evict
        self._tell = tell
        self._changed = changed
        self._children: dict[tuple[str, ...], Child] = {}
        self._restarts = dict.fromkeys(WORKERS, 0)
        self._identities: dict[tuple[str, ...], str] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._evictions: set[asyncio.Task[None]] = set()
        self._ready = False

    def start(self) -> None:
        """Start all workers and keep them alive in the background."""
        self._keepers = [asyncio.create_task(self._keep(queues)) for queues in WORKERS]

    @property
    def running(self) -> tuple[RunningWorker, ...]:
        """The processes that run now."""
        return tuple(
            RunningWorker(
                queues=queues,
                identity=self._identities[queues],
                pid=child.pid,
                born=child.born,
                restarts=self._restarts[queues],
            )
            for queues, child in self._children.items()
            if child.running
        )

    def ready(self) -> None:
        """From now on a worker that dies is restarted for ever, not given up."""
        self._ready = True

    async def failed(self) -> None:
        """Wait until a worker is given up; raises why."""
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """End all workers; they finish or hand back what they do."""
        background = (*self._keepers, *self._evictions)
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await asyncio.gather(*(child.stop(_GRACE_SECONDS) for child in self._children.values()))

    async def _keep(self, queues: tuple[str, ...]) -> None:
        name = "-".join(queues)
        log = CappedLog(self._logs / f"{name}.log")
        pause = 0.0
        while True:
            began = time.monotonic()
            identity = f"slipway/{name}/{secrets.token_hex(4)}"
            code = await self._run(queues, identity, log)
            self._restarts[queues] += 1
            if not self._ready and self._restarts[queues] >= _TRIES_AT_START:
                raise self._given_up(name, code)
            if time.monotonic() - began > _HEALTHY_SECONDS:
                pause = 0.0
            self._tell(f"worker {name} {_ended(code)}; starts again{_after(pause)}")
            self._evict_later(identity, await self._family.orphans())
            await asyncio.sleep(pause)
            pause = min(max(0.25, pause * 2), _LONGEST_PAUSE)

    async def _run(self, queues: tuple[str, ...], identity: str, log: CappedLog) -> int:
        child = await self._family.spawn(
            [*self._command, *queues], log, env=self._env | {"SLIPWAY_WORKER_IDENTITY": identity}
        )
        self._children[queues] = child
        self._identities[queues] = identity
        self._changed()
        return await child.ended()

    def _evict_later(self, identity: str, orphans: frozenset[int]) -> None:
        """Evict beside the restart, once all that the dead worker had started is gone."""

        async def evict() -> None:
            if not await gone(orphans, _ORPHAN_SECONDS):
                self._tell(f"processes of a dead worker still run: {sorted(orphans)}")
                return
            await self._evict(identity)

        task = asyncio.create_task(evict())
        self._evictions.add(task)
        task.add_done_callback(self._evicted)

    def _evicted(self, task: asyncio.Task[None]) -> None:
        self._evictions.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._tell(f"a dead worker could not be evicted: {error}")

    def _given_up(self, name: str, code: int) -> Unavailable:
        log = self._logs / f"{name}.log"
        return Unavailable(
            f"The worker of {name.replace('-', ', ')} {_ended(code)}, "
            f"{_TRIES_AT_START} times in a row: {tail(log, 1)}",
            code="worker_died",
            path=str(log),
            hint=f"Its log is {log}.",
        )


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _after(pause: float) -> str:
    return f" in {pause:.1f} s" if pause else ""


def worker_environment(address: str | None) -> dict[str, str]:
    """Return the environment of a worker; `address` None: it reads the same settings as we do."""
    env = dict(os.environ)
    if address:
        env |= {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "default"}
        env.pop("TEMPORAL_PROFILE", None)
    return env
