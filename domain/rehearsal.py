"""What planning learns before anything is done: which recipe is meant, what would be edited."""

from domain.idea import RecipeRef
from domain.record import Record


class RecipeMatch(Record):
    """A recipe that a goal may mean; `missing` are parameters that the goal does not give."""

    recipe: RecipeRef
    confidence: float  # 0 to 1
    title: str = ""
    missing: tuple[str, ...] = ()


class Rehearsal(Record):
    """What the operations of one task would do to the base commit."""

    edits: int = 0
    error: str = ""
