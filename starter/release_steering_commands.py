"""The commands `slipway release ...` that follow a rollout or send it a message."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.codes import Exit
from starter.options import Json, Reason
from starter.reading import read, run
from starter.telling import emit, note, show

if TYPE_CHECKING:
    from config.settings import Settings
    from domain.delivery import Steer
    from domain.rollout import Undo
    from starter.reads import Reads
    from starter.release_client import Verb
    from starter.release_direct import Direct
    from starter.release_steering import Planned, Steered


def add_to(app: typer.Typer) -> None:
    """Add these commands to `slipway release`."""
    looking: tuple[Callable[..., int], ...] = (watch, report)
    steering: tuple[Callable[..., int], ...] = (promote, hold, rollback, retry)
    for panel, commands in (("Look", looking), ("Steer", steering)):
        for command in commands:
            app.command(rich_help_panel=panel)(command)


def _targets(incomplete: str) -> list[str]:
    """Complete a target or the key of an idea."""
    from starter.release_lookup import targets_of

    async def known(chosen: "Settings", reads: "Reads") -> tuple[str, ...]:
        return await targets_of(reads)

    return [name for name in read(known) if name.startswith(incomplete)]


_WHAT = "Service, service/environment, target, idea or rollout, or the beginning of it."
Target = Annotated[
    str, typer.Argument(metavar="TARGET|KEY|ROLLOUT", help=_WHAT, autocompletion=_targets)
]
AnyTarget = Annotated[
    str,
    typer.Argument(
        metavar="TARGET|KEY|ROLLOUT",
        help=f"{_WHAT} Default: the one that is open, else the newest.",
        autocompletion=_targets,
    ),
]


def watch(target: AnyTarget = "", json: Json = False) -> int:
    """Follow a rollout to its end; with --json one document per event, tick and line."""
    from starter.release_live import Documents, view
    from starter.release_lookup import meant
    from starter.release_watch import exit_code, follow

    line = read(lambda _, reads: meant(reads, target))
    shown = Documents() if json else view()
    try:
        record = read(lambda chosen, reads: follow(chosen, reads, line.rollout, shown))
    except KeyboardInterrupt:
        if not json:
            again = f"slipway release watch {line.rollout}"
            note(f"the rollout goes on; `{again}` comes back to it")
        return Exit.INTERRUPTED
    if not json:
        from starter.release_render import rollout_board

        show(rollout_board(record))
    return exit_code(record)


def report(
    target: AnyTarget = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here; default: in the home.")
    ] = None,
    json: Json = False,
) -> int:
    """Write what happened in a rollout as one HTML page, with plots, that needs nothing else."""
    from starter.place import settings
    from starter.release_report import write_report

    written = run(write_report(settings(), target, output))
    if json:
        emit(written)
    else:
        show(written.file)
    return Exit.DONE


def promote(target: Target, reason: Reason = "", json: Json = False) -> int:
    """Let a rollout go on to its next step now; one that fails is undone all the same."""
    return _steer(target, "promote_rollout", reason, json=json)


def hold(target: Target, reason: Reason = "", json: Json = False) -> int:
    """Let a rollout stand where it is, watched; `promote` lets it go on."""
    return _steer(target, "hold_rollout", reason, json=json)


def retry(target: Target, reason: Reason = "", json: Json = False) -> int:
    """Let the idea of a held or failed rollout try again."""
    from starter.place import settings
    from starter.release_steering import retry as send

    return _tell(run(send(settings(), target, _message(reason))), json=json)


def rollback(
    target: Target,
    to: Annotated[
        str, typer.Option("--to", metavar="VERSION", help="A tag or commit that passed there.")
    ] = "",
    reason: Reason = "",
    direct: Annotated[
        bool,
        typer.Option("--direct", help="Move the traffic here, at the edge; Temporal may be down."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the undo is proven or given up.")
    ] = False,
    json: Json = False,
) -> int:
    """Undo a release: all traffic goes to the one before, or to another that has passed.

    Its merges are barred from release until a fix or a revert is recorded.
    """
    from starter.release_steering import plan_undo

    message = _message(reason)
    planned = read(lambda _, reads: plan_undo(reads, target, to, message))
    if dry_run:
        return _foresee(planned, direct=direct, json=json)
    if direct:
        return _undo_directly(planned, message, json=json)
    return _undo(planned, message, wait=wait, json=json)


def _foresee(planned: "Planned", *, direct: bool, json: bool) -> int:
    if json:
        emit({**planned.model_dump(mode="json", exclude={"start"}), "dry_run": True})
        return Exit.DONE
    from starter.release_undo_words import foreseen

    show(*foreseen(planned, direct=direct))
    return Exit.DONE


def _undo(planned: "Planned", message: "Steer", *, wait: bool, json: bool) -> int:
    told = _ordered(planned, message)
    if not wait:
        _tell(told, json=json)
        note(f"`slipway release watch {told.rollout}` follows it")
        return Exit.DONE
    note(told.message)
    undo = _until_undone(told)
    if json:
        emit({**told.model_dump(mode="json"), "undo": undo and undo.model_dump(mode="json")})
    else:
        from starter.release_undo_words import proven

        show(*proven(planned, undo))
    return Exit.ENDED if undo and not undo.verified else Exit.DONE


def _ordered(planned: "Planned", message: "Steer") -> "Steered":
    from domain.errors import Unavailable
    from starter.place import settings
    from starter.release_steering import roll_back

    try:
        return run(roll_back(settings(), planned, message))
    except Unavailable as error:
        told = error.problem
        raise Unavailable(
            told.message,
            code=told.code,
            path=planned.target,
            hint=f"{told.hint} Or, without Temporal: `slipway release rollback "
            f"{planned.target} --direct`.".strip(),
        ) from error


def _until_undone(told: "Steered") -> "Undo | None":
    from starter.place import settings
    from starter.release_live import view
    from starter.release_steering import until_undone
    from starter.release_watch import follow

    if told.alone:
        return run(until_undone(settings(), told.target))
    shown = view()
    return read(lambda chosen, reads: follow(chosen, reads, told.rollout, shown)).undo


def _undo_directly(planned: "Planned", message: "Steer", *, json: bool) -> int:
    from starter.place import settings
    from starter.release_direct import roll_back_directly

    done: Direct = run(roll_back_directly(settings(), planned, message, note))
    if json:
        emit(done)
    else:
        from starter.release_undo_words import done_directly

        show(*done_directly(done))
    return Exit.DONE


def _steer(target: str, verb: "Verb", reason: str, *, json: bool) -> int:
    from starter.place import settings
    from starter.release_steering import steer

    return _tell(run(steer(settings(), target, verb, _message(reason))), json=json)


def _message(reason: str) -> "Steer":
    from domain.delivery import Steer
    from starter.place import person

    return Steer(actor=person(), reason=reason)


def _tell(told: "Steered", *, json: bool) -> int:
    if json:
        emit(told)
    else:
        show(f"{told.target}: {told.message}")
    return Exit.DONE
