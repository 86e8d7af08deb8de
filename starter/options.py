"""Arguments and options that many commands share."""

from typing import TYPE_CHECKING, Annotated

import typer

from starter.reading import read

if TYPE_CHECKING:
    from config.settings import Settings
    from starter.reads import Reads

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]


def _keys(incomplete: str) -> list[str]:
    """Complete the key of an idea."""

    async def keys(chosen: "Settings", reads: "Reads") -> list[str]:
        return [line.key for line in await reads.list_ideas(limit=200)]

    return [key for key in read(keys) if key.startswith(incomplete)]


Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="The idea's key, or the beginning of it.", autocompletion=_keys
    ),
]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; goes on record.")]
