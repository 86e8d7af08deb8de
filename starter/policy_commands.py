"""The commands `slipway policy ...` and `slipway recipes`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.codes import Exit
from starter.options import Json
from starter.telling import emit, show

if TYPE_CHECKING:
    from domain.record_view import DecisionView

app = typer.Typer(no_args_is_help=True, help="Check, test and explain what needs a person.")

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A policy file; default: the one in force.")
]


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="A policy file; default: the one in force.")
    ] = None,
    json: Json = False,
) -> int:
    """Say whether a policy file holds, and what is wrong with it, line by line."""
    from starter.policy import check_file

    checked = check_file(file)
    if json:
        emit(checked)
    else:
        show(f"{checked.file}: {checked.rules} rules, sha256 {checked.sha256[:16]}")
    return Exit.DONE


@app.command("test")
def try_(
    cases: Annotated[Path, typer.Argument(help="Cases: facts, and what must come out.")],
    policy: PolicyFile = None,
    json: Json = False,
) -> int:
    """Try a policy on cases; ends with 1 when one comes out otherwise."""
    from starter.policy import try_cases

    results = try_cases(cases, policy)
    failed = [result for result in results if not result.passed]
    if json:
        emit({"passed": not failed, "cases": [result.model_dump() for result in results]})
    else:
        for result in results:
            show(f"{'✔' if result.passed else '✘'} {result.name}: {result.message}")
        show(f"{len(results) - len(failed)} of {len(results)} cases came out as expected")
    return Exit.OTHER if failed else Exit.DONE


@app.command()
def explain(
    key: Annotated[str, typer.Argument(help="What was decided for this idea.")] = "",
    fact: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Decide about these facts instead."),
    ] = None,
    policy: PolicyFile = None,
    json: Json = False,
) -> int:
    """Say which rules spoke for an idea, or would speak for facts like phase=merge."""
    from starter.policy import decide_facts, decisions_of

    if fact or not key:
        decision = decide_facts(tuple(fact or ()), policy)
        decisions: tuple[DecisionView, ...] = (decision,)
    else:
        decisions = decisions_of(key)
    if json:
        emit({"decisions": [decision.model_dump(mode="json") for decision in decisions]})
        return Exit.DONE
    for decision in decisions:
        rules = ", ".join(decision.rules) or "no rule"
        show(f"{decision.phase}: {decision.outcome} by {rules}")
        if decision.reason:
            show(f"  {decision.reason}")
    return Exit.DONE


def recipes(
    name: Annotated[str, typer.Argument(help="Show this recipe with its parameters.")] = "",
    json: Json = False,
) -> int:
    """List the recipes that need no model, or show one of them."""
    from starter.place import settings
    from starter.recipes import listed, one

    operator = settings().operator
    if name:
        recipe = one(operator, name)
        if json:
            emit(recipe)
        else:
            from starter.recipes import recipe_board

            show(recipe_board(recipe))
        return Exit.DONE
    found = listed(operator)
    if json:
        emit({"recipes": [recipe.model_dump(mode="json", by_alias=True) for recipe in found]})
    else:
        from starter.recipes import recipes_table

        show(recipes_table(found))
    return Exit.DONE
