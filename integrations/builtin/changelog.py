"""The unreleased section of a changelog (Keep a Changelog 1.1.0)."""

import re

from domain.operation import UpdateChangelog
from integrations.builtin.work import Work

UNRELEASED = re.compile(r"^## +\[?unreleased\]?.*$", re.IGNORECASE | re.MULTILINE)
RELEASE = re.compile(r"^## ", re.MULTILINE)


def update_changelog(operation: UpdateChangelog, work: Work) -> None:
    """Add the line unless the section has it; raises `Rejected` when the file is missing."""
    document = work.tree.need(operation.path)
    text = _with_unreleased(document.text)
    start = UNRELEASED.search(text)
    if start is None:  # cannot be: it was just put there
        return
    following = RELEASE.search(text, start.end())
    end = following.start() if following else len(text)
    body = _with_line(text[start.end() : end], operation.section, f"- {operation.text}")
    if body is not None:
        work.put(operation.path, document, text[: start.end()] + body + text[end:])


def _with_unreleased(text: str) -> str:
    if UNRELEASED.search(text):
        return text
    first = RELEASE.search(text)
    at = first.start() if first else len(text)
    before = text[:at].rstrip("\n")
    lead = f"{before}\n\n" if before else ""
    return f"{lead}## [Unreleased]\n\n{text[at:]}"


def _with_line(body: str, section: str, line: str) -> str | None:
    """Return the body of the unreleased section with the line; None when it is there."""
    if line in body.splitlines():
        return None
    heading = re.search(rf"^### +{section} *$", body, re.MULTILINE)
    if heading is None:
        kept = body.strip("\n")
        return f"\n\n{kept}\n\n### {section}\n\n{line}\n\n".replace("\n\n\n\n", "\n\n")
    following = re.search(r"^### ", body[heading.end() :], re.MULTILINE)
    end = heading.end() + following.start() if following else len(body)
    entries = body[heading.end() : end].strip("\n")
    listed = f"{entries}\n{line}" if entries else line
    return f"{body[: heading.end()]}\n\n{listed}\n\n{body[end:]}"
