"""What is asked of a forge, and what it answers: merge, read a change, tag."""

from typing import Literal

from domain.record import Record
from domain.repository import Repository


class ReadChange(Record):
    """Has this operation been merged? Looked for above `since_sha`, an ancestor of any result."""

    op: str
    key: str
    repository: Repository
    since_sha: str
    base_moves: bool


class MergeOrder(ReadChange):
    """Move a branch of the forge to `sha`, if its base branch still stands at `base_sha`."""

    base_sha: str
    sha: str
    tree: str


class Merged(Record):
    """`moved`: the base branch is elsewhere, so nothing was written; stage again.

    `pending`: the forge has taken the order and will say later; ask again.
    """

    status: Literal["merged", "moved", "pending", "refused"]
    sha: str = ""
    tree: str = ""
    branch: str = ""
    reason: str = ""


class TagOrder(Record):
    """An annotated tag; `at_ms` is its date."""

    op: str
    repository: Repository
    name: str
    sha: str
    message: str
    at_ms: int
