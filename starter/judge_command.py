"""The command `slipway judge`: the judge of rollouts on counts from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.codes import Exit
from starter.options import Json
from starter.telling import emit, show

if TYPE_CHECKING:
    from domain.verdict import Verdict


def judge(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with a header, or JSON (a list of the same): time, control_total, "
            "control_bad, canary_total, canary_bad [, control_slow, canary_slow, weight]. A row "
            "has what happened since the row before."
        ),
    ],
    alpha: Annotated[
        float, typer.Option(min=1e-9, max=0.49, help="Chance of a false alarm, all in all.")
    ] = 0.01,
    tolerance: Annotated[
        float, typer.Option(min=0, max=10, help="How much worse the bad share may be: 0.25 = 25 %.")
    ] = 0.25,
    min_requests: Annotated[
        int, typer.Option(min=1, help="Answers of the new release that a pass needs.")
    ] = 50,
    json: Json = False,
) -> int:
    """Judge a new release beside the stable one from a file of counts.

    Ends with 0 for pass, 3 for fail, 4 where nothing can be said.
    """
    from starter.judging import judge_file

    verdict = judge_file(file, alpha=alpha, tolerance=tolerance, min_requests=min_requests)
    if json:
        emit(verdict)
    else:
        from starter.release_render import verdict_board

        show(verdict_board(verdict))
    return _code(verdict)


def _code(verdict: "Verdict") -> int:
    return {"pass": Exit.DONE, "fail": Exit.ENDED}.get(verdict.verdict, Exit.WAITS)
