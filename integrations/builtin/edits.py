"""Count what an edit did to a file, in lines."""

from difflib import SequenceMatcher


def counted(before: bytes | None, after: bytes | None) -> tuple[int, int]:
    """Return how many lines were inserted and deleted."""
    old = (before or b"").splitlines(keepends=True)
    new = (after or b"").splitlines(keepends=True)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return len(new) - same, len(old) - same
