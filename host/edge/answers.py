"""Heads of answers: what an instance said, as a client hears it; and the edge's own answers."""

import time
from http import HTTPStatus

from host.edge.fields import Fields, Kinds, Known, named_by, without
from host.edge.requests import ORDINARY, Request

# RFC 9110 7.6.1; and the version is ours to say.
DROPPED = frozenset((
    b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authenticate",
    b"x-slipway-version",
))  # fmt: skip
READ = frozenset((b"connection", b"content-length", b"transfer-encoding", b"upgrade"))
KINDS = Kinds(READ, DROPPED)

REASONS = {
    int(status): status.phrase for status in HTTPStatus
} | {413: "Content Too Large"}  # fmt: skip


class BadAnswer(Exception):
    """An answer that no client should get."""


class Answer:
    """A checked answer; `lines` are the parts of its header lines, without framing."""

    __slots__ = (
        "chunked", "empty", "has_length", "length", "lines", "reason", "status", "until_close",
        "upgrade",
    )  # fmt: skip

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.lines: list[bytes] = []
        self.has_length = False
        self.length = 0
        self.chunked = False
        self.upgrade = b""
        self.empty = False  # never has a body (RFC 9112 6.3)
        self.until_close = False  # only the end of the connection ends the body


def read_answer(status: int, reason: bytes, fields: Fields, method: bytes) -> Answer:
    """Check what a parser found; raises `BadAnswer`."""
    lines, known = fields.take()
    answer = Answer(status, reason)
    if b"connection" in known:
        named = named_by(known[b"connection"]) - ORDINARY
        lines = without(lines, named) if named else lines
    answer.lines = lines
    answer.empty = method == b"HEAD" or status in (204, 304) or status < 200
    if known:
        _read_framing(answer, known)
    answer.until_close = not (answer.empty or answer.chunked or answer.has_length)
    return answer


def _read_framing(answer: Answer, known: Known) -> None:
    lengths, codings = known.get(b"content-length"), known.get(b"transfer-encoding")
    if lengths is not None:
        if codings is not None:
            raise BadAnswer("both Content-Length and Transfer-Encoding")
        if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
            raise BadAnswer("Content-Length is not one number")
        answer.has_length = True
        answer.length = int(lengths[0])
    elif codings is not None:
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise BadAnswer(f"the transfer coding {b', '.join(codings)!r:.40}")
        answer.chunked = True
    if b"upgrade" in known:
        answer.upgrade = b", ".join(known[b"upgrade"])


def head_parts(
    answer: Answer, request: Request, last: bytes, *, keep_alive: bool, cookie: bytes = b""
) -> list[bytes]:
    """Return the head for the client, which ends with `last`.

    A body without a known length is sent in chunks.
    """
    out = [b"HTTP/1.1 %d %b\r\n" % (answer.status, answer.reason), *answer.lines]
    if answer.has_length:
        if answer.status != 204 and answer.status >= 200:
            out.append(b"Content-Length: %d\r\n" % answer.length)
    elif not answer.empty and request.modern:
        out.append(b"Transfer-Encoding: chunked\r\n")
    if answer.status == 101:
        out.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % answer.upgrade)
    elif not keep_alive:
        out.append(b"Connection: close\r\n")
    elif not request.modern:
        out.append(b"Connection: keep-alive\r\n")
    if cookie:
        out.append(b"Set-Cookie: %b\r\n" % cookie)
    out.append(last)
    return out


def own_answer(
    status: int, reason: str, *, keep_alive: bool, version: str = "", body: bool = True
) -> bytes:
    """Return a whole answer of the edge itself."""
    text = f"{status} {REASONS[status]}: {reason}\n".encode()
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(text)}",
    ]
    lines += ["Retry-After: 1"] if status == 503 else []
    lines += ["Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"] if status == 405 else []
    lines += [] if keep_alive else ["Connection: close"]
    lines += [f"X-Slipway-Version: {version}"] if version else []
    return "\r\n".join((*lines, "", "")).encode() + (text if body else b"")
