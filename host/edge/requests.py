"""Heads of requests: what a client said, checked, and as it goes on to an instance."""

import re

from host.edge.fields import Fields, Kinds, Known, named_by, without
from host.edge.limits import Limits

# RFC 9110 7.6.1, and what concerns the edge alone: read here, never passed on as it came.
HOP = frozenset((b"connection", b"upgrade", b"transfer-encoding", b"x-slipway-version"))
DROPPED = frozenset((
    b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authorization",
    b"http2-settings",
))  # fmt: skip
FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
# What tells an instance who the client is: only a proxy on this machine may say it.
TOLD = frozenset((
    *FORWARDED, b"x-forwarded-port", b"x-forwarded-server", b"x-forwarded-prefix",
    b"x-forwarded-ssl", b"x-real-ip", b"forwarded",
))  # fmt: skip
FRAMING = frozenset((b"host", b"content-length", b"via"))
READ = HOP | TOLD | FRAMING | {b"expect", b"cookie"}
# CGI turns `-` into `_`: Content_Length would be taken for Content-Length.
LOOKALIKES = frozenset(name.replace(b"-", b"_") for name in READ if b"-" in name)
KINDS = Kinds(READ, DROPPED | LOOKALIKES)
STAYING = FRAMING | TOLD | {b"transfer-encoding"}  # Connection can not take these away
ORDINARY = frozenset((b"close", b"keep-alive", b"upgrade"))  # what Connection says mostly

HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=-]*(?:\[[0-9A-Fa-f:.]+\])?(?::[0-9]{0,5})?")
ABSOLUTE = re.compile(rb"https?://([^/?#@]+)([^#]*)", re.IGNORECASE)
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 9.2.2
LOOPBACK = ("127.", "::1", "::ffff:127.")
VIA = b"Via: 1.1 slipway\r\n"


class BadRequest(Exception):
    """A request that is refused with a status; the connection is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Request:
    """A checked request; `head` is what an instance is sent, with its empty line."""

    __slots__ = (
        "body", "chunked", "client", "complete", "cookie", "expects", "head", "keep_alive",
        "length", "method", "modern", "override", "secure", "spent", "upgrade",
    )  # fmt: skip

    def __init__(self, method: bytes, modern: bool) -> None:
        self.method = method
        self.modern = modern  # HTTP/1.1, else 1.0
        self.head = b""
        self.keep_alive = modern
        self.length = 0
        self.chunked = False
        self.expects = False  # it waits for `100 Continue`
        self.upgrade = b""
        self.cookie = b""
        self.override = b""
        self.client = ""  # key of the client for bad answers; empty: unknown
        self.secure = False  # it came over TLS to a proxy in front
        self.body: list[bytes] = []  # what came so far, unless `spent`
        self.spent = False  # a part of the body was sent and let go
        self.complete = False

    @property
    def has_body(self) -> bool:
        return self.chunked or self.length > 0

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent once more where nobody knows what became of the first time."""
        if self.spent:
            return False
        return self.method in IDEMPOTENT or (self.has_body and not self.body)

    def spend(self) -> None:
        """Let go of the body: it can not be sent again."""
        self.body = []
        self.spent = True

    def framed(self, pieces: list[bytes]) -> bytes:
        """Return pieces of the body as an instance gets them, with the end if it is known."""
        if not self.chunked:
            return b"".join(pieces)
        out = []
        for piece in pieces:
            out += [b"%x\r\n" % len(piece), piece, b"\r\n"]
        if self.complete:
            out.append(b"0\r\n\r\n")
        return b"".join(out)


class Peer:
    """Who is on the other end of a client connection."""

    __slots__ = ("address", "host", "key", "local", "told", "trusted")

    def __init__(self, address: str, local: str) -> None:
        self.address = address.encode()
        self.key = address
        self.local = local.encode()  # host:port that it came to
        self.host = b""  # what it said last, found well formed
        self.trusted = address.startswith(LOOPBACK)
        self.told = (
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: " % self.address
        )


def read_request(
    method: bytes, target: bytes, version: str, fields: Fields, peer: Peer, limits: Limits
) -> Request:
    """Check what a parser found, and write the head for an instance; raises `BadRequest`."""
    if version != "1.1" and version != "1.0":
        raise BadRequest(505, "only the versions 1.1 and 1.0 are spoken here")
    if fields.count > limits.headers:
        raise BadRequest(431, f"more than {limits.headers} header fields")
    lines, known = fields.take()
    request = Request(method, version == "1.1")
    host = _host(known, request, peer)
    if target[:1] != b"/" or b"#" in target:
        target = _target(method, target, host)
    if b"connection" in known:
        lines = _read_connection(known, request, lines)
    out = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, target, host), *lines]
    if len(known) > 1 or not request.modern:  # more than Host, without which there is only 1.0
        _read_framing(known, request, out)
        _read_rest(known, request, out)
    out.append(VIA)
    _tell_client(known, request, peer, host, out)
    request.head = b"".join(out)
    return request


def _host(known: Known, request: Request, peer: Peer) -> bytes:
    """Return the one Host (RFC 9112 3.2: none or several are an error in HTTP/1.1)."""
    hosts = known.get(b"host")
    if hosts is None:
        if request.modern:
            raise BadRequest(400, "there must be a Host")
        return peer.local
    host = hosts[0]
    if len(hosts) > 1:
        raise BadRequest(400, "there must be one Host only")
    if host != peer.host:
        if not HOST.fullmatch(host):
            raise BadRequest(400, "Host is not well formed")
        peer.host = host
    return host


def _target(method: bytes, target: bytes, host: bytes) -> bytes:
    """Return a target that is no plain path in origin form (RFC 9112 3.2)."""
    if b"#" in target:
        raise BadRequest(400, "a request target has no fragment")
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest(400, "the request target is neither a path nor an address")
    if absolute[1].lower() != host.lower():
        raise BadRequest(400, "the request target and Host name different hosts")
    rest = absolute[2]
    if not rest:
        return b"*" if method == b"OPTIONS" else b"/"
    return rest if rest[:1] == b"/" else b"/" + rest


def _read_connection(known: Known, request: Request, lines: list[bytes]) -> list[bytes]:
    """Note how the connection goes on; return the lines without those that end here."""
    tokens = named_by(known[b"connection"])
    request.keep_alive = b"close" not in tokens and (request.modern or b"keep-alive" in tokens)
    if b"upgrade" in tokens and request.modern:
        request.upgrade = _protocol(known.get(b"upgrade", []))
    named = tokens - ORDINARY - STAYING
    for name in named:
        known.pop(name, None)
    return without(lines, named) if named else lines


def _protocol(values: list[bytes]) -> bytes:
    """Return the protocol to change to. HTTP/2 and TLS would pass by our checks: not those."""
    value = b", ".join(values)
    return b"" if value.lower().startswith((b"h2", b"http", b"tls")) else value


def _read_framing(known: Known, request: Request, out: list[bytes]) -> None:
    """Note how long the body is; the parser has refused most of what is doubtful already."""
    codings = known.get(b"transfer-encoding")
    lengths = known.get(b"content-length")
    if codings is not None:
        if lengths or not request.modern or [coding.lower() for coding in codings] != [b"chunked"]:
            raise BadRequest(400, "the only transfer coding is chunked, once, in HTTP/1.1")
        request.chunked = True
        out.append(b"Transfer-Encoding: chunked\r\n")
    elif lengths is not None:
        if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
            raise BadRequest(400, "Content-Length is not one number")
        request.length = int(lengths[0])
        out.append(b"Content-Length: %d\r\n" % request.length)
    if request.upgrade:
        if request.has_body:
            raise BadRequest(400, "a request with a body changes no protocol")
        out.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % request.upgrade)


def _read_rest(known: Known, request: Request, out: list[bytes]) -> None:
    cookies = known.get(b"cookie")
    if cookies is not None:
        request.cookie = b"; ".join(cookies)  # RFC 9113 8.2.3: so they become one again
        out.append(b"Cookie: %b\r\n" % request.cookie)
    if b"expect" in known and request.modern:
        request.expects = True
        out.append(b"Expect: %b\r\n" % b", ".join(known[b"expect"]))
    if b"x-slipway-version" in known:
        request.override = known[b"x-slipway-version"][-1]
    if b"via" in known:
        out.append(b"Via: %b\r\n" % b", ".join(known[b"via"]))


def _tell_client(known: Known, request: Request, peer: Peer, host: bytes, out: list[bytes]) -> None:
    """Say who the client is; what it said itself counts only from this machine."""
    if not peer.trusted or TOLD.isdisjoint(known):
        request.client = "" if peer.trusted else peer.key
        out += (peer.told, host, b"\r\n\r\n")
        return
    before = known.get(b"x-forwarded-for", [])
    if before:
        request.client = b",".join(before).split(b",", 1)[0].strip()[:64].decode("latin-1")
    proto = known.get(b"x-forwarded-proto", (b"http",))[-1]
    request.secure = proto.lower() == b"https"
    shown = known.get(b"x-forwarded-host", (host,))[-1]
    for name in TOLD.intersection(known).difference(FORWARDED):
        out += [b"%b: %b\r\n" % (name.title(), value) for value in known[name]]
    out.append(
        b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n\r\n"
        % (b", ".join((*before, peer.address)), proto, shown)
    )
