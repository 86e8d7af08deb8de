"""Agents: run one attempt of one task in a fresh workspace, and collect what it really changed."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from temporalio import activity

from activities.agent_ports import Adapter, Artifacts, Checkouts, Commands, Commits
from activities.heartbeat import beating
from domain.agent import (
    AgentCommand,
    AgentEvent,
    AgentOrder,
    AgentVerdict,
    Usage,
    command_limits,
    lower,
    out_of_scope,
    stopped,
)
from domain.change import Change, FileChange
from domain.command import CommandOrder, CommandOutcome
from domain.delivery import FailureClass
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.plan import Plan, PlanTask
from domain.record import ArtifactRef, Record
from domain.repository import Repository
from domain.review import Finding, Tier
from domain.secrets_text import redact

OUTPUT, EVENTS = "output", "events"
LINK = "120000"
# What a collector refuses because the agent left it behind, not because anything broke.
HOSTILE_TREES = ("nested_repository", "submodule_changed", "special_file", "too_large", "bad_path")

Progress = Callable[..., None]


class ImplementTask(Record):
    """One attempt. A crash makes a new run of the same attempt, a repair round a new attempt."""

    key: str
    round: int
    task: str
    attempt: int
    plan: ArtifactRef
    repository: Repository
    base_sha: str  # the commit that the workspace starts from and the change is measured against
    start_sha: str = ""  # a repair continues from this commit; empty: from base_sha
    findings: tuple[Finding, ...] = ()  # what the last attempt's gates found
    scope_out: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()  # what a person answered to the agent's questions
    at_ms: int  # commit date


class AttemptResult(Record):
    """What one attempt left behind; `status` is the platform's word, never the agent's."""

    status: Literal["changed", "no_change", "needs_input", "failed"]
    failure: FailureClass = FailureClass.NONE
    reason: str = ""
    summary: str = ""  # the agent's words, shown as such
    questions: tuple[str, ...] = ()
    change: Change | None = None
    out_of_scope: tuple[str, ...] = ()
    usage: Usage = Usage()
    transcript: ArtifactRef | None = None
    backend: str = ""
    tier: Tier = Tier()
    seconds: float = 0
    runs: int = 1


class Agents:
    """Attempts of tasks; the same attempt again yields the same commit."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        checkouts: Checkouts,
        commands: Commands,
        commits: Commits,
        artifacts: Artifacts,
    ) -> None:
        """`adapters` by the name of their backend."""
        self._adapters = adapters
        self._checkouts = checkouts
        self._commands = commands
        self._commits = commits
        self._artifacts = artifacts

    @activity.defn
    async def implement_task(self, order: ImplementTask) -> AttemptResult:
        """Run one attempt; nothing of it is left but its commit and its transcript."""
        async with beating() as beat:
            result = await self.attempt(order, beat)
        return result.but(runs=activity.info().attempt)

    async def attempt(self, order: ImplementTask, progress: Progress) -> AttemptResult:
        """Run one attempt; `progress` hears the phase, how many events came, and the last one."""
        began = time.monotonic()
        progress("preparing", 0, "")
        task = await self._task(order)
        adapter = self._adapter(task)
        name = attempt_name(order)
        # What a lost worker left of this attempt must be gone before its folder is.
        await self._commands.settle(self._checkouts.lock(name))
        start = await self._start(order, task)
        if isinstance(start, AttemptResult):
            result = start
        else:
            checkout = await self._checkouts.create(order.repository.id, start, name)
            try:
                result = await self._work(order, task, adapter, checkout, start, progress)
            finally:
                await self._checkouts.destroy(checkout)
        seconds = round(time.monotonic() - began, 3)
        return result.but(backend=adapter.backend.name, seconds=seconds)

    async def _task(self, order: ImplementTask) -> PlanTask:
        plan = Plan.model_validate_json(await self._artifacts.get(order.plan))
        for task in plan.tasks:
            if task.id == order.task:
                return task
        raise Rejected(f"the plan {plan.plan_id} has no task {order.task!r}", code="unknown_task")

    def _adapter(self, task: PlanTask) -> Adapter:
        try:
            return self._adapters[task.agent.backend]
        except KeyError:
            raise Misconfigured(
                f"the task {task.id!r} asks for the agent {task.agent.backend!r}, "
                f"which is not declared (there are: {', '.join(sorted(self._adapters))})",
                code="unknown_backend",
                hint="declare it in agents/NAME.yaml of the operator's configuration",
            ) from None

    async def _start(self, order: ImplementTask, task: PlanTask) -> str | AttemptResult:
        """Return the commit to work on; a repair follows the branch when that has moved on."""
        if not order.start_sha:
            return order.base_sha
        parents = await self._commits.parents_of(order.repository.id, order.start_sha)
        if parents in ((order.base_sha,), ()):
            return order.start_sha
        picked = await self._commits.pick(
            order.repository.id, order.start_sha, parents[0], order.base_sha,
            message(order, task), order.at_ms,
        )  # fmt: skip
        if not picked.conflicts:
            return picked.sha
        return AttemptResult(
            status="failed",
            failure=FailureClass.CONFLICT,
            reason=f"the branch moved on and conflicts in {', '.join(picked.conflicts[:5])}",
        )

    async def _work(
        self,
        order: ImplementTask,
        task: PlanTask,
        adapter: Adapter,
        checkout: Path,
        start: str,
        progress: Progress,
    ) -> AttemptResult:
        told = agent_order(order, task, adapter, checkout, self._checkouts.home(checkout))
        command = adapter.command(told)
        if isinstance(command, AgentVerdict):
            return _result(command)
        outcome, verdict = await self._run(command, told, adapter, attempt_name(order), progress)
        transcript = await self._transcript(checkout, adapter.secrets)
        if verdict.status == "failed":
            verdict = await self._explained(verdict, checkout, adapter.secrets)
        result = _result(verdict)
        if verdict.status == "ran":
            progress("collecting", outcome.events, "")
            result = await self._collect(order, task, verdict, checkout, start)
        return result.but(transcript=transcript, tier=outcome.tier)

    async def _run(
        self,
        command: AgentCommand,
        told: AgentOrder,
        adapter: Adapter,
        name: str,
        progress: Progress,
    ) -> tuple[CommandOutcome, AgentVerdict]:
        checkout = Path(told.workspace)
        await self._checkouts.fill(checkout, command.files)
        heard: list[AgentEvent] = []

        def hear(line: dict[str, Any]) -> None:
            event = adapter.events(line)
            if event:
                heard.append(event)
                progress("working", len(heard), redact(event.text, adapter.secrets)[:200])

        progress("working", 0, "")
        outcome = await self._commands.run(
            CommandOrder(
                argv=command.argv,
                folder=told.workspace,
                home=told.home,
                env=command.env,
                readable=command.readable,
                network=command.network,
                limits=command_limits(told.limits),
                output=str(self._checkouts.log(checkout) / OUTPUT),
                events=str(self._checkouts.log(checkout) / EVENTS),
                lock=str(self._checkouts.lock(name)),
            ),
            hear,
        )
        if outcome.ended in ("lost", "cancelled"):
            raise Unavailable(f"the run of {name} was {outcome.ended}", code="run_lost")
        over = stopped(outcome, told.limits)
        if over:
            return outcome, over
        result = _object(await self._checkouts.left(checkout, command.result))
        return outcome, adapter.verdict(tuple(heard), outcome.exit_code, result)

    async def _collect(
        self,
        order: ImplementTask,
        task: PlanTask,
        verdict: AgentVerdict,
        checkout: Path,
        start: str,
    ) -> AttemptResult:
        """Compare the tree with where it started: the platform's word, not the agent's."""
        repository = order.repository.id
        try:
            tree = await self._checkouts.collect(repository, checkout, start)
        except Rejected as refused:
            if refused.problem.code not in HOSTILE_TREES:
                raise
            return _violation(verdict, (), refused.problem.message)
        if tree == await self._commits.tree_of(repository, start):
            reason = "the agent ended well but changed nothing"
            return _result(verdict.but(status="no_change", reason=reason))
        sha = await self._commits.commit(
            repository, tree, (order.base_sha,), message(order, task), order.at_ms
        )
        measured = await self._commits.measure(repository, order.base_sha, sha)
        change = measured.but(files=_marked(measured.files, verdict.generated))
        outside, reason = await self._outside(order, task, sha)
        if outside:
            return _violation(verdict, outside, reason).but(change=change)
        await self._keep(order, sha)
        return _result(verdict).but(status="changed", change=change)

    async def _outside(
        self, order: ImplementTask, task: PlanTask, sha: str
    ) -> tuple[tuple[str, ...], str]:
        changes = await self._commits.changes(order.repository.id, order.base_sha, sha)
        paths = tuple(change.path for change in changes)
        outside = out_of_scope(paths, task.touches, task.forbid, order.scope_out)
        if outside:
            listed = ", ".join(outside[:5])
            return outside, f"changed {len(outside)} paths that the task may not change: {listed}"
        links = {change.path for change in changes if change.mode == LINK}
        if not links:
            return (), ""
        leaving = await self._commits.links_leaving(order.repository.id, sha)
        strays = tuple(path for path in leaving if path in links)
        return strays, f"made links that leave the tree: {', '.join(strays[:5])}"

    async def _keep(self, order: ImplementTask, sha: str) -> None:
        ref = f"refs/slipway/tasks/{order.key}/{order.round}/{order.task}/{order.attempt}"
        now = await self._commits.read(order.repository.id, ref)
        if now != sha:
            await self._commits.swap(order.repository.id, ref, sha, now)

    async def _transcript(self, checkout: Path, secrets: tuple[str, ...]) -> ArtifactRef | None:
        output = await self._checkouts.logged(checkout, OUTPUT)
        events = await self._checkouts.logged(checkout, EVENTS)
        if not output and not events:
            return None
        text = b"\n".join(part for part in (output, events) if part).decode("utf-8", "replace")
        clean = await asyncio.to_thread(redact, text, secrets)
        return await self._artifacts.put(clean.encode("utf-8", "replace"))

    async def _explained(
        self, verdict: AgentVerdict, checkout: Path, secrets: tuple[str, ...]
    ) -> AgentVerdict:
        """Add the last line of the agent's output, which most often says why."""
        output = await self._checkouts.logged(checkout, OUTPUT)
        lines = output[-4_000:].decode("utf-8", "replace").strip().splitlines()
        if not lines or lines[-1] in verdict.reason:
            return verdict
        return verdict.but(reason=f"{verdict.reason}; it said: {redact(lines[-1], secrets)[:300]}")


def attempt_name(order: ImplementTask) -> str:
    """Return the name of an attempt's workspace: the same for each of its runs, short."""
    whole = f"{order.repository.id}/{order.key}/{order.round}/{order.task}/{order.attempt}"
    return f"{order.task[:40]}-{order.attempt}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def message(order: ImplementTask, task: PlanTask) -> str:
    """Return the message of an attempt's commit: the title, and where it came from."""
    return (
        f"{' '.join(task.title.split())}\n\n"
        f"Slipway-Idea: {order.key}\n"
        f"Slipway-Task: {order.round}/{order.task}/{order.attempt}\n"
    )


def agent_order(
    order: ImplementTask, task: PlanTask, adapter: Adapter, checkout: Path, home: Path
) -> AgentOrder:
    """Return what the adapter is told."""
    return AgentOrder(
        key=order.key,
        round=order.round,
        task=order.task,
        attempt=order.attempt,
        title=task.title,
        prompt=task.agent.prompt,
        operations=task.agent.operations,
        touches=task.touches,
        forbid=task.forbid + order.scope_out,
        findings=order.findings,
        answers=order.answers,
        limits=lower(task.agent.limits, adapter.backend.limits),
        workspace=str(checkout),
        home=str(home),
    )


def _result(verdict: AgentVerdict) -> AttemptResult:
    """Return a verdict as a result; `quota` is a failure with a reason of its own."""
    status = {"quota": "failed", "ran": "changed"}.get(verdict.status, verdict.status)
    failure = FailureClass.NO_CHANGE if status == "no_change" else verdict.failure
    return AttemptResult.model_validate(
        {
            "status": status,
            "failure": failure,
            "reason": verdict.reason,
            "summary": verdict.summary,
            "questions": verdict.questions,
            "usage": verdict.usage,
        }
    )


def _violation(verdict: AgentVerdict, paths: tuple[str, ...], reason: str) -> AttemptResult:
    told = verdict.but(
        status="failed", failure=FailureClass.SCOPE_VIOLATION, reason=f"the agent {reason}"
    )
    return _result(told).but(out_of_scope=paths[:50])


def _marked(files: tuple[FileChange, ...], generated: tuple[str, ...]) -> tuple[FileChange, ...]:
    known = frozenset(generated)
    return tuple(file.but(generated=True) if file.path in known else file for file in files)


def _object(data: bytes) -> Mapping[str, Any]:
    """Return a JSON object; anything else is an empty one."""
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
