"""The demo's repository: the sample service as a bare repository with one tagged commit."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SAMPLE = Path(__file__).with_name("sample")
_DATE = "2026-03-02T09:00:00Z"
_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Parcels",
    "GIT_AUTHOR_EMAIL": "parcels@localhost",
    "GIT_COMMITTER_NAME": "Parcels",
    "GIT_COMMITTER_EMAIL": "parcels@localhost",
    "GIT_AUTHOR_DATE": _DATE,
    "GIT_COMMITTER_DATE": _DATE,
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.devnull,
}


def make_repository(folder: Path) -> Path:
    """Return a new bare repository below `folder`; every demo gets its own."""
    number = 1
    while (place := folder / str(number)).exists():
        number += 1
    place.mkdir(parents=True)
    bare = place / "parcels.git"
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "parcels"
        shutil.copytree(SAMPLE, tree, ignore=shutil.ignore_patterns("__pycache__"))
        _git(tree, "init", "--quiet", "--initial-branch=main")
        _git(tree, "add", "--all")
        _git(tree, "commit", "--quiet", "--message=Price parcels by weight")
        _git(tree, "tag", "--annotate", "--message=1.2.0", "v1.2.0")
        _git(tree, "clone", "--quiet", "--bare", str(tree), str(bare))
        _git(bare, "remote", "remove", "origin")
    return bare


def log_of(bare: Path) -> str:
    """Return the history of the repository, one line per commit, with tags."""
    return _git(bare, "log", "--graph", "--oneline", "--decorate").rstrip()


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=_ENV, check=True, capture_output=True, text=True
    )
    return done.stdout
