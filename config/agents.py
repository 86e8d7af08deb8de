"""The agents that the operator declared, and those that are shipped."""

from pathlib import Path

from config.files import load_yaml
from domain.agent import Backend
from domain.errors import Problem, Refused

SHIPPED = Path(__file__).parent / "agents"


def load_backends(operator: Path) -> tuple[Backend, ...]:
    """Return the shipped backends and those of `operator`/agents/NAME.yaml, sorted by name.

    The operator's replaces a shipped one of the same name, but for `builtin`. A word of `argv`
    that begins with `./` is a file in the folder of the declaration. Raises `Refused`.
    """
    found: dict[str, Backend] = {}
    for folder in (SHIPPED, operator / "agents"):
        for path in sorted(folder.glob("*.yaml")):
            backend = load_yaml(path, Backend)
            _check(backend, path, shipped=folder == SHIPPED)
            found[backend.name] = backend.but(argv=_beside(backend.argv, path.parent))
    return tuple(found[name] for name in sorted(found))


def _beside(argv: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Return the words with `./NAME` as the file NAME that lies beside the declaration."""
    here = folder.resolve()
    return tuple(str(here / word[2:]) if word.startswith("./") else word for word in argv)


def _check(backend: Backend, path: Path, *, shipped: bool) -> None:
    if backend.name != path.stem:
        _refuse(path, f"the backend {backend.name!r} must stand in {backend.name}.yaml")
    if backend.kind == "builtin" and not shipped:
        _refuse(path, "only the shipped backend is of kind builtin")
    if backend.name == "builtin" and not shipped:
        _refuse(path, "the name builtin is taken")


def _refuse(path: Path, message: str) -> None:
    raise Refused((Problem(code="bad_backend", message=message, path=str(path)),))
