"""Tables and boards for the terminal; all texts of others are shown as they are, never parsed."""

import time
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.change import Release
from domain.plan import Plan
from domain.record_view import Evidence, GateView, IdeaLine, IdeaRecord, TaskView
from starter.doctor import Report
from starter.state import UpState
from starter.words import clock, duration, elapsed, newest_round, wait_sentence

_STATES = {
    "Completed": "bold green", "ShadowCompleted": "bold green", "Merged": "green",
    "Failed": "bold red", "Rejected": "bold red", "RolledBack": "red", "Cancelled": "yellow",
    "Skipped": "dim", "Pending": "dim", "NeedsRefinement": "yellow", "passed": "green",
    "failed": "bold red", "held": "yellow", "skipped": "dim", "ok": "green", "warning": "yellow",
    "lack": "bold red",
}  # fmt: skip
_MARKS = {
    "Merged": "✔", "Completed": "✔", "ShadowCompleted": "✔", "passed": "✔", "ok": "✔",
    "Failed": "✘", "failed": "✘", "lack": "✘", "held": "✋", "warning": "!", "Pending": "·",
    "skipped": "–", "Skipped": "–", "Cancelled": "–",
}  # fmt: skip


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def state_text(state: str) -> Text:
    """Return a state in its colour."""
    return Text(state, style=_STATES.get(state, "cyan"))


def _mark(state: str) -> Text:
    return Text(_MARKS.get(state, "▶"), style=_STATES.get(state, "cyan"))


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(overflow="fold")
    return grid


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def up_table(state: UpState) -> RenderableType:
    """Say where everything is."""
    grid = _grid()
    if state.server.ui:
        grid.add_row("Temporal UI", Text(state.server.ui, style="underline"))
    version = f"server {state.server.version}"
    whose = version if state.server.pid else f"{version}, not ours"
    grid.add_row("Temporal", f"{state.server.address}  ({whose})")
    for worker in state.workers:
        grid.add_row("worker", f"{', '.join(worker.queues)}  (process {worker.pid})")
    if state.host:
        grid.add_row("services", f"looked after by process {state.host}")
    grid.add_row("logs", state.logs)
    grid.add_row("stop", "slipway down")
    return Padding(grid, (0, 2))


def doctor_table(report: Report) -> RenderableType:
    """Say what was looked at and what to do about each lack."""
    grid = _grid()
    for check in report.checks:
        grid.add_row(_mark(check.state), check.name, check.found)
        if check.hint and check.state != "ok":
            grid.add_row("", "", Text(check.hint, style="dim"))
    verdict = "All that is needed is here." if report.healthy else "Something is lacking."
    return Group(grid, Text(verdict, style="green" if report.healthy else "bold red"))


def ideas_table(lines: Iterable[IdeaLine]) -> RenderableType:
    """List ideas, newest first."""
    table = _table("Idea", "State", "Repository", "Since", "Waits for")
    table.columns[0].no_wrap = True
    for line in lines:
        waits = ", ".join(f"{wait.flag} ({wait.owner})" for wait in line.waits)
        named = Text.assemble(line.key, "\n", (line.title, "dim"))
        since = clock(line.created_at_ms)
        table.add_row(named, state_text(line.state), line.repository, since, waits)
    return table if table.row_count else Text("No ideas.", style="dim")


def board(record: IdeaRecord) -> RenderableType:
    """Show one idea: where it is, its tasks, its gates, what it waits for, what it released."""
    parts: list[RenderableType] = [_headline(record)]
    parts += [Text(f"  ⏳ {wait_sentence(wait, now_ms())}", "yellow") for wait in record.waits]
    if tasks := newest_round(record):
        parts.append(_tasks_table(tasks))
    if gates := _telling_gates(record):
        parts.append(_gates_table(gates))
    for release in record.releases:
        parts.append(_release(release))
    return Group(*parts)


def _release(release: Release) -> RenderableType:
    grid = _grid()
    moved = "the base branch itself" if release.base_moved else "the base branch is untouched"
    grid.add_row("  branch", Text(release.branch, "green"), Text(moved, "dim"))
    grid.add_row("  tag", Text(release.tag, "green"), Text(release.sha[:12], "dim"))
    return grid


def _headline(record: IdeaRecord) -> RenderableType:
    why = (record.outcome.reason if record.outcome else record.reason) or ""
    first = Text.assemble((record.title, "bold"), ("  ", ""), (record.key, "dim"))
    second = Text.assemble(
        ("  ", ""), _mark(record.state), " ", state_text(record.state),
        (f"  {duration(elapsed(record, now_ms()))}", "dim"), (f"  {why}" if why else "", ""),
    )  # fmt: skip
    return Group(first, second)


def _tasks_table(tasks: tuple[TaskView, ...]) -> RenderableType:
    table = _table("", "Task", "State", "Change", "Time", "")
    for task in tasks:
        change = next((a.change for a in reversed(task.attempts) if a.change), None)
        size = f"+{change.insertions} -{change.deletions}" if change else ""
        seconds = sum(attempt.seconds for attempt in task.attempts)
        tries = f"attempt {len(task.attempts)}" if len(task.attempts) > 1 else ""
        why = task.reason if task.state in ("Failed", "Skipped", "Repairing") else tries
        table.add_row(
            _mark(task.state), Text.assemble(task.id, ("  " + task.title, "dim")),
            state_text(task.state), size, duration(seconds) if seconds else "", Text(why, "dim"),
        )  # fmt: skip
    return Padding(table, (0, 0, 0, 2))


def _telling_gates(record: IdeaRecord) -> tuple[GateView, ...]:
    """Return the newest judgement of each gate, of the furthest place that has judged."""
    for where in ("train", "review", "task"):
        newest = {
            (gate.task, gate.name): gate for gate in record.gates if gate.where == where
        }  # in order of time, so the last one stays
        if newest:
            return tuple(newest.values())
    return ()


def _gates_table(gates: tuple[GateView, ...]) -> RenderableType:
    table = _table("", "Gate", "Verdict", "Tests", "Why")
    for gate in gates:
        named = f"{gate.task}/{gate.name}" if gate.task else gate.name
        why = gate.reason + (" (cached)" if gate.cached else "")
        table.add_row(
            _mark(gate.verdict), named, state_text(gate.verdict), _counted(gate), Text(why, "dim")
        )
    return Padding(table, (0, 0, 0, 2))


def _counted(gate: GateView) -> str:
    """Return tests passed before and after."""
    before, after = gate.counts.base, gate.counts.after
    if after is None:
        return ""
    return f"{before.passed} → {after.passed}" if before else str(after.passed)


def details(record: IdeaRecord) -> RenderableType:
    """Show what stands around the board: repository, cost, questions, pages."""
    grid = _grid()
    grid.add_row("repository", f"{record.repo.location}  ({record.repo.base})")
    if record.base_sha:
        grid.add_row("base", record.base_sha[:12])
    for note in record.notes:
        grid.add_row("note", note)
    for question in record.questions:
        grid.add_row("asked", f"{question.approval}: {question.text}")
    for asked in record.inputs:
        if asked.answer is None:
            options = f"  [{' | '.join(asked.options)}]" if asked.options else ""
            grid.add_row("asked", f"{asked.question}: {asked.text}{options}")
    grid.add_row("effort", _effort(record))
    if record.ui_url:
        grid.add_row("Temporal UI", record.ui_url)
    return Padding(grid, (0, 2))


def _effort(record: IdeaRecord) -> str:
    cost = record.cost
    money = f", {cost.micro_usd / 1e6:.2f} USD, {cost.tokens} tokens" if cost.tokens else ""
    return (
        f"{cost.attempts} attempts, {duration(cost.agent_seconds)} of agents, "
        f"{duration(cost.gate_seconds)} of gates{money}"
    )


def plan_board(plan: Plan) -> RenderableType:
    """Show a plan: the graph in waves, the coverage, the risks, why it is like this."""
    parts: list[RenderableType] = [
        Text(f"Plan {plan.plan_id} version {plan.version}, by {plan.created_by}", "bold"),
        Text(plan.rationale, "dim"),
        Text("Graph", "bold"),
        _graph(plan),
    ]
    table = _table("Criterion", "Tasks", "Gates")
    for covered in plan.coverage:
        gates = "a person" if covered.manual else ", ".join(covered.gates)
        table.add_row(covered.acceptance, ", ".join(covered.tasks), gates)
    if plan.coverage:
        parts += [Text("Coverage", "bold"), Padding(table, (0, 0, 0, 2))]
    if plan.risk_register:
        parts += [Text("Risks", "bold"), _risks(plan)]
    parts += [Text(f"  {found.severity}: {found.text}", "yellow") for found in plan.critique]
    return Group(*parts)


def _graph(plan: Plan) -> RenderableType:
    """Show tasks by the wave in which they can begin, with what they come after and why."""
    table = _table("Wave", "Task", "Who", "Touches", "After")
    for number, wave in enumerate(waves(plan), 1):
        for task in plan.tasks:
            if task.id not in wave:
                continue
            after = "; ".join(
                f"{on.task} ({on.when}{', ' + on.reason if on.reason else ''})"
                for on in task.depends_on
            )
            who = task.agent.backend
            if task.agent.operations:
                who += f": {', '.join(sorted({one.op for one in task.agent.operations}))}"
            table.add_row(
                str(number), Text.assemble(task.id, "\n", (task.title, "dim")), who,
                Text("\n".join(task.touches[:6]) + ("\n…" if len(task.touches) > 6 else "")),
                Text(after, "dim"),
            )  # fmt: skip
    return Padding(table, (0, 0, 0, 2))


def waves(plan: Plan) -> list[set[str]]:
    """Return the tasks of a plan in waves: each needs only tasks of earlier ones."""
    needs = {task.id: {on.task for on in task.depends_on} for task in plan.tasks}
    found: list[set[str]] = []
    done: set[str] = set()
    while wave := {task for task, on in needs.items() if task not in done and on <= done}:
        found.append(wave)
        done |= wave
    return found


def _risks(plan: Plan) -> RenderableType:
    table = _table("Risk", "L", "I", "Against it")
    for risk in plan.risk_register:
        table.add_row(risk.text, str(risk.likelihood), str(risk.impact), Text(risk.mitigation))
    return Padding(table, (0, 0, 0, 2))


def evidence_board(evidence: Evidence) -> RenderableType:
    """Show what proves the outcome: judgements, answers, effects with what was read back."""
    parts: list[RenderableType] = [
        Text(f"Specification {evidence.spec_digest[:16]}, base {evidence.base_sha[:12]}", "dim")
    ]
    gates = _table("", "Gate", "Of", "Commit", "Evidence", "Tier", "Why")
    for gate in evidence.gates:
        place = f"{gate.where} {gate.task}".strip()
        gates.add_row(
            _mark(gate.verdict), gate.name, place, gate.after[:12], gate.evidence_level,
            gate.tier.name, Text(gate.reason, "dim"),
        )  # fmt: skip
    effects = _table("Effect", "Operation", "Read back")
    for effect in evidence.effects:
        effects.add_row(effect.kind, effect.op, (effect.readback or "not confirmed")[:120])
    answers = _table("Approval", "Person", "Said", "Why")
    for question in evidence.approvals:
        for answer in question.answers:
            who = answer.person + (" (own idea)" if answer.self_approved else "")
            answers.add_row(question.approval, who, answer.decision, answer.reason)
    for title, table in (("Gates", gates), ("Approvals", answers), ("Effects", effects)):
        if table.row_count:
            parts += [Text(title, "bold"), Padding(table, (0, 0, 0, 2))]
    head = evidence.audit_head
    parts.append(Text(f"Audit entries of this idea: {head.idea_size}, of all: {head.size}", "dim"))
    return Group(*parts)
