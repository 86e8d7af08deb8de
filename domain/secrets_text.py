"""Taking credentials out of text before it is stored."""

import re

from domain.secret_scan import secrets_in

_KEY_BLOCK = re.compile(
    r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY[A-Z ]{0,10}-----).{0,20000}?(-----END [A-Z ]{0,30}-----)",
    re.DOTALL,
)


def redact(text: str, values: tuple[str, ...] = ()) -> str:
    """Return `text` without what looks like a credential, and without these known `values`.

    Known values shorter than six characters are left: they would tear ordinary words apart.
    """
    for value in values:
        if len(value) >= 6:
            text = text.replace(value, "[redacted]")
    text = _KEY_BLOCK.sub(r"\1[redacted]\2", text)
    return "\n".join(_redact_line(line) for line in text.split("\n"))


def _redact_line(line: str) -> str:
    for rule, value in secrets_in(line):
        if rule != "private-key":  # its header is no secret, its body is gone already
            line = line.replace(value, f"[{rule} redacted]")
    return line
