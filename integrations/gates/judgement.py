"""One judgement: measure the base, measure the change, compare, run once more what is newly red."""

import asyncio
import re
from collections.abc import Awaitable, Callable

from domain.census import judge_census
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
from domain.judging import RunGate
from domain.review import EvidenceLevel, GateResult, GateSet, GateSpec, Tier, Verdict
from integrations.gates import changes, computed
from integrations.gates.ports import Objects, Progress
from integrations.gates.sides import Side, Sides
from integrations.gates.workshop import SetupFailed

SELECTED = 20  # with more files than that a second run takes them all
NOTHING_BEFORE = Measurement(exit_code=0)


class Judgement:
    """One gate on one commit: measure the base, measure the change, compare."""

    def __init__(
        self,
        git: Objects,
        sides: Sides,
        known: GateSet | None,
        order: RunGate,
        progress: Progress,
    ) -> None:
        self._git = git
        self._sides = sides
        self._known = known
        self._order = order
        self._progress = progress

    async def judge(self) -> GateResult:
        spec = self._spec()
        if spec.kind in ("secrets", "churn", "protected", "scope"):
            return self._result(spec, await self._computed(spec))
        if spec.kind == "tests" and not spec.run:
            judged = Judged(verdict=Verdict.HELD, reason="no tests found")
            return self._result(spec, judged)
        base, after = await self._both()
        if spec.kind == "census":
            return await self._census(spec, base, after)
        if spec.kind == "setup":
            return await self._setup(spec, base, after)
        return await self._measured(spec, base, after)

    def _spec(self) -> GateSpec:
        """Return the gate in full; an order may carry only a brief."""
        gates = self._known.gates if self._known else ()
        named = [gate for gate in gates if gate.name == self._order.gate.name]
        return named[0] if named else self._order.gate

    async def _both(self) -> tuple[Side, Side]:
        order = self._order
        base = await self._sides.take(order.repository, order.base_sha, None)
        return base, await self._sides.take(order.repository, order.sha, base)

    async def _computed(self, spec: GateSpec) -> Judged:
        order = self._order
        where = (self._git, order.repository.id, order.base_sha, order.sha)
        known = self._known.protected_paths if self._known else ()
        patterns = (*order.protected_paths, *known)
        run: dict[str, Callable[[], Awaitable[Judged]]] = {
            "secrets": lambda: computed.secrets(*where),
            "churn": lambda: computed.churn(*where, order.max_changed_lines, order.generated),
            "protected": lambda: computed.protected(*where, patterns),
            "scope": lambda: computed.scope(*where, order.allowed, order.forbidden),
        }
        return await run[spec.kind]()

    async def _setup(self, spec: GateSpec, base: Side, after: Side) -> GateResult:
        try:
            first = await self._sides.environment(base, self._progress)
        except SetupFailed as error:
            return self._result(spec, _held(error))
        try:
            second = await self._sides.environment(after, self._progress)
        except SetupFailed as error:
            return self._result(spec, _failed(error))
        same = "the same environment" if first.digest == second.digest else "another environment"
        notes = "; ".join(("", *second.notes))
        reason = f"{second.project} {second.python_name}, {same} as on the base{notes}".strip()
        return self._result(spec, Judged(verdict=Verdict.PASSED, reason=reason))

    async def _measured(self, spec: GateSpec, base: Side, after: Side) -> GateResult:
        before, known = NOTHING_BEFORE, True
        try:
            if not spec.after_only:
                before, known = await self._sides.measure(base, spec, self._progress)
        except SetupFailed as error:
            return self._result(spec, _held(error))
        try:
            now, known_too = await self._sides.measure(after, spec, self._progress)
        except SetupFailed as error:
            return self._result(spec, _failed(error))
        judged, flaky = await self._compare(spec, (base, before), (after, now))
        found = self._result(spec, judged, before, now).but(flaky=flaky)
        return found.but(cached=known and known_too, base=None if spec.after_only else found.base)

    async def _compare(
        self, spec: GateSpec, base: tuple[Side, Measurement], after: tuple[Side, Measurement]
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
        base: tuple[Side, Measurement],
        after: tuple[Side, Measurement],
    ) -> tuple[Judged, tuple[str, ...]]:
        """Run both sides again; what is not red twice, or is red on the base too, is flaky."""
        self._progress(f"{spec.name}: {len(judged.newly_failed)} newly red, once more")
        files = _files(after[1], judged.newly_failed)
        again = []
        for side in (base[0], after[0]):
            environment = await self._sides.environment(side, self._progress)
            there = tuple(file for file in files if file in side.snap.paths)
            again.append(await self._sides.run(side, spec, environment, there))
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

    async def _census(self, spec: GateSpec, base: Side, after: Side) -> GateResult:
        order = self._order
        before, now = Measurement(exit_code=0), Measurement(exit_code=0)
        for tests in self._test_gates():
            try:
                before, _ = await self._sides.measure(base, tests, self._progress)
                now, _ = await self._sides.measure(after, tests, self._progress)
            except SetupFailed:
                break  # the set-up gate tells
        where = (self._git, order.repository.id, order.base_sha, order.sha)
        lines = await changes.lines(*where)
        gone = await changes.deleted(*where)
        judged = await asyncio.to_thread(judge_census, before, now, lines, gone)
        return self._result(spec, judged, before, now)

    def _test_gates(self) -> tuple[GateSpec, ...]:
        gates = self._known.gates if self._known else ()
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
            tier=after.tier if after else Tier(),
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
