"""A text file as text: its encoding, byte order mark and line endings survive an edit."""

import codecs
import io
import tokenize
from typing import NamedTuple


class Document(NamedTuple):
    """Text with `\\n` endings, and how to write it back."""

    text: str
    encoding: str = "utf-8"
    newline: str = "\n"
    bom: bool = False

    def encode(self, text: str) -> bytes:
        """Return the bytes of `text` in the form that this document had.

        Raises `UnicodeEncodeError` when the encoding has no such letter.
        """
        body = text if self.newline == "\n" else text.replace("\n", self.newline)
        return (codecs.BOM_UTF8 if self.bom else b"") + body.encode(self.encoding)


def read(data: bytes, *, python: bool) -> Document | None:
    """Decode a file; None when it is binary, mixes line endings, or cannot be kept exactly.

    Python files say their encoding in a cookie (PEP 263); all others are UTF-8.
    """
    if b"\0" in data:
        return None
    bom = data.startswith(codecs.BOM_UTF8)
    body = data.removeprefix(codecs.BOM_UTF8)
    try:
        encoding = _cookie(body) if python else "utf-8"
        text = body.decode(encoding)
    except (LookupError, UnicodeDecodeError, SyntaxError):
        return None
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    document = Document(plain, encoding, newline, bom)
    return document if "\r" not in plain and document.encode(plain) == data else None


def _cookie(data: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return "utf-8" if encoding == "utf-8-sig" else encoding
