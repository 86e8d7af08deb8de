"""Commands around the service itself: up, down, doctor, init, demo, completion."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from starter.codes import Exit
from starter.options import Json
from starter.telling import emit, note, show

if TYPE_CHECKING:
    from starter.state import UpState


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (up, down, doctor, init, demo, completion):
        app.command(rich_help_panel="This machine")(command)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it is ready; stop it with `down`.")
    ] = False,
    json: Json = False,
) -> int:
    """Start the Temporal server and the workers, and keep them alive.

    A Temporal server that TEMPORAL_ADDRESS or temporal.toml names is used instead of our own.
    """
    from starter.background import run_up, start_up
    from starter.place import settings

    def announce(state: "UpState") -> None:
        _tell_state(state, as_json=json, started=True)
        note("Ctrl-C stops it.")

    begin = start_up if detach else lambda chosen, tell: run_up(chosen, tell, announce)
    started = begin(settings(), note)
    if started.state:
        _tell_state(started.state, as_json=json, started=started.started)
    return Exit.DONE


def _tell_state(state: "UpState", *, as_json: bool, started: bool) -> None:
    if as_json:
        emit({"started": started, **state.model_dump()})
        return
    from starter.render import up_table

    show("slipway is up" if started else "slipway is already running", up_table(state))


def down(
    services: Annotated[
        bool, typer.Option("--services", help="End deployed services too, and their proxy.")
    ] = False,
    json: Json = False,
) -> int:
    """Stop what `slipway up` runs; ideas go on where they were at the next `up`.

    Services that were deployed go on and stay reachable, unless --services ends them.
    """
    from starter.background import end_up
    from starter.hosted import leave_or_end
    from starter.place import settings

    chosen = settings()
    ended = end_up(chosen)
    left = leave_or_end(chosen.home, end=services)
    if json:
        emit({"stopped": ended is not None, "pid": ended.pid if ended else None,
              "services": left.model_dump()})  # fmt: skip
    else:
        show("slipway is stopped" if ended else "slipway was not running", *left.lines())
    return Exit.DONE


def doctor(json: Json = False) -> int:
    """Check everything that slipway needs here, and say what to do about each lack."""
    from starter.doctor import examine
    from starter.place import settings

    report = examine(settings())
    if json:
        emit(report)
    else:
        from starter.render import doctor_table

        show(doctor_table(report))
    return Exit.DONE if report.healthy else Exit.OTHER


def init(json: Json = False) -> int:
    """Register namespace and search attributes on a Temporal server that is not ours."""
    from starter.init import register

    registered = register()
    if json:
        emit(registered)
    else:
        added = ", ".join(registered.added) or "nothing was missing"
        namespace = f"namespace {registered.namespace}{' (new)' if registered.created else ''}"
        show(f"{registered.address}, {namespace}: {added}")
    return Exit.DONE


def demo(json: Json = False) -> int:
    """Bring three ideas to a sample service under load; one hurts, is undone, mends itself."""
    from starter.demo.story import run

    return run(as_json=json)


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell to complete.")],
) -> int:
    """Print the completion script of a shell, for example: `eval "$(slipway completion bash)"`."""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(
        prog_name="slipway", complete_var="_SLIPWAY_COMPLETE", shell=shell
    )
    print(script)
    return Exit.DONE
