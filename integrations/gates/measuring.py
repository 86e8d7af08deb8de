"""Measuring one gate on one commit: a checkout of its own, one command, its report."""

import asyncio
from pathlib import Path

from domain.census import is_test
from domain.command import CommandLimits, CommandOrder, CommandOutcome
from domain.errors import Unavailable
from domain.evidence import Case, Measurement, tally
from domain.review import EvidenceLevel, Finding, GateSpec
from integrations.gates import python_checkout, reports
from integrations.gates.environment import Entered, Environment, Room
from integrations.gates.environments import enter
from integrations.gates.ports import Artifacts, Commands, Objects
from integrations.gates.rooms import Rooms
from integrations.gates.workshop import inside

OUTPUT_SHOWN = 1_500
MAX_LOG = 8 * 1024 * 1024


class Measuring:
    """Runs gate commands; every run gets its own folder, which is removed afterwards."""

    def __init__(
        self, git: Objects, commands: Commands, artifacts: Artifacts, rooms: Rooms, ruff: str
    ) -> None:
        self._git = git
        self._commands = commands
        self._artifacts = artifacts
        self._rooms = rooms
        self._ruff = str(Path(ruff).resolve())

    async def measure(
        self,
        repository_id: str,
        sha: str,
        spec: GateSpec,
        environment: Environment,
        selected: tuple[str, ...] = (),
    ) -> Measurement:
        """Run a gate's command on a commit; `selected` limits it to these test files."""
        async with self._rooms.room() as room:
            await self._git.materialise(repository_id, sha, room.tree)
            entered = await asyncio.to_thread(enter, environment, room)
            outcome = await self._run(room, spec, environment, entered, selected)
            measured = await asyncio.to_thread(_read, room, spec, outcome)
            log = await self._artifacts.put(await asyncio.to_thread(_log, room))
            return measured.but(log=log)

    async def _run(
        self,
        room: Room,
        spec: GateSpec,
        environment: Environment,
        entered: Entered,
        selected: tuple[str, ...],
    ) -> CommandOutcome:
        order = CommandOrder(
            argv=("/bin/sh", "-c", f"cd tree && {spec.run}"),
            folder=room.folder,
            home=str(room.path / "home"),
            env={
                **entered.env,
                **self._words(room, environment, spec),
                **({"SLIPWAY_SELECT": " ".join(selected)} if selected else {}),
            },
            readable=(*entered.readable, self._ruff),
            network=False,
            limits=CommandLimits(wall_seconds=spec.timeout_seconds),
            output=str(room.output),
        )
        outcome = await self._commands.run(order)
        if outcome.ended in ("cancelled", "lost"):
            raise Unavailable(
                f"gate {spec.name}: the command was {outcome.ended}", code="command_lost"
            )
        return outcome

    def _words(self, room: Room, environment: Environment, spec: GateSpec) -> dict[str, str]:
        own = spec.kind == "security" or "ruff" not in environment.tools
        return {
            "SLIPWAY_REPORT": str(room.report),
            "SLIPWAY_TOOLS": str(room.path / "tools"),
            **({"SLIPWAY_RUFF": self._ruff} if own else {}),
        }


def _read(room: Room, spec: GateSpec, outcome: CommandOutcome) -> Measurement:
    output = _text(room, room.output)
    said = output[-4 * OUTPUT_SHOWN :].replace(f"{room.tree}/", "").replace(room.folder, "...")
    ended = {"exited": "exited", "timeout_wall": "timeout", "timeout_idle": "timeout"}
    measured = Measurement.model_validate({
        "ended": ended.get(outcome.ended, "limit"),
        "exit_code": outcome.exit_code,
        "tail": said[-OUTPUT_SHOWN:].strip(),
        "seconds": round(outcome.seconds, 2),
        "tier": outcome.tier,
    })  # fmt: skip
    if spec.report == "findings":
        return _with_findings(measured, room, spec, output)
    measured = _with_cases(measured, room, spec, output, truncated=outcome.truncated)
    _, elsewhere = python_checkout.witnessed(room)
    return measured.but(unmeasured=elsewhere) if elsewhere else measured


def _with_findings(measured: Measurement, room: Room, spec: GateSpec, output: str) -> Measurement:
    findings: tuple[Finding, ...] | None
    if "ruff" in spec.run.lower():
        findings = reports.ruff(output, room.tree)
    elif spec.kind == "types":
        findings = reports.mypy(output, room.tree)
    else:
        findings = reports.flake8(output, room.tree)
    ran = measured.exit_code in (0, 1) and findings is not None
    if measured.exit_code == 1 and not findings:
        ran = False  # neither clean nor with findings: the tool itself failed
    if spec.kind == "security":
        findings = tuple(each for each in findings or () if not is_test(each.path))
    return measured.but(findings=findings or (), complete=ran)


def _with_cases(
    measured: Measurement, room: Room, spec: GateSpec, output: str, *, truncated: bool
) -> Measurement:
    if spec.report == "exit":
        return _with_what_it_says(measured, output)
    cases, complete = _cases(room, spec, output)
    if spec.report != "junit" and not _report(room, spec).exists():
        complete = complete and not truncated
    ended = measured.ended == "exited" and (measured.exit_code or 0) >= 0
    broken = "pytest" in spec.run and measured.exit_code in (2, 3, 4)
    return measured.but(
        level=EvidenceLevel.IDS,
        cases=cases,
        counts=tally(cases),
        complete=complete and ended and not broken,
    )


def _with_what_it_says(measured: Measurement, output: str) -> Measurement:
    """Take single tests from output that happens to be whole TAP, else the sum it ends with."""
    cases, whole = reports.tap(output)
    if cases and whole:
        return measured.but(level=EvidenceLevel.IDS, cases=cases, counts=tally(cases))
    counts = reports.counts(output)
    return measured.but(counts=counts, level=EvidenceLevel.COUNTS) if counts else measured


def _cases(room: Room, spec: GateSpec, output: str) -> tuple[tuple[Case, ...], bool]:
    path = _report(room, spec)
    if not inside(room.path, path):
        return (), False
    if spec.report == "junit":
        found = reports.jest(path) if "jest" in spec.run else reports.junit(path)
        return found or (), found is not None
    text = _text(room, path) if path.is_file() else output
    return reports.gotest(text) if spec.report == "gotest" else reports.tap(text)


def _report(room: Room, spec: GateSpec) -> Path:
    return room.tree / spec.report_path if spec.report_path else room.report


def _text(room: Room, path: Path) -> str:
    """Return a file of the room or its output; a command may have left a link instead."""
    if not inside(room.path.parent, path) or not path.is_file():
        return ""
    return path.read_text("utf-8", "replace") if path.stat().st_size <= reports.MAX_REPORT else ""


def _log(room: Room) -> bytes:
    for path in (room.output, room.report):
        if inside(room.path.parent, path) and path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                return file.read(MAX_LOG)
    return b""
