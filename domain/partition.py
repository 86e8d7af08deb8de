"""Short lists of globs for sets of files, so that no two sets share a path."""

import re
from collections import defaultdict

_SPECIAL = re.compile(r"([*?\[])")


def cover(own: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Return globs, sorted, that match every path of `own` and none of `others`.

    A folder without a file of `others` is one glob per file ending, any other is entered; the
    globs of two sets meet in no path, whatever files are added later.
    """
    return tuple(sorted(_below("", own, others)))


def _below(folder: str, own: tuple[str, ...], others: tuple[str, ...]) -> set[str]:
    if not own:
        return set()
    if folder and not others:
        return {f"{escape(folder)}**/*{_ending(path)}" for path in own}
    globs = {_file(path) for path in own if "/" not in path.removeprefix(folder)}
    foreign = _folders(folder, others)
    for name, paths in _folders(folder, own).items():
        globs |= _below(name, tuple(paths), tuple(foreign.get(name, ())))
    return globs


def _folders(folder: str, paths: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the paths by the folder directly below `folder` that they lie in."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        name, slash, _ = path.removeprefix(folder).partition("/")
        if slash:
            found[f"{folder}{name}/"].append(path)
    return found


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    _, dot, ending = name.rpartition(".")
    return escape(f"{dot}{ending}") if dot else ""


def _file(path: str) -> str:
    """Return the glob of one file; without a slash it would hold at any depth."""
    return escape(path) if "/" in path else f"/{escape(path)}"


def escape(path: str) -> str:
    """Return the glob that matches exactly this path."""
    return _SPECIAL.sub(r"[\1]", path)
