"""How large a change is, without what machines have written."""

from domain.evidence import Judged
from domain.globs import matches
from domain.record import Record
from domain.review import Verdict

LOCK_FILES = (
    "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "package-lock.json",
    "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "go.sum", "Cargo.lock", "flake.lock",
)  # fmt: skip


class FileLines(Record):
    """Added and removed lines of one file."""

    path: str
    insertions: int
    deletions: int


def judge_churn(
    files: tuple[FileLines, ...], limit: int, generated: tuple[str, ...] = ()
) -> Judged:
    """Compare the lines that agents wrote with the limit (0: none)."""
    machine = set(generated)
    written = made = 0
    for file in files:
        lines = file.insertions + file.deletions
        if file.path in machine or matches(file.path, LOCK_FILES):
            made += lines
        else:
            written += lines
    counted = f"{written} changed lines" + (f" and {made} by machines" if made else "")
    if limit and written > limit:
        return Judged(verdict=Verdict.FAILED, reason=f"{counted}, the limit is {limit}")
    return Judged(verdict=Verdict.PASSED, reason=counted)
