"""A change: files, size, release, next tag, changelog entry."""

from typing import Literal

from domain.record import ArtifactRef, Record


class FileChange(Record):
    """One changed file; `path` is text, undecodable bytes as backslash escapes (JSON holds them)."""

    path: str
    kind: Literal["added", "modified", "deleted"]
    insertions: int = 0
    deletions: int = 0
    mode: str = "100644"
    generated: bool = False  # edits of builtin operations count apart for the churn limit


class Change(Record):
    """A commit measured against its base. `files` holds at most 100; `listing` has them all."""

    base_sha: str
    sha: str
    tree: str
    files: tuple[FileChange, ...] = ()
    file_count: int = 0
    insertions: int = 0
    deletions: int = 0
    patch_id: str = ""
    listing: ArtifactRef | None = None


class Picked(Record):
    """A commit put onto another parent; with conflicts there is no commit."""

    sha: str
    tree: str
    conflicts: tuple[str, ...] = ()  # paths


class Release(Record):
    """What one round of an idea put into the repository."""

    round: int
    sha: str
    tree: str
    branch: str
    tag: str
    base_moved: bool
    provenance: str = ""
