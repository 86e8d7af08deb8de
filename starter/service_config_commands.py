"""The command `slipway service check`."""

from pathlib import Path
from typing import Annotated

import typer

from starter.codes import Exit
from starter.hosted_commands import app as app
from starter.options import Json
from starter.telling import emit, show


@app.command()
def check(
    place: Annotated[
        Path, typer.Argument(metavar="FILE|REPO", help="A .slipway.yaml, or a repository.")
    ] = Path(),
    json: Json = False,
) -> int:
    """Check declared services line by line, and show where each would go, in which steps."""
    from starter.releases import check_services

    checked = check_services(place)
    if json:
        emit(checked)
    else:
        from starter.release_render import checked_table

        show(f"{checked.file}: services hold", checked_table(checked))
    return Exit.DONE
