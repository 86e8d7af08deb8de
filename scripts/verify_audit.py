"""Verify an exported audit chain with the standard library only: verify_audit.py EXPORT [SHA256].

SHA256 is the hash of an entry that you noted down earlier, your anchor. Exit 0: consistent,
1: broken, 2: usage. Without an anchor a chain that was rewritten as a whole looks consistent.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator

GENESIS = "0" * 64


def problems(lines: Iterable[str], anchor: str = "") -> Iterator[str]:
    """Yield what is wrong with the exported chain."""
    seq, last, ideas, seen, end = 0, GENESIS, {}, anchor in ("", GENESIS), None
    for line in lines:
        told = json.loads(line)
        if "head" in told:
            end = told["head"]
            continue
        seq += 1
        entry = json.loads(told["entry"])
        name = f"entry {told['seq']}"
        sha256 = hashlib.sha256(told["entry"].encode()).hexdigest()
        own_seq, own_last = ideas.get(entry["key"], (0, GENESIS))
        if sha256 != told["sha256"]:
            yield f"{name}: its bytes do not have the hash that is given"
        if not seq == told["seq"] == entry["seq"]:
            yield f"{name}: expected entry {seq} here"
        if entry["prev"] != last:
            yield f"{name}: it does not name the entry before it"
        if (entry["idea_seq"], entry["idea_prev"]) != (own_seq + 1, own_last):
            yield f"{name}: it does not follow entry {own_seq} of its idea"
        yield from (f"{name}: {what}" for what in _texts(told.get("texts", {}), entry["texts"]))
        last = sha256
        ideas[entry["key"]] = (entry["idea_seq"], sha256)
        seen = seen or sha256 == anchor
    if end != {"size": seq, "sha256": last}:
        yield "the export is cut off: its head is missing or another one"
    if not seen:
        yield "the chain does not contain the anchor"


def _texts(given: dict, promised: dict) -> Iterator[str]:
    for field, text in given.items():
        if text["text"] is None:
            continue
        data = f"{text['salt']}\n{text['text']}".encode()
        if hashlib.sha256(data).hexdigest() != promised.get(field):
            yield f"its text {field} is not the one recorded"


def main(arguments: list[str]) -> int:
    """Print what is wrong, or that nothing is."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    with open(arguments[0], encoding="utf-8") as lines:  # noqa: PTH123 - no import for one call
        found = list(problems(lines, *arguments[1:]))
    for problem in found:
        print(problem)
    if not found:
        print("consistent, anchored" if arguments[1:] else "consistent, unanchored")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
