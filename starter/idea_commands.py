"""The commands `slipway idea ...`: start, look, steer, answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from starter.codes import Exit
from starter.options import Json, Key
from starter.reading import read
from starter.steering_commands import add_to
from starter.telling import emit, note, show

if TYPE_CHECKING:
    from domain.record_view import IdeaRecord
    from starter.intake import Wanted

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Start ideas, look at them, steer them.")


Wait = Annotated[
    bool, typer.Option("--wait", help="Follow it until it ends or first waits for a person.")
]
Through = Annotated[
    bool, typer.Option("--through", help="Follow it to its end, through waits for people.")
]


def _record(key: str) -> "IdeaRecord":
    from starter.lookup import record_of

    return read(lambda chosen, reads: record_of(chosen, reads, key))


@app.command(rich_help_panel="Begin")
def check(
    file: Annotated[Path, typer.Argument(help="An idea file, YAML or JSON; - is stdin.")],
    repo: Annotated[str, typer.Option(help="Check against this repository too.")] = "",
    json: Json = False,
) -> int:
    """Say whether an idea file could be started, and what is wrong with it, line by line."""
    from domain.errors import Refused
    from starter.intake import Wanted, look_over

    taken = look_over(Wanted(file=str(file), repo=repo))
    if taken.problems:
        raise Refused(taken.problems)
    idea = taken.idea
    if json:
        emit({"valid": True, "key": idea.key, "title": idea.spec.title, "digest": idea.spec_digest})
    else:
        show(f"{file} is a valid idea: {idea.spec.title}")
    return Exit.DONE


@app.command(rich_help_panel="Begin")
def start(
    file: Annotated[
        Path | None, typer.Argument(help="An idea file, YAML or JSON; - is stdin.")
    ] = None,
    repo: Annotated[str, typer.Option(help="Path of the repository; default: here.")] = "",
    recipe: Annotated[str, typer.Option(help="Follow a recipe; `slipway recipes` lists.")] = "",
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the recipe.")
    ] = None,
    agent: Annotated[str, typer.Option(help="Let this agent do it, as one task.")] = "",
    goal: Annotated[str, typer.Option(help="What is wanted, in words.")] = "",
    paths: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="What the agent may change.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="COMMAND", help="Must end with 0 afterwards.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the idea.")] = "",
    base: Annotated[str, typer.Option(metavar="BRANCH", help="Default: checked out.")] = "",
    key: Annotated[str, typer.Option(help="Name the idea; default: from title and content.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Run an ended idea once more.")] = False,
    update_base: Annotated[
        bool, typer.Option("--update-base", help="Move the base branch itself, where safe.")
    ] = False,
    repo_config: Annotated[
        str, typer.Option(metavar="FILE", help="A .slipway.yaml for a repository without one.")
    ] = "",
    priority: Annotated[int, typer.Option(min=0, max=4, help="1 is first; default 3.")] = 0,
    wait: Wait = False,
    through: Through = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan it and stop.")] = False,
    json: Json = False,
) -> int:
    """Start an idea: from a file, a recipe, or a goal for an agent.

    Starting the same again is no second run: it says so and ends with 0.
    """
    from starter.intake import Wanted

    wanted = Wanted(
        file=str(file) if file else "", repo=repo, recipe=recipe, params=tuple(param or ()),
        agent=agent, goal=goal, paths=tuple(paths or ()), accept=tuple(accept or ()), title=title,
        key=key, priority=priority, base=base, update_base=update_base, repo_config=repo_config,
        dry_run=dry_run,
    )  # fmt: skip
    follow = wait or through or dry_run
    return _start(wanted, again=again, follow=follow, through=through, json=json)


def _start(wanted: "Wanted", *, again: bool, follow: bool, through: bool, json: bool) -> int:
    from starter.intake import take
    from starter.lookup import ui_url
    from starter.place import settings
    from starter.starting import begin

    idea = take(wanted).idea
    begun = read(lambda chosen, reads: begin(chosen, reads, idea, again=again))
    if follow:
        note(f"{begun.key}: {'started' if begun.started else 'was started before'}")
        return _follow(begun.key, through=through, json=json, started=begun.started)
    page = ui_url(settings(), begun.key)
    if json:
        emit({**begun.model_dump(), "ui_url": page})
        return Exit.DONE
    show(f"{begun.key}: {'started' if begun.started else 'was started before, nothing new runs'}")
    show(
        f"  follow it:   slipway idea watch {begun.key}", f"\n  Temporal UI: {page}" if page else ""
    )
    return Exit.DONE


def _follow(key: str, *, through: bool, json: bool, started: bool | None = None) -> int:
    """Follow an idea; its record and the exit code that stands for where it is."""
    from starter.following import at_end, at_first_wait, follow
    from starter.live import view
    from starter.lookup import exit_code
    from starter.render import board, details

    ends = at_end if through else at_first_wait
    try:
        record = read(lambda chosen, reads: follow(chosen, reads, key, view(), ends))
    except KeyboardInterrupt:
        return _interrupted(key, json=json)
    if json:
        extra: dict[str, Any] = {} if started is None else {"started": started}
        emit({**record.model_dump(mode="json", by_alias=True), **extra})
    elif record.mode == "dry_run" and record.plan:
        from starter.lookup import plan_of
        from starter.render import plan_board

        show(plan_board(read(lambda _, reads: plan_of(reads, key))), details(record))
    else:
        show(board(record), details(record))
    return exit_code(record)


def _interrupted(key: str, *, json: bool) -> int:
    told = f"{key} goes on; `slipway idea watch {key}` comes back to it"
    if json:
        emit(
            {"error": {"code": "interrupted", "message": told, "path": key, "line": 0, "hint": ""}}
        )
    else:
        note(told)
    return Exit.INTERRUPTED


@app.command(rich_help_panel="Look")
def watch(key: Key, json: Json = False) -> int:
    """Follow an idea to its end, through waits; with --json one document per event and line."""
    from starter.following import at_end, follow
    from starter.live import Documents, view
    from starter.lookup import exit_code, full_key
    from starter.render import board, details

    found = read(lambda _, reads: full_key(reads, key))
    shown = Documents() if json else view()
    try:
        record = read(lambda chosen, reads: follow(chosen, reads, found, shown, at_end))
    except KeyboardInterrupt:
        if not json:
            note(f"{found} goes on; `slipway idea watch {found}` comes back to it")
        return Exit.INTERRUPTED
    if not json:
        show(board(record), details(record))
    return exit_code(record)


@app.command("list", rich_help_panel="Look")
def list_(
    active: Annotated[bool, typer.Option("--active", help="Only what has not ended.")] = False,
    state: Annotated[list[str] | None, typer.Option(help="Only these states.")] = None,
    text: Annotated[str, typer.Option(help="Only with this in key or title.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> int:
    """List ideas, newest first."""
    from starter.lookup import ideas

    lines = read(lambda _, reads: ideas(reads, active, tuple(state or ()), text, limit))
    if json:
        emit({"ideas": [line.model_dump(mode="json") for line in lines]})
    else:
        from starter.render import ideas_table

        show(ideas_table(lines))
    return Exit.DONE


@app.command("show", rich_help_panel="Look")
def show_(key: Key, json: Json = False) -> int:
    """Show where an idea is; with --json the whole record (schema slipway.record/1)."""
    record = _record(key)
    if json:
        emit(record)
    else:
        from starter.render import board, details

        show(board(record), details(record))
    return Exit.DONE


@app.command(rich_help_panel="Look")
def explain(key: Key, json: Json = False) -> int:
    """Say why an idea waits, on whom, until when, and when slipway looks again."""
    from starter.place import settings
    from starter.state import running
    from starter.words import explain as explain_record

    chosen = settings()
    record = _record(key)
    now = _now_ms()
    told = explain_record(record, running=running(chosen.home) is not None, now_ms=now)
    if json:
        emit(told)
    else:
        show("\n".join(told.sentences))
    return Exit.DONE


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000


@app.command(rich_help_panel="Look")
def plan(key: Key, json: Json = False) -> int:
    """Show an idea's plan: graph, coverage, risks and reasons."""
    from starter.lookup import plan_of

    found = read(lambda _, reads: plan_of(reads, key))
    if json:
        emit(found)
    else:
        from starter.render import plan_board

        show(plan_board(found))
    return Exit.DONE


@app.command(rich_help_panel="Look")
def evidence(key: Key, json: Json = False) -> int:
    """Show what proves an idea's outcome: gates, approvals, effects with their read-backs."""
    from starter.lookup import evidence_of

    found = read(lambda _, reads: evidence_of(reads, key))
    if json:
        emit(found)
    else:
        from starter.render import evidence_board

        show(evidence_board(found))
    return Exit.DONE


@app.command(rich_help_panel="Look")
def logs(
    key: Key,
    task: Annotated[str, typer.Argument(help="Only of this task.")] = "",
    name: Annotated[str, typer.Option(help="Only `transcript`, or this gate.")] = "",
    json: Json = False,
) -> int:
    """Print agents' transcripts and gates' logs; with --json one document per log and line."""
    from starter.lookup import logs_of

    for log, text in read(lambda _, reads: logs_of(reads, key, task, name)):
        if json:
            emit({**log.model_dump(mode="json"), "text": text})
        else:
            place = f"{log.where} {log.task}".strip()
            show(f"── {place}, attempt {log.attempt}, {log.name} ──")
            print(text)
    return Exit.DONE


add_to(app)
