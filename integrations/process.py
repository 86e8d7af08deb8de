"""Processes: run commands in the best sandbox of this host, each owned by a keeper process."""

import asyncio
import json
import os
import socket
import tempfile
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domain.command import CommandLimits, CommandOrder, CommandOutcome
from domain.errors import Misconfigured, Unavailable
from domain.review import Tier
from integrations.sandbox import CLAIMS, PROBE, bwrap_argv, interpreter_paths

ORDER_OF_TIERS = ("none", "limits", "bwrap")
LIMITS = Tier(name="limits")  # nothing is isolated: no claim is made
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
LINE = 1024 * 1024

OnEvent = Callable[[dict[str, Any]], None]


class Processes:
    """Commands in sandboxes; cancelling `run` ends the whole process tree before it raises."""

    def __init__(
        self, python: str, keeper_module: str, minimum_tier: str, bwrap: str = "bwrap"
    ) -> None:
        """`keeper_module` is the path of the keeper's file, or the name of its module."""
        self._python = python
        self._keeper = (
            ("-I", "-S", keeper_module)
            if keeper_module.endswith(".py")
            else ("-I", "-m", keeper_module)
        )
        self._minimum = minimum_tier
        self._bwrap = bwrap
        self._tier: Tier | None = None
        self._probing = asyncio.Lock()

    async def tier(self) -> Tier:
        """Return the best tier that starts here, with what was probed to hold; asked once.

        Raises `Misconfigured` when it is below the minimum tier, `Unavailable` when the probe was
        cut short (a crowded host must not lower the tier for good).
        """
        async with self._probing:
            if self._tier is None:
                self._tier = await self._probe()
        if ORDER_OF_TIERS.index(self._tier.name) < ORDER_OF_TIERS.index(self._minimum):
            raise Misconfigured(
                f"commands must run at tier {self._minimum}, this host offers {self._tier.name}: "
                "bubblewrap does not start here",
                code="tier_too_low",
                hint="install bubblewrap, allow user namespaces, or lower the minimum tier",
            )
        return self._tier

    async def run(self, order: CommandOrder, on_event: OnEvent | None = None) -> CommandOutcome:
        """Run one command to its end; `on_event` gets the JSON objects of its descriptor 3.

        What the command did wrong is in the outcome; `ended` is `lost` when its keeper was killed.
        """
        return await self._run(order, await self.tier(), on_event)

    async def settle(self, lock: Path) -> None:
        """End whatever runs under this lock file, and what a killed keeper left of it."""
        if await asyncio.to_thread(lock.exists):
            await self._keep({"argv": [], "lock": str(lock)}, None)

    async def _run(
        self, order: CommandOrder, tier: Tier, on_event: OnEvent | None
    ) -> CommandOutcome:
        output = order.output or _temporary()
        keeper_order = _keeper_order(order, tier, output, self._bwrap)
        try:
            outcome = await self._keep(keeper_order, on_event)
        except BaseException:
            if not order.output:
                await asyncio.to_thread(Path(output).unlink)  # nobody will ever hear of it
            raise
        lost = {"ended": "lost", "output": output}
        return CommandOutcome.model_validate({**(outcome or lost), "tier": tier})

    async def _keep(self, order: dict[str, Any], on_event: OnEvent | None) -> dict[str, Any] | None:
        process = await asyncio.create_subprocess_exec(
            self._python, *self._keeper, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
            cwd="/", env={"LANG": "C.UTF-8"}, start_new_session=True, limit=LINE,
        )  # fmt: skip
        try:
            return await _converse(process, order, on_event)
        finally:
            await _ended(process)

    async def _probe(self) -> Tier:
        """Try the sandbox on what it must prevent; what was not seen to fail is not claimed."""
        with _targets() as (folder, words):
            (inside := folder / "inside").mkdir()
            order = CommandOrder(
                argv=(self._python, "-I", "-S", "-c", PROBE, *words),
                folder=str(inside),
                home=str(inside),
                readable=interpreter_paths(self._python),
                limits=CommandLimits(wall_seconds=30),
                output=str(folder / "output"),
            )
            outcome = await self._run(order, Tier(name="bwrap"), None)
            if outcome.ended != "exited":
                raise Unavailable(
                    f"the sandbox probe did not end by itself: {outcome.ended}", code="probe_failed"
                )
            if outcome.exit_code != 0:
                return LIMITS
            held = set(CLAIMS) - set(json.loads((folder / "output").read_text()))
            if not (folder / "written").exists():
                held.add("write")
        return Tier(name="bwrap", claims=tuple(claim for claim in CLAIMS if claim in held))


async def _converse(
    process: Process, order: dict[str, Any], on_event: OnEvent | None
) -> dict[str, Any] | None:
    """Hand the order over and listen; None when the keeper ends without an outcome."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(order).encode() + b"\n")
    while line := await process.stdout.readline():
        told = json.loads(line)
        if "outcome" in told:
            outcome: dict[str, Any] = told["outcome"]
            return outcome
        if on_event:
            on_event(told["event"])
    return None


async def _ended(process: Process) -> None:
    """Close the control pipe and wait for the keeper, also when cancelled while waiting."""
    assert process.stdin
    process.stdin.close()
    waiting = asyncio.ensure_future(process.wait())
    cancelled = False
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _keeper_order(order: CommandOrder, tier: Tier, output: str, bwrap: str) -> dict[str, Any]:
    mark = uuid.uuid4().hex
    wrapped = tier.name == "bwrap"
    env = _environment(order, wrapped) | {"SLIPWAY_RUN": mark}
    argv = bwrap_argv(bwrap, order, env) if wrapped else order.argv
    return {
        "argv": argv,
        "env": env
        if not wrapped
        else {"PATH": os.defpath + ":/usr/local/bin", "SLIPWAY_RUN": mark},
        "folder": order.folder,
        "output": output,
        "events": order.events,
        "lock": order.lock,
        "mark": mark,
        "wrapped": wrapped,
        "limits": order.limits.model_dump(),
    }


def _environment(order: CommandOrder, wrapped: bool) -> dict[str, str]:
    """The complete environment: nothing of ours is passed on."""
    temporary = "/tmp"  # the sandbox's own
    if not wrapped:
        temporary = f"{order.home}/tmp"
        Path(temporary).mkdir(exist_ok=True)
    plain = {"HOME": order.home, "PATH": DEFAULT_PATH, "TMPDIR": temporary, "LANG": "C.UTF-8"}
    return plain | order.env


def _temporary() -> str:
    handle, path = tempfile.mkstemp(prefix="slipway-output-")
    os.close(handle)
    return path


@contextmanager
def _targets() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Things that a sandboxed command must not reach: a file, two listeners, this process."""
    name = f"slipway-probe-{uuid.uuid4().hex}"
    with (
        tempfile.TemporaryDirectory(prefix="slipway-probe-") as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind("\0" + name)
        local.listen()
        Path(folder, "secret").write_text("secret")
        yield Path(folder), (folder, str(tcp.getsockname()[1]), name, str(os.getpid()))
