"""Text in any file: exact replacement, and bounded replacement by an RE2 pattern."""

from typing import Any

import re2

from domain.errors import Rejected
from domain.operation import RegexReplace, ReplaceText
from integrations.builtin.work import Work


def replace_text(operation: ReplaceText, work: Work) -> None:
    """Replace exact text; refused unless it is there as often as expected."""
    old, new = operation.old, operation.new
    found = [
        (path, document, *_replaced(document.text, old, new))
        for path, document in work.tree.with_bytes(operation.paths, _needle(old))
    ]
    total = sum(count for _, _, _, count in found)
    if total == 0 and (not new or _present(work, operation.paths, new)):
        return
    if operation.expected and total != operation.expected:
        raise Rejected(
            f"expected the text {operation.expected} times in {', '.join(operation.paths)}, "
            f"found it {total} times",
            code="count",
            hint="narrow the paths, or quote more of the surrounding text",
        )
    for path, document, text, count in found:
        if _replaced(text, old, new)[1]:
            raise _endless(path, "quote more of the surrounding text")
        work.put(path, document, text, count)


def _replaced(text: str, old: str, new: str) -> tuple[str, int]:
    """Replace what is not part of a replacement already, and count it."""
    parts = text.split(new) if new and old in new else [text]
    count = sum(part.count(old) for part in parts)
    return new.join(part.replace(old, new) for part in parts), count


def regex_replace(operation: RegexReplace, work: Work) -> None:
    """Replace every match; refused when there are too many, or when matches would never end."""
    pattern = _compiled(operation)
    total = 0
    for path in work.tree.editable(operation.paths):
        document = work.tree.document(path)
        if document is None:
            continue
        text, count = _substituted(pattern, operation, document.text)
        total += count
        if total > operation.limit:
            raise Rejected(
                f"the pattern matches more than {operation.limit} times",
                code="limit",
                path=path,
                hint="narrow the paths or the pattern, or raise limit",
            )
        again, _ = _substituted(pattern, operation, text)
        if again != text:
            raise _endless(path, r"anchor the pattern, for example with \b")
        work.put(path, document, text, count)


def _compiled(operation: RegexReplace) -> Any:
    try:
        options = re2.Options()
        options.log_errors = False
        return re2.compile(operation.pattern, options)
    except re2.error as error:
        raise Rejected(
            f"the pattern is not valid RE2: {error}",
            code="pattern",
            hint="RE2 has no look-around and no back references in patterns",
        ) from None


def _substituted(pattern: Any, operation: RegexReplace, text: str) -> tuple[str, int]:
    try:
        changed, count = pattern.subn(operation.replacement, text)
    except (re2.error, IndexError) as error:
        raise Rejected(f"the replacement is not valid: {error}", code="replacement") from None
    return str(changed), int(count)


def _needle(text: str) -> bytes:
    """Return bytes that every encoding of a file with this text contains."""
    longest = max(text.split("\n"), key=len)
    return longest.encode() if longest.isascii() else b""


def _present(work: Work, globs: tuple[str, ...], new: str) -> bool:
    return bool(new) and any(
        new in document.text for _, document in work.tree.with_bytes(globs, _needle(new))
    )


def _endless(path: str, hint: str) -> Rejected:
    return Rejected(
        f"the replacement in {path} would be replaced again by the next run",
        code="not_idempotent",
        path=path,
        hint=hint,
    )
