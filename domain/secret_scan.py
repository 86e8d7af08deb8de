"""Finding credentials in added lines; what is found is never repeated."""

import math
import re
from collections import Counter
from collections.abc import Iterator

from domain.diff import ChangedLine
from domain.evidence import finding_key
from domain.globs import matches
from domain.review import Finding

WINDOW = 4_000  # a longer line is read in parts that overlap by OVERLAP
OVERLAP = 400
ENTROPY = 3.3  # bits per character that a quoted value must have to look random

# Each pattern is bounded, so that no line can be slow. Group 1, if there is one, is the secret.
_KNOWN = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("aws-access-key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("github-token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
        ("github-token", r"\bgithub_pat_[A-Za-z0-9_]{50,255}\b"),
        ("gitlab-token", r"\bglpat-[A-Za-z0-9_-]{20,64}"),
        ("slack-token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}"),
        ("slack-webhook", r"hooks\.slack\.com/services/[A-Za-z0-9/]{30,100}"),
        ("google-key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("stripe-key", r"\b[rs]k_live_[A-Za-z0-9]{16,128}"),
        ("npm-token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("pypi-token", r"\bpypi-AgEI[A-Za-z0-9_-]{40,255}"),
        ("model-key", r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,200}"),
        ("signed-token", r"\beyJ[\w-]{10,400}\.eyJ[\w-]{10,1000}\.[\w-]{20,400}"),
        ("private-key", r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----"),
        ("password-in-url", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]{1,64}:([^\s:/@'\"]{6,128})@"),
    )
)  # fmt: skip
_NAMED = re.compile(
    r"(?i)(?:secret|token|passw(?:or)?d|passphrase|api_?key|access_?key|private_?key|credential)"
    r"[a-z0-9_]{0,20}[\"']?\s{0,4}(?::=|=>|[:=])\s{0,4}[\"']([^\"'\s]{12,200})[\"']"
)
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|change.?me|dummy|redacted|x{6}|\*{4}|0{8}|1234567|\$\{|\{\{|<[^>]*>|%\("
)
_TESTS = ("test/", "tests/", "testing/", "spec/", "fixtures/", "test_*", "*_test.*", "*.test.*")


def scan(lines: tuple[ChangedLine, ...]) -> tuple[Finding, ...]:
    """Return what looks like a credential in an added line and stood in no removed one."""
    known = Counter(value for line in lines if not line.added for _, value in _secrets(line))
    findings = []
    for line in lines:
        for rule, value in _secrets(line) if line.added else ():
            if known[value] > 0:
                known[value] -= 1
            else:
                findings.append(_finding(rule, line, value))
    return tuple(findings)


def secrets_in(text: str) -> tuple[tuple[str, str], ...]:
    """Return (rule, value) of what looks like a credential in one line of any text."""
    return tuple(_secrets(ChangedLine(path="", text=text, added=True)))


def mask(value: str) -> str:
    """Return as much of a secret as helps to find it."""
    return f"{value[:4]}... ({len(value)} characters)"


def entropy(text: str) -> float:
    """Return the Shannon entropy of the characters of `text`, in bits per character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _finding(rule: str, line: ChangedLine, value: str) -> Finding:
    text = f"looks like a credential: {mask(value)}"
    key = finding_key(rule, line.path, text)
    return Finding(key=key, rule=rule, path=line.path, line=line.line, text=text)


def _secrets(line: ChangedLine) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for part in _windows(line.text):
        for rule, value in (*_by_shape(part), *_by_name(part, line.path)):
            if value not in seen and not _PLACEHOLDER.search(value):
                seen.add(value)
                yield rule, value


def _windows(text: str) -> Iterator[str]:
    for start in range(0, max(len(text), 1), WINDOW - OVERLAP):
        yield text[start : start + WINDOW]


def _by_shape(text: str) -> Iterator[tuple[str, str]]:
    for rule, pattern in _KNOWN:
        for match in pattern.finditer(text):
            yield rule, match[match.lastindex or 0]


def _by_name(text: str, path: str) -> Iterator[tuple[str, str]]:
    if matches(path, _TESTS):
        return
    for match in _NAMED.finditer(text):
        if entropy(match[1]) >= ENTROPY and any(sign.isdigit() for sign in match[1]):
            yield "named-secret", match[1]
