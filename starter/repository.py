"""Which repository an idea is about: read with plain git, hardened, before anything starts."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from domain.errors import Misconfigured, Rejected
from domain.repository import Repository

# A foreign repository's settings must not run anything while we only look at it.
_HARDENED = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat",
    "-c", "protocol.allow=never", "-c", "credential.helper=",
)  # fmt: skip
_SECONDS = 20


def resolve(
    location: str, *, base: str = "", update_base: bool = False, config_file: str = ""
) -> Repository:
    """Return the repository at a path, with the branch that work starts from.

    `base` is a branch name; empty: the one that is checked out. `config_file` is the text of
    a `.slipway.yaml` for repositories without one. Raises `Rejected` when there is no such
    repository or branch, `Misconfigured` without git.
    """
    repository = _at(location, lambda folder: _base(folder, base))
    return repository.but(update_base=update_base, config_file=config_file)


def look_at(location: str) -> Repository:
    """Return the repository at a path, to read only; on a detached head its base is `HEAD`."""
    return _at(location, lambda folder: _try(folder, "symbolic-ref", "--quiet", "HEAD") or "HEAD")


def _at(location: str, base_of: Callable[[Path], str]) -> Repository:
    folder = Path(location).expanduser()
    if _is_url(location):
        raise Rejected(
            f"{location} is a URL; this release takes repositories on this machine",
            code="remote_repository",
            path="repo",
            hint="Clone it first (`git clone --bare URL`), then give the path of the clone.",
        )
    if not folder.is_dir():
        raise Rejected(f"{location} is not a folder", code="no_repository", path="repo")
    common = Path(_git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    return Repository(
        id=identity(common),
        name=_name(common),
        location=str(_top(folder, common)),
        base=base_of(folder),
    )


def identity(common: Path) -> str:
    """Return the id: the basename, and eight hex digits over the real path of the git folder."""
    real = os.path.realpath(common)
    return f"{_name(common)}-{hashlib.sha256(os.fsencode(real)).hexdigest()[:8]}"


def _name(common: Path) -> str:
    real = Path(os.path.realpath(common))
    named = real.parent.name if real.name == ".git" else real.name.removesuffix(".git")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("-.") or "repository"


def _top(folder: Path, common: Path) -> Path:
    """Return the work tree that was named, or the bare repository itself."""
    if _git(folder, "rev-parse", "--is-bare-repository") == "true":
        return Path(os.path.realpath(common))
    top = _try(folder, "rev-parse", "--path-format=absolute", "--show-toplevel")
    return Path(top) if top else Path(os.path.realpath(common))


def _base(folder: Path, wanted: str) -> str:
    ref = f"refs/heads/{wanted.removeprefix('refs/heads/')}" if wanted else _head(folder)
    if _try(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"):
        return ref
    branches = _git(folder, "for-each-ref", "--format=%(refname:short)", "--count=8", "refs/heads")
    if not branches:
        raise Rejected(
            f"{folder} has no commit on any branch yet",
            code="empty_repository",
            path="repo",
            hint="Commit something first; slipway works from a commit.",
        )
    raise Rejected(
        f"{folder} has no branch {wanted or ref}",
        code="no_branch",
        path="base",
        hint=f"It has: {', '.join(branches.splitlines())}. Name one with --base.",
    )


def _head(folder: Path) -> str:
    """Return the branch that is checked out; raises `Rejected` on a detached head."""
    if ref := _try(folder, "symbolic-ref", "--quiet", "HEAD"):
        return ref
    raise Rejected(
        f"{folder} has a detached head, so it is not clear which branch to work from",
        code="detached_head",
        path="base",
        hint="Name the branch with --base BRANCH.",
    )


def _git(folder: Path, *arguments: str) -> str:
    run = _run(folder, arguments)
    if run.returncode == 0:
        return run.stdout.strip()
    said = run.stderr.strip().removeprefix("fatal: ")
    hint = "Give the path of a git repository."
    if "dubious ownership" in said:
        said = said.splitlines()[0]
        hint = f"If you trust it: git config --global --add safe.directory {folder.resolve()}"
    raise Rejected(
        f"git cannot read {folder}: {said}", code="no_repository", path="repo", hint=hint
    )


def _try(folder: Path, *arguments: str) -> str:
    run = _run(folder, arguments)
    return run.stdout.strip() if run.returncode == 0 else ""


def _run(folder: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", *_HARDENED, "-C", str(folder), *arguments],
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
            env=env,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
    except FileNotFoundError as error:
        raise Misconfigured(
            "There is no `git` on PATH", code="no_git", hint="Install git 2.39 or newer."
        ) from error


def _is_url(location: str) -> bool:
    return urlsplit(location).scheme in ("http", "https", "ssh", "git", "file") or bool(
        re.match(r"^[\w.-]+@[\w.-]+:", location)
    )


def contains(location: str, sha: str, ancestor: str) -> bool:
    """Return whether a commit is another one, or has it in its history."""
    words = ("merge-base", "--is-ancestor", ancestor, sha)
    return _run(Path(location), words).returncode == 0


def commit_of(location: str, ref: str) -> str:
    """Return the commit that a branch, tag or abbreviation names; raises `Rejected`."""
    folder = Path(location)
    named = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if sha := _try(folder, *named):
        return sha
    raise Rejected(
        f"{location} has no commit {ref!r:.100}",
        code="no_commit",
        path="ref",
        hint="Name a branch, a tag or a commit of this repository with --ref.",
    )


def file_at(location: str, sha: str, path: str) -> str | None:
    """Return the text of a file of a commit; None: the commit has no such file."""
    run = _run(Path(location), ("cat-file", "blob", f"{sha}:{path}"))
    return run.stdout if run.returncode == 0 else None


def changed_paths(location: str, before: str, after: str) -> tuple[str, ...] | None:
    """Return the paths that differ between two commits; None: one of them is not there."""
    names = ("diff", "--name-only", "-z", "--no-renames", "--end-of-options", before, after)
    run = _run(Path(location), names)
    return tuple(filter(None, run.stdout.split("\0"))) if run.returncode == 0 else None
