"""What a commit changes against its base, as the computed gates need it."""

from domain.churn import FileLines
from domain.diff import ChangedLine, changed_lines
from integrations.gates.ports import Objects

FLAGS = ("--no-renames", "--no-color", "--no-ext-diff", "--no-textconv")
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")


async def lines(git: Objects, store: str, base: str, sha: str) -> tuple[ChangedLine, ...]:
    """Return all added and removed lines of text files."""
    out = await git.run("diff", "-U0", *FLAGS, *PREFIXES, base, sha, store=store)
    return changed_lines(out.decode("utf-8", "replace"))


async def files(git: Objects, store: str, base: str, sha: str) -> tuple[FileLines, ...]:
    """Return all changed paths with their numbers of lines (binary files: 0)."""
    out = await git.run("diff", "--numstat", "-z", *FLAGS, base, sha, store=store)
    rows = (row.split("\t", 2) for row in out.decode("utf-8", "replace").split("\0") if row)
    return tuple(
        FileLines(path=path, insertions=_number(added), deletions=_number(removed))
        for added, removed, path in rows
    )


async def deleted(git: Objects, store: str, base: str, sha: str) -> tuple[str, ...]:
    """Return the paths that are gone."""
    out = await git.run(
        "diff", "--name-only", "-z", "--diff-filter=D", *FLAGS, base, sha, store=store
    )
    return tuple(path for path in out.decode("utf-8", "replace").split("\0") if path)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
