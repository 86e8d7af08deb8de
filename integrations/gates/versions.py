"""Python version specifiers, and the notations of other tools translated into them (PEP 440)."""

import re

Version = tuple[int, ...]


def numbers(text: str) -> Version:
    """Return the leading numeric part of a version."""
    match = re.match(r"\s*v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def allows(specifier: str, version: Version) -> bool:
    """Say whether a version satisfies a specifier such as `>=3.9,!=3.9.1,<4`.

    Clauses that cannot be read are taken as satisfied: the installer will have the last word.
    """
    return all(
        _allows(clause.strip(), version) for clause in specifier.split(",") if clause.strip()
    )


def _allows(clause: str, version: Version) -> bool:
    match = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)\s*(\d+(?:\.\d+)*)(\.\*)?", clause)
    if not match:
        return True
    sign, bound = match[1], numbers(match[2])
    if match[3] or sign == "~=":
        prefix = bound if match[3] else bound[:-1]
        inside = version[: len(prefix)] == prefix
        return inside != (sign == "!=") if match[3] else inside and version >= bound
    width = max(len(bound), len(version))
    left, right = _pad(version, width), _pad(bound, width)
    return {
        ">=": left >= right, "<=": left <= right, "==": left == right,
        "!=": left != right, ">": left > right, "<": left < right,
    }[sign]  # fmt: skip


def _pad(version: Version, width: int) -> Version:
    return version + (0,) * (width - len(version))


def from_poetry(text: str) -> str:
    """Translate a Poetry constraint: `^1.2`, `~1.2`, `1.2`, `*`, `>=1,<2`, `^1 || ^2`."""
    if "||" in text or "|" in text:
        return ""  # alternatives have no short form; the lock file pins anyway
    return ",".join(filter(None, (_clause(part.strip()) for part in text.split(","))))


def _clause(text: str) -> str:
    if text in ("", "*"):
        return ""
    if text[0] == "^":
        bound = numbers(text[1:])
        lead = next((at for at, part in enumerate(bound) if part), len(bound) - 1)
        upper = (*bound[:lead], bound[lead] + 1)
        return f">={text[1:].strip()},<{'.'.join(map(str, upper))}"
    if text[0] == "~" and not text.startswith("~="):
        bound = numbers(text[1:])
        upper = (bound[0], bound[1] + 1) if len(bound) > 1 else (bound[0] + 1,)
        return f">={text[1:].strip()},<{'.'.join(map(str, upper))}"
    return text if text[0] in "<>=!~" else f"=={text}"
