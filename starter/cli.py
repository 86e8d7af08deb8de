"""The command line `slipway`, assembled; commands import what they need when they run."""

from typing import Annotated

import typer

from starter.audit_commands import app as audit
from starter.idea_commands import app as idea
from starter.insight_commands import app as insight
from starter.judge_command import judge
from starter.policy_commands import app as policy
from starter.policy_commands import recipes
from starter.release_commands import app as release
from starter.service_commands import add_to
from starter.service_config_commands import app as service

app = typer.Typer(
    name="slipway",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Takes an idea and carries it to a merged, tagged change, durable on Temporal.",
    epilog=(
        "Exit codes: 0 completed, 2 invalid input, 3 ended otherwise, 4 waits for a person or "
        "input, 5 server or database not reachable, 130 interrupted (the idea keeps running), "
        "1 anything else."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"slipway {version('slipway')}")
        raise typer.Exit


@app.callback()
def slipway(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.add_typer(idea, name="idea", rich_help_panel="Ideas")
app.command("recipes", rich_help_panel="Ideas")(recipes)
app.add_typer(release, name="release", rich_help_panel="Releases")
app.add_typer(service, name="service", rich_help_panel="Releases")
app.add_typer(insight, name="insight", rich_help_panel="Releases")
app.command("judge", rich_help_panel="Releases")(judge)
app.add_typer(policy, name="policy", rich_help_panel="Rules and records")
app.add_typer(audit, name="audit", rich_help_panel="Rules and records")
add_to(app)
