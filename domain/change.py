"""A change: files, size, release, next tag, changelog entry."""

import re
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from domain.idea import ChangeKind
from domain.record import ArtifactRef, Record

_VERSION = re.compile(r"(v?)(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:\.(0|[1-9]\d{0,8}))?")
_CALENDAR = re.compile(r"(v?)((?:19|20)\d\d)([.-])(0?[1-9]|1[0-2])(?:[.-](\d{1,4}))?")
_SECTION = {
    ChangeKind.BREAKING: "Changed",
    ChangeKind.FEATURE: "Added",
    ChangeKind.FIX: "Fixed",
    ChangeKind.CHORE: "Changed",
}


class FileChange(Record):
    """One changed file; `path` is text, undecodable bytes as backslash escapes."""

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
    parent_sha: str = ""  # the commit that this round was put onto


class _Version(NamedTuple):
    """A semantic version (semver.org 2.0.0 without pre-releases); ordered by its numbers."""

    major: int
    minor: int
    patch: int
    prefix: str

    def bumped(self, change: ChangeKind) -> "_Version":
        """Return the next one; below 1.0.0 a breaking change raises the minor number."""
        if change is ChangeKind.BREAKING and self.major:
            return _Version(self.major + 1, 0, 0, self.prefix)
        if change in (ChangeKind.BREAKING, ChangeKind.FEATURE):
            return _Version(self.major, self.minor + 1, 0, self.prefix)
        return _Version(self.major, self.minor, self.patch + 1, self.prefix)

    def __str__(self) -> str:
        return f"{self.prefix}{self.major}.{self.minor}.{self.patch}"


class _Date(NamedTuple):
    """A calendar version (calver.org): year, month, and a day or a counter."""

    year: int
    month: int
    last: int
    match: re.Match[str]


def are_calendar(tags: tuple[str, ...]) -> bool:
    """Return whether the newest version among `tags` is a date such as 2024.05 or v2024-05-17."""
    return bool(_dates(tags))


def next_tag(
    reachable: tuple[str, ...], taken: tuple[str, ...], change: ChangeKind, at_ms: int
) -> str:
    """Return the next version tag after the highest of `reachable` that is not in `taken`.

    Calendar tags are continued in their own format with the date of `at_ms`; no version at all
    starts at v0.1.0.
    """
    dates = _dates(reachable)
    if dates:
        return _next_date(dates, taken, datetime.fromtimestamp(at_ms / 1000, UTC))
    versions = [version for tag in reachable if (version := _version(tag))]
    newest = max(versions, default=_Version(0, 0, 0, "v"))
    found = newest.bumped(change) if versions else _Version(0, 1, 0, "v")
    while str(found) in taken:
        found = found.bumped(ChangeKind.FIX)
    return str(found)


def _version(tag: str) -> _Version | None:
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    return _Version(int(match[2]), int(match[3]), int(match[4] or 0), match[1])


def _dates(tags: tuple[str, ...]) -> list[_Date]:
    matches = [match for tag in tags if (match := _CALENDAR.fullmatch(tag))]
    found = [_Date(int(m[2]), int(m[4]), int(m[5] or 0), m) for m in matches]
    return sorted(found, key=lambda date: date[:3])


def _next_date(dates: list[_Date], taken: tuple[str, ...], now: datetime) -> str:
    """Continue the newest tag's format: its prefix, separator and padding, its third part."""
    newest = dates[-1].match
    separator = newest[3]
    month = f"{now.month:02d}" if any(date.match[4][0] == "0" for date in dates) else now.month
    start = f"{newest[1]}{now.year}{separator}{month}"
    if newest[5] is None:
        return _free(start, separator, taken)
    thirds = [date.match[5] for date in dates if date.match[5]]
    if all(1 <= int(third) <= 31 for third in thirds):  # a day; a counter would know the 0
        padded = any(third[0] == "0" for third in thirds)
        day = f"{now.day:02d}" if padded else now.day
        return _free(f"{start}{separator}{day}", separator, taken)
    same = [date.last for date in dates if (date.year, date.month) == (now.year, now.month)]
    counter = max(same, default=-1) + 1
    while f"{start}{separator}{counter}" in taken:
        counter += 1
    return f"{start}{separator}{counter}"


def _free(tag: str, separator: str, taken: tuple[str, ...]) -> str:
    """Return `tag`, or with the first counter from 1 on that is not taken."""
    found, counter = tag, 0
    while found in taken:
        counter += 1
        found = f"{tag}{separator}{counter}"
    return found


def changelog_with(text: str, title: str, change: ChangeKind, version: str, at_ms: int) -> str:
    """Return a Markdown changelog (keepachangelog.com 1.1.0) with one more entry.

    It goes into the section of unreleased changes if there is one, else into a new section on
    top, named by `version` (empty: Unreleased). Line ends stay as they are.
    """
    ends = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    entry = f"- {' '.join(title.split())}"
    heading = f"### {_SECTION[change]}"
    headings = [number for number, line in enumerate(lines) if line.startswith("## ")]
    at = next((n for n in headings if "unreleased" in lines[n].lower()), None)
    if at is not None:
        end = next((n for n in headings if n > at), len(lines))
        lines[at:end] = _into_section(lines[at:end], heading, entry)
    else:
        date = datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
        name = f"{version} - {date}" if version else "Unreleased"
        top = headings[0] if headings else len(lines)
        gap = [""] if top and lines[top - 1] else []
        lines[top:top] = [*gap, f"## {name}", "", heading, "", entry, ""]
    return ends.join(lines).rstrip() + ends


def _into_section(section: list[str], heading: str, entry: str) -> list[str]:
    """Return the lines of one section with the entry last under its heading."""
    lines = list(section)
    while lines and not lines[-1].strip():
        lines.pop()
    if heading not in lines:
        return [*lines, "", heading, "", entry, ""]
    start = lines.index(heading) + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith("#")), len(lines))
    while end > start and not lines[end - 1].strip():
        end -= 1
    gap = [""] if end == start else []
    after = [""] if lines[end:] and lines[end] else []
    return [*lines[:end], *gap, entry, *after, *lines[end:], ""]


def release_notes(title: str, notes: str, change: ChangeKind) -> str:
    """Return the text of a release: its title, what kind of change it is, and why."""
    parts = [" ".join(title.split()), f"{_SECTION[change]}: {change.value} change.", notes.strip()]
    return "\n\n".join(part for part in parts if part)
