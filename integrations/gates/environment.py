"""A target environment as a record, and what a checkout gets from it."""

from pathlib import Path
from typing import Literal

from domain.record import Record

SYSTEM_PATH = "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"
MARKER = "environment.json"


class Distribution(Record):
    """The project itself, as its own build described it."""

    info: str  # folder name of its metadata, kept below `project/`
    scripts: dict[str, str] = {}  # console scripts: name -> module:function


class Environment(Record):
    """What was built once for a lock and an interpreter; `folder` is read-only afterwards.

    Beside `folder` lies `project`, what slipway took out of it for each checkout.
    """

    project: Literal["python", "node", "go", "other"]
    digest: str
    folder: str
    python: str = ""  # base interpreter
    python_prefix: str = ""
    python_name: str = ""  # python3.11
    roots: tuple[str, ...] = ()  # folders of a checkout that modules are loaded from
    packages: tuple[str, ...] = ()  # modules that must come from the checkout
    distributions: tuple[Distribution, ...] = ()
    tools: tuple[str, ...] = ()  # of pytest, mypy, ruff, flake8: what is installed
    products: bool = False  # files that set-up left in the tree are laid into each checkout
    notes: tuple[str, ...] = ()
    seconds: float = 0

    @property
    def kept(self) -> Path:
        """What a checkout gets besides its own files: metadata, generated files."""
        return Path(self.folder).parent / "project"

    @property
    def site(self) -> Path:
        """Where the dependencies of a Python project are."""
        return Path(self.folder, "venv", "lib", self.python_name, "site-packages")


class Room(Record):
    """One side's checkout: `tree` is the working folder, the rest lies beside it.

    A command may write all of `folder`; its output is kept outside.
    """

    folder: str

    @property
    def path(self) -> Path:
        return Path(self.folder)

    @property
    def tree(self) -> Path:
        return self.path / "tree"

    @property
    def output(self) -> Path:
        return self.path.parent / "output"

    @property
    def report(self) -> Path:
        return self.path / "reports" / "report"

    @property
    def venv(self) -> Path:
        return self.path / "venv"


class Entered(Record):
    """What a command in a room needs: environment variables and readable folders."""

    env: dict[str, str]
    readable: tuple[str, ...] = ()
