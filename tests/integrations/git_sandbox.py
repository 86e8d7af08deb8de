"""Throw-away repositories for tests, made with plain git as a user would make them."""

import os
import subprocess
from pathlib import Path

_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Someone",
    "GIT_AUTHOR_EMAIL": "someone@example.org",
    "GIT_COMMITTER_NAME": "Someone",
    "GIT_COMMITTER_EMAIL": "someone@example.org",
    "GIT_AUTHOR_DATE": "@1700000000 +0000",
    "GIT_COMMITTER_DATE": "@1700000000 +0000",
}


def git(folder: Path, *args: str | bytes, check: bool = True) -> str:
    """Run plain git in `folder`; return stdout."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *args],
        cwd=folder,
        env=_ENV,
        capture_output=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return os.fsdecode(done.stdout).strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make(
    folder: Path, files: dict[str, str] | None = None, *, options: tuple[str, ...] = ()
) -> Path:
    """Make a repository with one commit on branch main."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", *options)
    write(folder, {"app.py": "one\ntwo\nthree\n"} if files is None else files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def commit(folder: Path, files: dict[str, str], message: str = "next") -> str:
    """Commit these files in a work tree; return the commit id."""
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def make_bare(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Make a bare repository with one commit on branch main."""
    work = make(folder.with_suffix(".work"), files)
    git(folder.parent, "clone", "-q", "--bare", "--", str(work), str(folder))
    return folder


def head(folder: Path, ref: str = "refs/heads/main") -> str:
    return git(folder, "rev-parse", "--verify", ref)
