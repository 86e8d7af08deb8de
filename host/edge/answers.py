"""Heads of answers: what an instance said, as a client hears it; and the edge's own answers."""

import time
from http import HTTPStatus

from host.edge.requests import Headers, Request

HOP = frozenset((b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authenticate"))
READ = frozenset((b"connection", b"content-length", b"transfer-encoding", b"upgrade")) | HOP
VERSION = b"x-slipway-version"

REASONS = {
    int(status): status.phrase for status in HTTPStatus
} | {413: "Content Too Large"}  # fmt: skip


class BadAnswer(Exception):
    """An answer that no client should get."""


class Answer:
    """A checked answer; `lines` are its header lines without framing."""

    __slots__ = ("chunked", "empty", "has_length", "length", "lines", "reason", "status", "upgrade")

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.lines: list[bytes] = []
        self.has_length = False
        self.length = 0
        self.chunked = False
        self.upgrade = b""
        self.empty = False  # never has a body (RFC 9112 6.3)

    @property
    def until_close(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return not (self.empty or self.chunked or self.has_length)


def read_answer(status: int, reason: bytes, headers: Headers, method: bytes) -> Answer:
    """Check what a parser found; raises `BadAnswer`."""
    answer = Answer(status, reason)
    named: frozenset[bytes] = frozenset()
    lines = []
    for name, value in headers:
        key = name.lower()
        if key not in READ:
            if key != VERSION:
                lines.append((key, b"%b: %b\r\n" % (name, value)))
        elif key == b"content-length":
            _read_length(answer, value)
        elif key == b"transfer-encoding":
            _read_coding(answer, value)
        elif key == b"connection":
            named |= {token.strip().lower() for token in value.split(b",")}
        elif key == b"upgrade":
            answer.upgrade = value
    answer.lines = [line for key, line in lines if key not in named]
    if answer.chunked and answer.has_length:
        raise BadAnswer("both Content-Length and Transfer-Encoding")
    answer.empty = method == b"HEAD" or status in (204, 304) or status < 200
    return answer


def _read_length(answer: Answer, value: bytes) -> None:
    if answer.has_length or not value.isdigit() or len(value) > 18:
        raise BadAnswer("Content-Length is not one number")
    answer.has_length = True
    answer.length = int(value)


def _read_coding(answer: Answer, value: bytes) -> None:
    if answer.chunked or value.lower() != b"chunked":
        raise BadAnswer(f"the transfer coding {value!r:.40}")
    answer.chunked = True


def write_head(
    answer: Answer, request: Request, version: str, *, keep_alive: bool, cookie: bytes = b""
) -> bytes:
    """Return the head for the client; a body without a known length is sent in chunks."""
    out = [b"HTTP/1.1 %d %b\r\n" % (answer.status, answer.reason), *answer.lines]
    if answer.has_length and answer.status != 204 and answer.status >= 200:
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
    out.append(b"X-Slipway-Version: %b\r\n\r\n" % version.encode())
    return b"".join(out)


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
