"""The commands `slipway release barred` and `slipway release mended`."""

from enum import StrEnum
from typing import Annotated

import typer

from starter.codes import Exit
from starter.options import Json, Reason
from starter.reading import run
from starter.telling import emit, note, show


class Kind(StrEnum):
    FIX = "fix"
    REVERT = "revert"
    FLAG_OFF = "flag_off"


Repo = Annotated[str, typer.Option("--repo", help="The repository; default: this folder.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to `slipway release`."""
    app.command(rich_help_panel="Look")(barred)
    app.command(rich_help_panel="Steer")(mended)


def barred(repo: Repo = ".", json: Json = False) -> int:
    """List merges that were undone: nothing that holds one is released before it is mended."""
    from starter import release_quarantine
    from starter.place import settings

    items = run(release_quarantine.barred(settings(), repo))
    if json:
        emit({"barred": [item.model_dump(mode="json") for item in items]})
    else:
        from starter.release_render import barred_table

        show(barred_table(items))
    return Exit.DONE


def mended(
    merge: Annotated[str, typer.Argument(metavar="MERGE", help="The undone commit.")],
    by: Annotated[str, typer.Option("--by", metavar="COMMIT", help="The commit that mends it.")],
    kind: Annotated[Kind, typer.Option(help="What it is.")] = Kind.FIX,
    repo: Repo = ".",
    reason: Reason = "",
    json: Json = False,
) -> int:
    """Say which commit mends an undone merge; ideas that mend themselves need no word."""
    from domain.delivery import Steer
    from starter import release_quarantine
    from starter.place import person, settings

    message = Steer(actor=person(), reason=reason)
    work = release_quarantine.mend(settings(), repo, merge, by, kind.value, message)
    item = run(work)
    if json:
        emit(item.model_dump(mode="json"))
    else:
        note(f"{item.cure[:12]} mends {item.sha[:12]}; what holds both may be released")
    return Exit.DONE
