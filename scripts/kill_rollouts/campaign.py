"""The campaign: several targets release side by side, under load, while the killer is about."""

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.delivery import FAST
from domain.rollout import RolloutResult, StartRollout
from domain.ulid import ulid
from integrations.database import Database
from integrations.git import Git
from scripts.kill_rollouts.accounts import Accounts
from scripts.kill_rollouts.checks import Checks
from scripts.kill_rollouts.killer import Killer
from scripts.kill_rollouts.load import Load, Sent, closed
from scripts.kill_rollouts.records import Records
from scripts.kill_rollouts.service import KINDS, PASSED, UNDONE
from scripts.kill_rollouts.target import Release, Target
from starter.state import read_state
from workflows.names import DELIVERY, deploy_id
from workflows.plugin import slipway_plugin

SLIPWAY = Path(sys.executable).with_name("slipway")
LONGEST = 240.0  # seconds from the start of a rollout to its end, kills and all
PORTS = range(18_100, 20_000)
TWO_REPLICAS = 3  # each so manieth target has two instances


class Ended:
    """One rollout that has ended, and when, in monotonic seconds."""

    def __init__(self, target: Target, release: Release, begun: float) -> None:
        self.target = target
        self.release = release
        self.begun = begun
        self.ended = 0.0
        self.until = 0.0  # the next one begins
        self.state = ""


class Campaign:
    """One run: targets, load, killer, and what was seen."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.home = folder / "home"
        self.options = options
        self.records = Records(self.home)
        self.checks = Checks(self.home)
        self.rollouts: list[Ended] = []
        self.problems: list[str] = []
        self.under_way: dict[str, str] = {}
        self.killer = Killer(self.home, options.seed + 1, options.every, self._during)
        self._dice = random.Random(options.seed)
        self._began = time.monotonic()
        self._client: Client | None = None
        self._number = 0
        kinds = {name: kind.often for name, kind in KINDS.items()}
        self._kinds = self._dice.choices(list(kinds), list(kinds.values()), k=options.rollouts)
        foreign = ("TEMPORAL_", "SLIPWAY_DATABASE", "SLIPWAY_HOME", "GIT_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        self.env = {**kept, "SLIPWAY_HOME": str(self.home)}
        git = Git(self.home / "objects")
        self.targets = [
            Target(folder, git, number, port, 2 if number % TWO_REPLICAS == 2 else 1)
            for number, port in zip(range(options.targets), free_ports(), strict=False)
        ]
        self.loads = [Load(target.port, options.rate) for target in self.targets]

    async def run(self) -> None:
        """Install a first release everywhere, then release until all rollouts have ended."""
        await self._prepare()
        await asyncio.gather(*map(self._install, self.targets))
        for load in self.loads:
            load.open()
        over = asyncio.Event()
        killer = asyncio.create_task(self.killer.run(over))
        try:
            await asyncio.gather(*map(self._release_on, self.targets))
        finally:
            over.set()
            await killer
            await closed(self.loads)
        self.problems += self.killer.stuck

    async def _prepare(self) -> None:
        state = read_state(self.home)
        assert state is not None
        self._client = await Client.connect(state.server.address, plugins=[slipway_plugin()])
        database = Database(f"sqlite+aiosqlite:///{self.home / 'slipway.db'}")
        (self.home / "objects").mkdir(parents=True, exist_ok=True)
        for target in self.targets:
            await database.register(await target.prepare())
        await database.close()

    async def _install(self, target: Target) -> None:
        ended = await self._roll_out(target, "good", 0)
        if ended.state != PASSED:
            raise SystemExit(f"the first install of {target.name} {ended.state or 'did not end'}")
        ended.until = time.monotonic()

    async def _release_on(self, target: Target) -> None:
        """Release to one target for as long as rollouts are left."""
        while self._kinds:
            kind = self._kinds.pop()
            if kind == "holds what was undone" and not target.undone:
                kind = "good"
            self._number += 1
            await self._judged(target, kind, self._number)

    async def _judged(self, target: Target, kind: str, number: int) -> None:
        """Roll out once, and check all that can be seen afterwards."""
        ended = await self._roll_out(target, kind, number)
        took = ended.ended - ended.begun
        print(f"  {self.now():6.1f} s  {ended.release.tag} ({kind}) {ended.state} in {took:.1f} s",
              flush=True)  # fmt: skip
        if ended.state:
            wrong = await self.checks.wrong(target, ended.release, ended.state)
            self.tell(*wrong)
        ended.until = time.monotonic()

    def tell(self, *problems: str) -> None:
        self.problems += problems
        for problem in problems:
            print(f"  {self.now():6.1f} s  WRONG: {problem}", flush=True)

    async def _roll_out(self, target: Target, kind: str, number: int) -> Ended:
        template = StartRollout(
            rollout=ulid(time.time_ns() // 1_000_000, self._dice.getrandbits(80)),
            place=target.place, key="", round=1, sha="", tag="", base_moved=True,
            initiator="campaign", patience=FAST, confirmed=True,
        )  # fmt: skip
        release = await target.release(number, kind, self._dice, template)
        ended = Ended(target, release, time.monotonic())
        self.rollouts.append(ended)
        self.under_way[target.place.target] = "begins"
        try:
            async with asyncio.timeout(LONGEST):
                result = await self._result(await self._start(release.start))
            ended.state = result.status.value
        except TimeoutError:
            told = self.records.told(release.start.rollout)
            self.tell(
                f"{release.tag} has not ended after {LONGEST:g} s: {told.state} {told.reason}"
            )
        finally:
            self.under_way.pop(target.place.target)
        ended.ended = time.monotonic()
        target.ended(release, ended.state)
        return ended

    async def _start(self, start: StartRollout) -> WorkflowHandle[Any, Any]:
        """Start a rollout, again for as long as the server is away."""
        assert self._client is not None
        while True:
            try:
                return await self._client.start_workflow(
                    "DeployRelease", start, id=deploy_id(start.place.target), task_queue=DELIVERY,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    result_type=RolloutResult,
                )  # fmt: skip
            except WorkflowAlreadyStartedError:  # the answer to an earlier try was lost
                id_ = deploy_id(start.place.target)
                return self._client.get_workflow_handle(id_, result_type=RolloutResult)
            except RPCError:
                await asyncio.sleep(0.2)

    async def _result(self, handle: WorkflowHandle[Any, Any]) -> RolloutResult:
        while True:
            try:
                return RolloutResult.model_validate(await handle.result())
            except RPCError:
                await asyncio.sleep(0.2)

    def _during(self) -> dict[str, str]:
        """Return the states of the rollouts under way, by target."""
        known = self.records.open_rollouts()
        return {target: known.get(target, state) for target, state in self.under_way.items()}

    def now(self) -> float:
        return time.monotonic() - self._began

    # What became of the requests -----------------------------------------------------------

    def accounts(self) -> dict[str, int]:
        """Explain every failed request of all targets; what is unexplained is a problem."""
        reasons: dict[str, int] = {}
        for target, load in zip(self.targets, self.loads, strict=True):
            mine = [each for each in self.rollouts if each.target is target]
            kinds = {each.release.tag: each.release.kind for each in mine}
            accounts = Accounts(target.place.target, kinds, self.killer.kills)
            explained = accounts.explain(load.sent)
            for why, count in explained.reasons.items():
                reasons[why] = reasons.get(why, 0) + count
            self.tell(*explained.wrong[:20], *self._astray(mine, load.sent))
        return reasons

    def _astray(self, rollouts: list[Ended], sent: list[Sent]) -> list[str]:
        """Tell of requests that another release answered than the one that is served."""
        served, found = "", []
        for each in rollouts:
            if each.state == PASSED:
                served = each.release.tag
            others = {
                one.version
                for one in sent
                if each.ended < one.begun and one.ended < each.until and one.version
            } - {served}
            if others and each.state in (PASSED, UNDONE):
                found.append(f"after {each.release.tag} {others} answered instead of {served}")
        return found

    # Hands ---------------------------------------------------------------------------------

    def slipway(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(SLIPWAY), *words, "--json"],
            env=self.env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def leftovers(self) -> list[str]:
        """Tell what still listens after everything was ended."""
        found = []
        for target in self.targets:
            with closing(socket.socket()) as probe, suppress(OSError):
                probe.connect(("127.0.0.1", target.port))
                found.append(f"port {target.port} of {target.name} is still open")
        return found

    def audited(self) -> dict[str, Any]:
        """Verify the audit chain; return what is said of it."""
        verified = self.slipway("audit", "verify")
        if verified.returncode != 0:
            self.tell(f"the audit chain does not verify: {verified.stdout[:500]}")
        return dict(json.loads(verified.stdout or "{}"))


def free_ports() -> list[int]:
    """Return the public ports that nobody listens on now."""
    found = []
    for port in PORTS:
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == 64:
            break
    return found
