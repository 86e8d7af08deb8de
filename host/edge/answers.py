"""Heads of answers: what an instance said, as a client hears it; and the edge's own answers."""

import time
from http import HTTPStatus

from host.edge.requests import DROPPED, MOST_KINDS, ORDINARY, PLAIN, Headers, Request

# RFC 9110 7.6.1; and the version is ours to say.
HOP = frozenset((
    b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authenticate",
    b"x-slipway-version",
))  # fmt: skip
READ = frozenset((b"connection", b"content-length", b"transfer-encoding", b"upgrade"))
_KINDS: dict[bytes, bytes] = {}  # by name as it was written: its own in small letters if we read it

REASONS = {
    int(status): status.phrase for status in HTTPStatus
} | {413: "Content Too Large"}  # fmt: skip


class BadAnswer(Exception):
    """An answer that no client should get."""


class Answer:
    """A checked answer; `lines` are the parts of its header lines, without framing."""

    __slots__ = (
        "chunked", "empty", "has_length", "length", "lines", "named", "reason", "status", "upgrade",
    )  # fmt: skip

    def __init__(self, status: int, reason: bytes) -> None:
        self.status = status
        self.reason = reason
        self.lines: list[bytes] = []
        self.named: frozenset[bytes] = frozenset()  # fields that end here (Connection)
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
    lines = answer.lines
    for name, value in headers:
        kind = _KINDS.get(name)
        if kind is None:
            kind = _kind(name)
        if kind is PLAIN:
            lines += (name, b": ", value, b"\r\n")
        elif kind is not DROPPED:
            _note(answer, kind, value)
    if answer.named:
        fields = zip(*(lines[at::4] for at in range(4)), strict=True)
        answer.lines = [
            part for field in fields if field[0].lower() not in answer.named for part in field
        ]
    if answer.chunked and answer.has_length:
        raise BadAnswer("both Content-Length and Transfer-Encoding")
    answer.empty = method == b"HEAD" or status in (204, 304) or status < 200
    return answer


def _kind(name: bytes) -> bytes:
    """Return what is done with a header of this name, and remember it for a while."""
    key = name.lower()
    kind = PLAIN
    if key in READ:
        kind = key
    elif key in HOP:
        kind = DROPPED
    if len(_KINDS) >= MOST_KINDS:
        _KINDS.clear()
    _KINDS[name] = kind
    return kind


def _note(answer: Answer, kind: bytes, value: bytes) -> None:
    if kind == b"content-length":
        _read_length(answer, value)
    elif kind == b"transfer-encoding":
        _read_coding(answer, value)
    elif kind == b"connection":
        answer.named |= {token.strip().lower() for token in value.split(b",")} - ORDINARY
    else:
        answer.upgrade = value


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
