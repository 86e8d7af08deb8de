"""Globs over repository paths: `*` and `?` stay within a name, `**` crosses folders."""

from fnmatch import fnmatchcase
from functools import lru_cache

WILD = ("*", "?", "[")


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Say whether a path (relative, with `/`) is covered by any of the patterns.

    The rules are those of a CODEOWNERS file: a pattern without a slash (but a trailing one)
    holds at any depth, any other from the root; a trailing slash or a plain name covers the
    whole folder; `src/*` covers the files of `src` alone, `src/**` all below it. Letters are
    compared exactly; there is no negation.
    """
    parts = tuple(path.split("/"))
    return any(_covers(_parse(pattern), parts) for pattern in patterns if pattern)


def uncovered(paths: tuple[str, ...], patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that no pattern covers."""
    return tuple(path for path in paths if not matches(path, patterns))


def covered(paths: tuple[str, ...], patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that some pattern covers."""
    return tuple(path for path in paths if matches(path, patterns))


def alternatives(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Return what a pattern stands for: any of these sequences of names and `**`."""
    return _parse(pattern)


@lru_cache(maxsize=4_096)
def _parse(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Turn a pattern into alternatives, each a sequence of names and `**`."""
    body = pattern.removeprefix("./")
    folder = body.endswith("/")
    body = body.rstrip("/")
    anchored = "/" in body
    parts = tuple(part for part in body.split("/") if part)
    if not parts:
        return (("**",),) if folder else ()
    if not anchored:
        parts = ("**", *parts)
    below = (*parts, "**", "*")
    if folder:
        return (below,)
    if parts[-1] == "**":
        return ((*parts, "*"),)
    if any(sign in parts[-1] for sign in WILD):
        return (parts,)
    return (parts, below)


def _covers(alternatives: tuple[tuple[str, ...], ...], parts: tuple[str, ...]) -> bool:
    return any(_follows(pattern, parts) for pattern in alternatives)


def _follows(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Match name by name; `reach` holds how many names may be used up so far."""
    reach = {0}
    for step in pattern:
        if step == "**":
            reach = set(range(min(reach), len(parts) + 1)) if reach else reach
        else:
            reach = {at + 1 for at in reach if at < len(parts) and fnmatchcase(parts[at], step)}
    return len(parts) in reach
