"""Taking an idea in: from a file or from options to a record that can be started."""

import sys
import time
from pathlib import Path

from config.document import Document, Value
from config.files import read, read_bytes
from config.shape import fit
from domain.errors import Problem, Rejected
from domain.idea import (
    Idea,
    IdeaSpec,
    Initiator,
    Mode,
    Source,
    Trust,
    idea_key,
    refusals,
    spec_digest,
)
from domain.record import Record
from domain.repository import Repository
from starter.place import person, settings
from starter.recipes import completed
from starter.repository import resolve


class Wanted(Record):
    """What a person asked for on the command line; empty means not given."""

    file: str = ""
    repo: str = ""
    recipe: str = ""
    params: tuple[str, ...] = ()
    agent: str = ""
    goal: str = ""
    paths: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    title: str = ""
    key: str = ""
    priority: int = 0
    base: str = ""
    update_base: bool = False
    repo_config: str = ""
    dry_run: bool = False


class Taken(Record):
    """An idea ready to start, and what would refuse it at Validating."""

    idea: Idea
    problems: tuple[Problem, ...]


def take(wanted: Wanted) -> Taken:
    """Read and check what is wanted.

    Raises `Refused` when the document cannot be read as an idea, `Rejected` when the options
    contradict each other or there is no such repository. What only Validating refuses is
    returned as problems.
    """
    document, name = _document(wanted)
    spec = fit(document, IdeaSpec, name)
    return _taken(wanted, document, spec, _repository(wanted, spec))


def _taken(wanted: Wanted, document: Document, spec: IdeaSpec, repository: Repository) -> Taken:
    written = document.value
    assert isinstance(written, dict)  # `fit` has refused all else
    idea = Idea(
        key=idea_key(written, repository.id),
        spec_digest=spec_digest(written),
        spec=completed(settings().operator, spec),
        repository=repository,
        initiator=Initiator(kind="human", id=person(), trust=Trust.OWNER),
        source=Source(channel="cli", received_at_ms=time.time_ns() // 1_000_000),
        mode=Mode.DRY_RUN if wanted.dry_run else spec.mode,
    )
    return Taken(idea=idea, problems=refusals(idea))


def look_over(wanted: Wanted) -> Taken:
    """Check a file like `take`; where no repository is named, none is needed."""
    document, name = _document(wanted)
    spec = fit(document, IdeaSpec, name)
    try:
        repository = _repository(wanted, spec)
    except Rejected:
        if wanted.repo:
            raise
        repository = Repository(id="none", name="none", location="", base="")
    return _taken(wanted, document, spec, repository)


def _document(wanted: Wanted) -> tuple[Document, str]:
    """Return the specification as written, and what to call it in messages."""
    if wanted.file:
        _refuse_both(wanted)
        name = "stdin" if wanted.file == "-" else wanted.file
        text = sys.stdin.buffer.read() if wanted.file == "-" else read_bytes(Path(wanted.file))
        document = read(text, name)
        if isinstance(document.value, dict):
            document.value |= _given(wanted)
        return document, name
    return Document(value={**_composed(wanted), **_given(wanted)}), "the options"


def _refuse_both(wanted: Wanted) -> None:
    given = [n for n in ("recipe", "agent", "goal", "params", "paths", "accept")
             if getattr(wanted, n)]  # fmt: skip
    if given:
        option = {"params": "param"}.get(given[0], given[0])
        raise Rejected(
            f"--{option} and a file both say what to do",
            code="ambiguous_work",
            path=option,
            hint=f"Write it into {wanted.file}, or leave the file out.",
        )


def _given(wanted: Wanted) -> dict[str, Value]:
    """Return what an option says about any idea."""
    said: dict[str, Value] = {"title": wanted.title, "key": wanted.key, "priority": wanted.priority}
    return {name: value for name, value in said.items() if value}


def _composed(wanted: Wanted) -> dict[str, Value]:
    """Return the specification that the options amount to."""
    if wanted.recipe:
        return {
            "schema": "slipway.idea/1",
            "title": f"Recipe {wanted.recipe}",
            "recipe": {"name": wanted.recipe, "params": _params(wanted.params)},
        }
    if not wanted.goal:
        raise Rejected(
            "Nothing says what is wanted: no file, no --recipe, no --goal",
            code="no_work",
            hint="For example: slipway idea start --repo . --recipe modernise-python",
        )
    told = wanted.goal.strip().splitlines()[0] if wanted.goal.strip() else "an idea"
    composed: dict[str, Value] = {
        "schema": "slipway.idea/1",
        "title": told[:120],
        "goal": wanted.goal,
        "acceptance": _accepted(wanted.accept),
    }
    if wanted.agent:
        composed["agent"] = wanted.agent
    if wanted.paths:
        composed["scope"] = {"in": list(wanted.paths)}
    return composed


def _accepted(commands: tuple[str, ...]) -> list[Value]:
    """Return the acceptance: the commands, or that the repository's own tests stay green."""
    if not commands:
        own = "the repository's own tests pass as they did before"
        return [{"id": "A1", "kind": "test", "then": own, "verified_by": "tests"}]
    return [
        {"id": f"A{number}", "kind": "command", "command": command}
        for number, command in enumerate(commands, 1)
    ]


def _params(pairs: tuple[str, ...]) -> dict[str, Value]:
    """Read k=v pairs; a name that comes twice makes a list."""
    found: dict[str, Value] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Rejected(
                f"--param {pair} is not NAME=VALUE",
                code="bad_param",
                path="param",
                hint="For example: --param old=calc --param new=price",
            )
        before = found.get(name)
        if isinstance(before, list):
            before.append(value)
        else:
            found[name] = value if before is None else [before, value]
    return found


def _repository(wanted: Wanted, spec: IdeaSpec) -> Repository:
    named = spec.repos[0] if spec.repos else None
    return resolve(
        wanted.repo or (named.url if named else "."),
        base=wanted.base or (named.base if named else ""),
        update_base=wanted.update_base,
        config_file=_text_of(wanted.repo_config),
    )


def _text_of(path: str) -> str:
    """Return the text of --repo-config; it is read strictly where it is used."""
    if not path:
        return ""
    text = read_bytes(Path(path))
    read(text, path)
    return text.decode("utf-8-sig")
