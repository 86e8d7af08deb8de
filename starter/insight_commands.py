"""The commands `slipway insight ...`."""

from typing import Annotated

import typer

from starter.codes import Exit
from starter.options import Json
from starter.reading import read
from starter.telling import emit, show

app = typer.Typer(no_args_is_help=True, help="Figures of how ideas reach production.")


@app.callback()
def insight() -> None:
    """Keep the name of the command although there is only one."""


@app.command()
def dora(
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Of so many days until now.")] = 30,
    repo: Annotated[str, typer.Option(help="Only this repository: its path or its id.")] = "",
    env: Annotated[str, typer.Option(help="The environment that counts.")] = "production",
    json: Json = False,
) -> int:
    """Show the DORA figures: how fast and how often changes reach production, how often they fail.

    Computed as Apache DevLake does: whole minutes rounded up, percentiles by rank.
    """
    from starter.insight import dora_of, repository_id

    repository = repository_id(repo)
    figures = read(
        lambda _, reads: dora_of(reads, days=days, repository=repository, environment=env)
    )
    if json:
        emit(figures)
    else:
        from starter.insight_render import dora_board

        show(dora_board(figures))
    return Exit.DONE
