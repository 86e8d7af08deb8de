"""The commands `slipway idea ...` that send a message: answer, revise, approve, steer."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starter.codes import Exit
from starter.options import Json, Key, Reason
from starter.reading import run
from starter.telling import emit, show

if TYPE_CHECKING:
    from config.settings import Settings
    from starter.client import Verb


def add_to(app: typer.Typer) -> None:
    """Add these commands to `slipway idea`."""
    answering: tuple[Callable[..., int], ...] = (answer, revise, approve, deny)
    steering: tuple[Callable[..., int], ...] = (pause, resume, cancel, retry, skip)
    for panel, commands in (("Answer", answering), ("Steer", steering)):
        for command in commands:
            app.command(rich_help_panel=panel)(command)


def answer(
    key: Key,
    question: Annotated[str, typer.Argument(help="Id of the question; `explain` shows it.")],
    text: Annotated[str, typer.Argument(help="The answer; default: read from stdin.")] = "",
    json: Json = False,
) -> int:
    """Answer what the planner or an agent asked."""
    import sys

    from starter.steering import answer as send

    said = text or sys.stdin.read().strip()
    return _tell(lambda chosen: send(chosen, key, question, said), json=json)


def revise(
    key: Key,
    file: Annotated[Path, typer.Argument(help="The new specification.")],
    reason: Reason = "",
    json: Json = False,
) -> int:
    """Give an idea that waits for refinement a new specification."""
    from starter.steering import revise as send

    return _tell(lambda chosen: send(chosen, key, str(file), reason), json=json)


Approval = Annotated[str, typer.Argument(help="Which approval; default: the only open one.")]


def approve(key: Key, approval: Approval = "", reason: Reason = "", json: Json = False) -> int:
    """Approve what policy asks for."""
    return _vote(key, approval, "approve", reason, json=json)


def deny(key: Key, approval: Approval = "", reason: Reason = "", json: Json = False) -> int:
    """Deny what policy asks for; the round ends."""
    return _vote(key, approval, "deny", reason, json=json)


def _vote(key: str, approval: str, decision: str, reason: str, *, json: bool) -> int:
    from starter.place import settings
    from starter.steering import vote

    voted = run(vote(settings(), key, approval, decision, reason))
    if json:
        emit({"key": voted.key, **voted.answered.model_dump(mode="json")})
    else:
        show(voted.question.text)
        show(f"{voted.answered.approval} is {voted.answered.state}: {voted.answered.message}")
    return Exit.DONE


def pause(key: Key, reason: Reason = "", json: Json = False) -> int:
    """Stop an idea before its next step."""
    return _steer(key, "pause", reason, json=json)


def resume(key: Key, reason: Reason = "", json: Json = False) -> int:
    """Let a paused idea go on."""
    return _steer(key, "resume", reason, json=json)


def cancel(
    key: Key,
    drain: Annotated[bool, typer.Option("--drain", help="Let running tasks finish.")] = False,
    reason: Reason = "",
    json: Json = False,
) -> int:
    """End an idea: everything stops, workspaces and branches are removed."""
    return _steer(key, "cancel_idea", reason, mode="drain" if drain else "now", json=json)


def retry(
    key: Key,
    task: Annotated[str, typer.Argument(help="The failed task; none: an expired question.")] = "",
    reason: Reason = "",
    json: Json = False,
) -> int:
    """Let a failed task start again, or ask an expired question again."""
    return _steer(key, "retry_task", reason, task=task, json=json)


def skip(
    key: Key,
    task: Annotated[str, typer.Argument(help="The failed task.")],
    reason: Reason = "",
    json: Json = False,
) -> int:
    """Give up a failed task and all that need it."""
    return _steer(key, "skip_task", reason, task=task, json=json)


def _steer(
    key: str, verb: "Verb", reason: str, *, json: bool, task: str = "", mode: str = "now"
) -> int:
    from domain.delivery import Steer
    from starter.place import person
    from starter.steering import steer

    message = Steer.model_validate(
        {"actor": person(), "reason": reason, "task": task, "mode": mode}
    )
    return _tell(lambda chosen: steer(chosen, key, verb, message), json=json)


def _tell(send: Callable[["Settings"], Any], *, json: bool) -> int:
    from starter.place import settings

    told = run(send(settings()))
    if json:
        emit(told)
    else:
        show(f"{told.key}: {told.message}")
    return Exit.DONE
