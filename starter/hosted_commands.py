"""The commands `slipway service ...`: what is deployed, and what is declared of it."""

from typing import Annotated

import typer

from starter.codes import Exit
from starter.options import Json
from starter.telling import emit, note, show

app = typer.Typer(no_args_is_help=True, help="Check what is declared, look after what is deployed.")

Which = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE", help="A target or an instance, or the beginning or a part of its name."
    ),
]


@app.command()
def status(
    which: Which = "",
    json: Json = False,
) -> int:
    """Show what runs here, which share of its traffic each instance gets, and how it is."""
    from starter.place import settings
    from starter.running_services import look

    seen = look(settings().home, which)
    if json:
        emit(seen)
    else:
        from starter.hosted_render import services_table

        show(services_table(seen))
    return Exit.DONE


@app.command()
def logs(
    which: Which,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many old lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on; Ctrl-C ends it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document per line.")] = False,
) -> int:
    """Print what instances wrote, and what happened to them."""
    from starter.place import settings
    from starter.service_logs import read_logs

    for line in read_logs(settings().home, which, lines, follow=follow):
        if json:
            emit(line)
        else:
            print(f"{line.instance}  {line.text}" if line.several else line.text, flush=follow)
    return Exit.DONE


@app.command()
def restart(
    which: Which,
    json: Json = False,
) -> int:
    """Restart instances one after the other, each when the one before is ready again.

    What an instance is answering is let end first. With one instance alone, requests that come
    before it is ready again are refused.
    """
    from starter.place import settings
    from starter.running_services import restart_all

    ended = restart_all(settings().home, which, note)
    well = all(each.state == "ready" for each in ended)
    if json:
        emit({"restarted": [each.model_dump() for each in ended]})
    else:
        for each in ended:
            show(f"{each.instance} is {each.state}{f': {each.reason}' if each.reason else ''}")
    return Exit.DONE if well else Exit.OTHER


@app.command()
def forget(
    which: Which,
    json: Json = False,
) -> int:
    """End a service for good: instances stop, its port is free, and `up` starts it no more.

    What is on record stays; the next release of it starts it again.
    """
    from starter.place import settings
    from starter.running_services import forget_all

    target = forget_all(settings().home, which, note)
    if json:
        emit({"forgotten": target})
    else:
        show(f"{target} is stopped and forgotten")
    return Exit.DONE
