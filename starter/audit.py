"""The audit chain as a door sees it."""

import sys
from pathlib import Path

from domain.audit import ChainReport, Head
from domain.errors import Rejected
from starter.place import settings
from starter.reads import export_audit, read_audit


def noted(text: str) -> Head | None:
    """Read an end of the chain as `audit verify` prints it; raises `Rejected`."""
    if not text:
        return None
    size, colon, sha256 = text.partition(":")
    if not colon or not size.isdecimal() or len(sha256) != 64:
        raise Rejected(
            f"--head {text} is not SIZE:SHA256",
            code="bad_head",
            path="head",
            hint="Give what `slipway audit verify` printed after `head`.",
        )
    return Head(size=int(size), sha256=sha256)


async def verify_chain(head: Head | None) -> ChainReport:
    """Verify the chain of this home's records."""
    return await read_audit(settings().database, head)


async def write_chain(file: Path | None, *, texts: bool) -> Head:
    """Export the chain to a file that appears whole or not at all, or to stdout."""
    if file is None:
        return await export_audit(settings().database, sys.stdout, texts=texts)
    fresh = file.with_name(f".{file.name}.new")
    try:
        with fresh.open("w", encoding="utf-8") as out:
            head = await export_audit(settings().database, out, texts=texts)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(file)
    return head
