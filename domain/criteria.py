"""Acceptance criteria in words with literals: given, when, then, as something that can be run."""

import ast
import builtins
import re
from typing import Literal

from domain.errors import Problem, Refused
from domain.record import Record

Judgement = Literal["equals", "close", "raises", "contains", "holds"]
WORDS = {"true": "True", "false": "False", "none": "None", "null": "None", "nothing": "None"}
ASSIGNED = re.compile(r"(?:^|(?<=[\s,;]))([A-Za-z_]\w*)\s*(?:=(?!=)|\bis\b)\s*")
JOINT = re.compile(r"[\s,;.]*\band\b\s*$|[\s,;.]+$")
CALLED = re.compile(r"^(?P<name>[A-Za-z_][\w.]*) is called(?: with (?P<arguments>.+))?$")
LEAD = re.compile(r"^(?:i|we|you|one|somebody) calls? |^calling |^call ", re.IGNORECASE)
SUBJECT = r"(?:(?:it|the (?:call|result|answer|function)|result) )?"
RAISES = re.compile(
    rf"^{SUBJECT}(?:raises|fails with) (?P<name>[A-Za-z_][\w.]*)"
    r"(?: (?:with|saying) (?P<text>.+))?$",
    re.IGNORECASE,
)
CONTAINS = re.compile(rf"^{SUBJECT}contains (?P<value>.+)$", re.IGNORECASE)
EQUALS = re.compile(rf"^{SUBJECT}(?:returns|is|equals|gives|==) (?P<value>.+)$", re.IGNORECASE)


class Case(Record):
    """One test: variables with literal values, a call, and how its result is judged."""

    id: str
    setup: tuple[tuple[str, str], ...] = ()
    call: str
    judgement: Judgement
    expected: str
    message: str = ""  # text that the error must contain


def read_case(id: str, *, given: str, when: str, then: str) -> Case:
    """Read one criterion; raises `Refused` with what is not understood and what would be."""
    setup = _setup(id, _plain(given))
    call = _call(id, _plain(when))
    judgement, expected, message = _judgement(id, _plain(then))
    return Case(
        id=id, setup=setup, call=call, judgement=judgement, expected=expected, message=message
    )


def names_used(case: Case) -> tuple[str, ...]:
    """Return the first parts of the names that the module under test must supply."""
    tree = ast.parse(case.call, mode="eval")
    known = {name for name, _ in case.setup} | set(dir(builtins))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if case.judgement == "raises":
        used.add(case.expected.partition(".")[0])
    return tuple(sorted(used - known))


def _plain(text: str) -> str:
    """Return a sentence without what people put around it: full stop, code marks, spaces."""
    stripped = text.strip().rstrip(".").strip()
    if stripped.startswith("`") and stripped.endswith("`") and stripped.count("`") == 2:
        stripped = stripped[1:-1]
    return stripped.replace("`", "")


def _setup(id: str, given: str) -> tuple[tuple[str, str], ...]:
    if not given or given.lower() in ("nothing", "the module"):
        return ()
    found = list(_assignments(given))
    if not found or found[0].start() > 0:
        raise _unread(id, "given", given, "name = literal, such as: a = 2 and b = [1, 2]")
    ends = [*(match.start() for match in found[1:]), len(given)]
    return tuple(
        (match.group(1), _literal(id, "given", JOINT.sub("", given[match.end() : end])))
        for match, end in zip(found, ends, strict=True)
    )


def _assignments(given: str) -> list[re.Match[str]]:
    """Return where names are given values, outside quotes and brackets."""
    return [match for match in ASSIGNED.finditer(given) if _open(given[: match.start()]) == 0]


def _open(text: str) -> int:
    """Return how many brackets and quotes are open at the end of a text."""
    depth = 0
    quote = ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
    return depth + bool(quote)


def _call(id: str, when: str) -> str:
    text = LEAD.sub("", when)
    worded = CALLED.match(text)
    if worded:
        arguments = re.sub(r",?\s+and\s+", ", ", worded["arguments"] or "")
        text = f"{worded['name']}({arguments})"
    if isinstance(_expression(text), ast.Call):
        return text
    raise _unread(id, "when", when, "a call, such as: add(a, b), or: add is called with 2 and 3")


def _judgement(id: str, then: str) -> tuple[Judgement, str, str]:
    raises = RAISES.match(then)
    if raises:
        text = raises["text"]
        return "raises", raises["name"], _literal(id, "then", text) if text else ""
    contains = CONTAINS.match(then)
    if contains:
        return "contains", _literal(id, "then", contains["value"]), ""
    equals = EQUALS.match(then)
    if equals:
        value = _literal(id, "then", equals["value"])
        close = isinstance(ast.literal_eval(value), float)
        return ("close" if close else "equals"), value, ""
    tree = _expression(then)
    if isinstance(tree, ast.Compare) and _only_result(tree):
        return "holds", then, ""
    raise _unread(
        id, "then", then, "returns LITERAL, contains LITERAL, raises ERROR, or: result > 3"
    )


def _literal(id: str, part: str, text: str) -> str:
    text = WORDS.get(text.strip().lower(), text.strip())
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise _unread(id, part, text, "a Python literal, such as 3, 'text' or [1, 2]") from None
    return text


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _only_result(tree: ast.expr) -> bool:
    """Say whether an expression speaks of nothing but the result and literals."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return "result" in names and names <= {"result", "len", "sorted", "set", "abs", "sum"}


def _unread(id: str, part: str, text: str, hint: str) -> Refused:
    problem = Problem(
        code="criterion",
        message=f"criterion {id}: {part} is not understood: {text!r}",
        path=f"{id}.{part}",
        hint=f"write {hint}",
    )
    return Refused((problem,))
