"""The commands `slipway audit ...`."""

from pathlib import Path
from typing import Annotated

import typer

from starter.codes import Exit
from starter.options import Json
from starter.telling import emit, note, show

app = typer.Typer(no_args_is_help=True, help="Verify and export the audit chain.")


@app.command()
def verify(
    head: Annotated[
        str, typer.Option(metavar="SIZE:SHA256", help="An end of the chain noted elsewhere.")
    ] = "",
    json: Json = False,
) -> int:
    """Check that no entry was changed, removed or added; ends with 1 when the chain is broken.

    Without --head the chain is only consistent with itself: `unanchored`.
    """
    import asyncio

    from starter.audit import noted, verify_chain

    report = asyncio.run(verify_chain(noted(head)))
    if json:
        emit(report)
    else:
        redacted = f", {report.redacted} texts redacted" if report.redacted else ""
        show(
            f"{report.status}: {report.size} entries{redacted}, head {report.size}:{report.sha256}"
        )
        for problem in report.problems:
            show(f"  {problem.message}")
    return Exit.OTHER if report.status == "broken" else Exit.DONE


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; default: stdout, one entry per line.")
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="With the free texts, or their digests only.")
    ] = True,
    json: Json = False,
) -> int:
    """Write the audit chain as JSON lines, for keeping elsewhere and for checking offline."""
    import asyncio

    from starter.audit import write_chain

    head = asyncio.run(write_chain(file, texts=texts))
    told = f"{head.size} entries, head {head.size}:{head.sha256}"
    if file is None:
        note(told)
    elif json:
        emit({"file": str(file), **head.model_dump()})
    else:
        show(f"{file}: {told}")
    return Exit.DONE
