"""Gates: choose the gates of a base commit, and judge a commit by one of them."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

from domain.census import judge_census
from domain.errors import Refused, Rejected
from domain.evidence import (
    SHOWN_FINDINGS,
    SHOWN_TESTS,
    Judged,
    Measurement,
    judge_alone,
    judge_command,
    judge_findings,
    settle,
)
from domain.judging import RunGate, SelectGates
from domain.repo_config import FILE_NAME, RepoConfig
from domain.repository import Repository
from domain.review import EvidenceLevel, GateResult, GateSet, GateSpec, Verdict
from integrations.gates import changes, computed
from integrations.gates.environment import Environment
from integrations.gates.environments import Environments
from integrations.gates.evidence_cache import EvidenceCache, evidence_key
from integrations.gates.measuring import Measuring
from integrations.gates.ports import Artifacts, Commands, Objects, Progress
from integrations.gates.selection import select
from integrations.gates.snapshot import Snapshot, take
from integrations.gates.workshop import PASSED, SetupFailed

ReadConfig = Callable[[str, str], RepoConfig]  # text and name; raises Refused
FORGET = 120.0  # seconds after which a set-up that failed is tried again
SELECTED = 20  # with more files than that a second run takes them all
NOTHING_BEFORE = Measurement(exit_code=0)
NO_ENVIRONMENT = Environment(project="other", digest="none", folder="")


class Gates:
    """The judgement; `cache` is shared by installations, `workspaces` belongs to this one."""

    def __init__(
        self,
        git: Objects,
        processes: Commands,
        artifacts: Artifacts,
        *,
        cache: Path,
        workspaces: Path,
        ruff: str,
        read_config: ReadConfig,
        passthrough: tuple[str, ...] = PASSED,
    ) -> None:
        self._git = git
        self._processes = processes
        self._artifacts = artifacts
        self._ruff = ruff
        self._read_config = read_config
        self._environments = Environments(git, processes, cache / "environments", passthrough)
        self._measuring = Measuring(git, processes, artifacts, workspaces / "gates", ruff)
        self._evidence = EvidenceCache(cache / "gates", artifacts)
        self._sets: dict[str, GateSet] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    async def select(self, order: SelectGates) -> GateSet:
        """Return the gates; raises `Rejected` when the repository's own file is not valid."""
        snap = await take(self._git, order.repository.id, order.base_sha)
        config, origin = self._config(order.repository, snap)
        found = await asyncio.to_thread(
            select, snap, config, origin, order.validation, order.acceptance, order.protected_paths
        )
        ref = await self._artifacts.put(found.model_dump_json().encode(), "application/json")
        found = found.but(ref=ref)
        self._sets[found.digest] = found
        return found

    async def judge(self, order: RunGate, progress: Progress) -> GateResult:
        """Return what one gate says about `sha`, measured against `base_sha`."""
        started = time.monotonic()
        judgement = await _Judgement(self, order, progress).judge()
        return judgement.but(seconds=round(time.monotonic() - started, 2))

    def _config(
        self, repository: Repository, snap: Snapshot
    ) -> tuple[RepoConfig, Literal["declared", "detected", "operator"]]:
        own, given = snap.text(FILE_NAME), repository.config_file
        if not own and not given:
            return RepoConfig(), "detected"
        name = FILE_NAME if own else "--repo-config"
        try:
            return self._read_config(own or given, name), "declared" if own else "operator"
        except Refused as error:
            raise Rejected(
                f"{name} of the base commit cannot be used: {error}",
                code="bad_repo_config",
                path=name,
                line=error.problems[0].line if error.problems else 0,
                hint="correct the file on the base branch, or give another with --repo-config",
            ) from error

    async def gate_set(self, order: RunGate) -> GateSet | None:
        """Return the set that an order belongs to, as far as it is known."""
        if order.gate_set not in self._sets and order.gate_set_ref:
            data = await self._artifacts.get(order.gate_set_ref)
            self._sets[order.gate_set] = GateSet.model_validate_json(data)
        return self._sets.get(order.gate_set)

    async def side(self, repository: Repository, sha: str, base: Snapshot | None) -> "_Side":
        """Return one side of a comparison; set-up is always declared by the base."""
        snap = await take(self._git, repository.id, sha)
        config, _ = self._config(repository, base or snap)
        return _Side(repository.id, snap, config)

    async def environment(self, side: "_Side", progress: Progress) -> Environment:
        """Return a side's environment; a failure is remembered for a while."""
        key = await self._environments.key(side.snap, side.config)
        failed_at, said = self._failed.get(key, (0.0, ""))
        if said and time.monotonic() - failed_at < FORGET:
            raise SetupFailed(said)
        try:
            return await self._environments.ensure(
                side.repository_id, side.snap, side.config, progress
            )
        except SetupFailed as error:
            self._failed[key] = (time.monotonic(), str(error))
            raise

    async def measure(
        self, side: "_Side", spec: GateSpec, progress: Progress
    ) -> tuple[Measurement, bool]:
        """Return a measurement of one side, and whether it was known already."""
        environment = await self._environment_for(spec, side, progress)
        tier = await self._processes.tier()
        key = evidence_key(side.snap.tree, spec, environment.digest, self._ruff, tier)
        progress(f"{spec.name} on {side.snap.sha[:10]}")
        return await self._evidence.get(key, lambda: self.run(side, spec, environment))

    async def _environment_for(
        self, spec: GateSpec, side: "_Side", progress: Progress
    ) -> Environment:
        """Return what a gate needs; our own security rules read files and run nothing."""
        if spec.kind == "security":
            return NO_ENVIRONMENT
        return await self.environment(side, progress)

    async def run(
        self, side: "_Side", spec: GateSpec, environment: Environment, files: tuple[str, ...] = ()
    ) -> Measurement:
        """Measure one side now, whatever is known already."""
        return await self._measuring.measure(
            side.repository_id, side.snap.sha, spec, environment, files
        )


class _Side:
    """One commit of a comparison."""

    def __init__(self, repository_id: str, snap: Snapshot, config: RepoConfig) -> None:
        self.repository_id = repository_id
        self.snap = snap
        self.config = config


class _Judgement:
    """One gate on one commit: measure the base, measure the change, compare."""

    def __init__(self, gates: Gates, order: RunGate, progress: Progress) -> None:
        self._gates = gates
        self._git = gates._git
        self._order = order
        self._progress = progress

    async def judge(self) -> GateResult:
        spec = await self._full_spec()
        if spec.kind in ("secrets", "churn", "protected", "scope"):
            return self._result(spec, await self._computed(spec))
        if spec.kind == "tests" and not spec.run:
            judged = Judged(verdict=Verdict.HELD, reason="no tests found")
            return self._result(spec, judged)
        base, after = await self._sides()
        if spec.kind == "census":
            return await self._census(spec, base, after)
        if spec.kind == "setup":
            return await self._setup(spec, base, after)
        return await self._measured(spec, base, after)

    async def _full_spec(self) -> GateSpec:
        found = await self._gates.gate_set(self._order)
        named = (
            [gate for gate in found.gates if gate.name == self._order.gate.name] if found else []
        )
        return named[0] if named else self._order.gate

    async def _sides(self) -> tuple[_Side, _Side]:
        order = self._order
        base = await self._gates.side(order.repository, order.base_sha, None)
        return base, await self._gates.side(order.repository, order.sha, base.snap)

    async def _computed(self, spec: GateSpec) -> Judged:
        order = self._order
        where = (self._git, order.repository.id, order.base_sha, order.sha)
        known = await self._gates.gate_set(order)
        patterns = (*order.protected_paths, *(known.protected_paths if known else ()))
        run: dict[str, Callable[[], Awaitable[Judged]]] = {
            "secrets": lambda: computed.secrets(*where),
            "churn": lambda: computed.churn(*where, order.max_changed_lines, order.generated),
            "protected": lambda: computed.protected(*where, patterns),
            "scope": lambda: computed.scope(*where, order.allowed, order.forbidden),
        }
        return await run[spec.kind]()

    async def _setup(self, spec: GateSpec, base: _Side, after: _Side) -> GateResult:
        try:
            first = await self._gates.environment(base, self._progress)
        except SetupFailed as error:
            return self._result(spec, _held(error))
        try:
            second = await self._gates.environment(after, self._progress)
        except SetupFailed as error:
            return self._result(spec, _failed(error))
        same = "the same environment" if first.digest == second.digest else "another environment"
        notes = "; ".join(("", *second.notes))
        reason = f"{second.project} {second.python_name}, {same} as on the base{notes}".strip()
        return self._result(spec, Judged(verdict=Verdict.PASSED, reason=reason))

    async def _measured(self, spec: GateSpec, base: _Side, after: _Side) -> GateResult:
        before, known = NOTHING_BEFORE, True
        try:
            if not spec.after_only:
                before, known = await self._gates.measure(base, spec, self._progress)
        except SetupFailed as error:
            return self._result(spec, _held(error))
        try:
            now, known_too = await self._gates.measure(after, spec, self._progress)
        except SetupFailed as error:
            return self._result(spec, _failed(error))
        judged, flaky = await self._compare(spec, (base, before), (after, now))
        found = self._result(spec, judged, before, now).but(flaky=flaky)
        return found.but(cached=known and known_too, base=None if spec.after_only else found.base)

    async def _compare(
        self, spec: GateSpec, base: tuple[_Side, Measurement], after: tuple[_Side, Measurement]
    ) -> tuple[Judged, tuple[str, ...]]:
        if spec.after_only:
            return judge_alone(after[1], spec.expected), ()
        if spec.report == "findings":
            return judge_findings(base[1], after[1]), ()
        judged = judge_command(base[1], after[1])
        if not judged.newly_failed:
            return judged, ()
        return await self._once_more(spec, judged, base, after)

    async def _once_more(
        self,
        spec: GateSpec,
        judged: Judged,
        base: tuple[_Side, Measurement],
        after: tuple[_Side, Measurement],
    ) -> tuple[Judged, tuple[str, ...]]:
        """Run both sides again; what is not red twice, or is red on the base too, is flaky."""
        self._progress(f"{spec.name}: {len(judged.newly_failed)} newly red, once more")
        files = _files(after[1], judged.newly_failed)
        again = []
        for side in (base[0], after[0]):
            environment = await self._gates.environment(side, self._progress)
            there = tuple(file for file in files if file in side.snap.paths)
            again.append(await self._gates.run(side, spec, environment, there))
        red, flaky = settle(judged.newly_failed, *again)
        if red:
            reason = f"{len(red)} tests newly red, first {red[0]}"
            return judged.but(newly_failed=red, reason=reason), flaky
        steady = after[1].but(
            exit_code=base[1].exit_code,
            cases=tuple(
                case.but(outcome="passed") if case.id in flaky else case for case in after[1].cases
            ),
        )
        settled = judge_command(base[1], steady)
        return settled.but(reason=f"{settled.reason}, {len(flaky)} flaky"), flaky

    async def _census(self, spec: GateSpec, base: _Side, after: _Side) -> GateResult:
        order = self._order
        before, now = Measurement(exit_code=0), Measurement(exit_code=0)
        for tests in await self._test_gates():
            try:
                before, _ = await self._gates.measure(base, tests, self._progress)
                now, _ = await self._gates.measure(after, tests, self._progress)
            except SetupFailed:
                break  # the set-up gate tells
        where = (self._git, order.repository.id, order.base_sha, order.sha)
        lines = await changes.lines(*where)
        gone = await changes.deleted(*where)
        judged = await asyncio.to_thread(judge_census, before, now, lines, gone)
        return self._result(spec, judged, before, now)

    async def _test_gates(self) -> tuple[GateSpec, ...]:
        found = await self._gates.gate_set(self._order)
        gates = found.gates if found else ()
        return tuple(gate for gate in gates if gate.kind == "tests" and gate.run)[:1]

    def _result(
        self,
        spec: GateSpec,
        judged: Judged,
        base: Measurement | None = None,
        after: Measurement | None = None,
    ) -> GateResult:
        return GateResult(
            gate=spec.name,
            kind=spec.kind,
            verdict=judged.verdict,
            reason=judged.reason[:1_000],
            level=after.level if after else EvidenceLevel.EXIT,
            base=base.counts if base else None,
            after=after.counts if after else None,
            newly_failed=judged.newly_failed[:SHOWN_TESTS],
            findings=judged.findings[:SHOWN_FINDINGS],
            log=after.log if after else None,
            **({"tier": after.tier} if after else {}),
        )


def _held(error: SetupFailed) -> Judged:
    return Judged(verdict=Verdict.HELD, reason=f"set-up fails on the base: {_last(error)}")


def _failed(error: SetupFailed) -> Judged:
    return Judged(verdict=Verdict.FAILED, reason=f"set-up fails after the change: {_last(error)}")


def _last(error: SetupFailed) -> str:
    first, _, said = str(error).partition("\n")
    return f"{first} {said[-600:]}".strip()


def _files(measured: Measurement, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of these tests; nothing (that is: all) if one is unknown or odd."""
    wanted = set(ids)
    files = {case.file for case in measured.cases if case.id in wanted}
    plain = all(re.fullmatch(r"[\w./-]+", file) and not file.startswith("-") for file in files)
    return tuple(sorted(files)) if plain and len(files) <= SELECTED else ()
