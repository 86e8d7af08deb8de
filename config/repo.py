"""Reader of a repository's own `.slipway.yaml`."""

from config.document import Document, place_of, spell
from config.files import read
from config.shape import SHOWN, fit
from domain.errors import Problem, Refused
from domain.repo_config import RepoConfig
from domain.service_check import Flaw, flaws


def read_repo_config(text: str, name: str) -> RepoConfig:
    """Read the file as a record; raises `Refused` with line, field and reason."""
    document = read(text, name)
    config = fit(document, RepoConfig, name)
    found = [_problem(flaw, document, name) for flaw in flaws(config.services)]
    if found:
        raise Refused(tuple(sorted(found, key=lambda problem: problem.line)[:SHOWN]))
    return config


def _problem(flaw: Flaw, document: Document, name: str) -> Problem:
    place = ("services", *flaw.path)
    line = document.line(place)
    message = f"{place_of(name, line)}: `{spell(place)}` {flaw.text}"
    return Problem(code=flaw.code, message=message, path=spell(place), line=line, hint=flaw.hint)
