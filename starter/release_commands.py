"""The commands `slipway release ...` that look: list, show and plan."""

from pathlib import Path
from typing import Annotated

import typer

from starter import release_quarantine_commands, release_steering_commands
from starter.codes import Exit
from starter.options import Json
from starter.reading import read
from starter.telling import emit, show

app = typer.Typer(no_args_is_help=True, help="See and steer releases that are under way.")

Rollout = Annotated[
    str,
    typer.Argument(
        metavar="ROLLOUT|KEY", help="A rollout, the beginning of it, or the key of an idea."
    ),
]


@app.command("list", rich_help_panel="Look")
def list_(
    target: Annotated[str, typer.Option(help="Only with this in service/environment.")] = "",
    active: Annotated[bool, typer.Option("--active", help="Only what has not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> int:
    """List rollouts, newest first."""
    from domain.rollout_view import RolloutFilter

    wanted = RolloutFilter(target=target, active=active)
    lines = read(lambda _, reads: reads.list_rollouts(wanted, limit))
    if json:
        emit({"rollouts": [line.model_dump(mode="json") for line in lines]})
    else:
        from starter.release_render import rollouts_table

        show(rollouts_table(lines))
    return Exit.DONE


@app.command("show", rich_help_panel="Look")
def show_(rollout: Rollout, json: Json = False) -> int:
    """Show rollouts: steps, traffic over time, verdicts with their evidence, undo and times."""
    from starter.releases import rollouts_of

    records = read(lambda _, reads: rollouts_of(reads, rollout))
    if json:
        emit({"rollouts": [each.model_dump(mode="json", by_alias=True) for each in records]})
    else:
        from starter.release_render import rollout_board

        show(*(rollout_board(each) for each in records))
    return Exit.DONE


@app.command(rich_help_panel="Look")
def plan(
    repo: Annotated[Path, typer.Argument(metavar="REPO", help="A repository.")] = Path(),
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    env: Annotated[str, typer.Option(help="Only this environment.")] = "",
    ref: Annotated[str, typer.Option(help="A branch, tag or commit; default: the base.")] = "",
    rps: Annotated[float, typer.Option(min=0, help="Reckon with so many requests per second.")] = 0,
    base_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Reckon with this share of bad answers, 0 to 1.")
    ] = 0.002,
    json: Json = False,
) -> int:
    """Say what a release would do before anything starts: steps, times, what each can see.

    Traffic is that of the last rollouts of a target, unless --rps says what to reckon with.
    """
    from domain.release_plan import Traffic
    from starter.releases import foresee_all
    from starter.repository import look_at

    repository = look_at(str(repo))
    assumed = Traffic(rps=rps, base_rate=base_rate) if rps else None
    foreseen = read(
        lambda _, reads: foresee_all(
            reads, repository, ref=ref, service=service, environment=env, assumed=assumed
        )
    )
    if json:
        emit(foreseen)
    else:
        from starter.release_render import foreseen_board

        show(foreseen_board(foreseen))
    return Exit.DONE


release_steering_commands.add_to(app)
release_quarantine_commands.add_to(app)
