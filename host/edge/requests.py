"""The head of a request: what a client said, checked, and as it goes on to an instance."""

import re

from host.edge.limits import Limits

VIA = b"1.1 slipway"
OVERRIDE = b"x-slipway-version"
# RFC 9110 7.6.1, and what a proxy of HTTP/1.1 says anew itself.
HOP = frozenset(
    (b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authorization",
     b"http2-settings", OVERRIDE)
)  # fmt: skip
# What tells an instance who the client is: only a proxy on this machine may say it.
TOLD = frozenset(
    (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
     b"x-forwarded-server", b"x-forwarded-prefix", b"x-forwarded-ssl", b"x-real-ip", b"forwarded")
)  # fmt: skip
FRAMING = frozenset((b"host", b"content-length", b"transfer-encoding", b"via"))
READ = frozenset((b"connection", b"upgrade", b"expect", b"cookie", *FRAMING)) | HOP | TOLD
# CGI turns `-` into `_`: Content_Length would be taken for Content-Length.
LOOKALIKES = frozenset(name.replace(b"-", b"_") for name in READ if b"-" in name)
STAYING = FRAMING | TOLD  # a client may not have them removed by naming them in Connection

HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=-]*(?:\[[0-9A-Fa-f:.]+\])?(?::[0-9]{0,5})?")
ABSOLUTE = re.compile(rb"https?://([^/?#@]+)([^#]*)", re.IGNORECASE)
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 9.2.2
LOOPBACK = ("127.", "::1", "::ffff:127.")

Headers = list[tuple[bytes, bytes]]


class BadRequest(Exception):
    """A request that is refused with a status; the connection is closed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Request:
    """A checked request. `head` is what an instance is sent, without the empty line's peer."""

    __slots__ = (
        "body", "chunked", "client", "complete", "cookie", "expects", "head", "keep_alive",
        "length", "method", "modern", "override", "secure", "upgrade",
    )  # fmt: skip

    def __init__(self, method: bytes, modern: bool) -> None:
        self.method = method
        self.modern = modern  # HTTP/1.1, else 1.0
        self.head = b""
        self.keep_alive = modern
        self.length = 0
        self.chunked = False
        self.expects = False
        self.upgrade = b""
        self.cookie = b""
        self.override = b""
        self.client = ""  # key of the client for bad answers; empty: unknown
        self.secure = False
        self.body: list[bytes] = []  # what came before an instance was there to take it
        self.complete = False

    @property
    def idempotent(self) -> bool:
        return self.method in IDEMPOTENT

    @property
    def has_body(self) -> bool:
        return self.chunked or self.length > 0


class Peer:
    """Who is on the other end of a client connection."""

    __slots__ = ("address", "local", "trusted")

    def __init__(self, address: str, local: str) -> None:
        self.address = address
        self.local = local  # host:port that it came to
        self.trusted = address.startswith(LOOPBACK)


def read_request(
    method: bytes, target: bytes, version: str, headers: Headers, peer: Peer, limits: Limits
) -> Request:
    """Check what a parser found, and write the head for an instance; raises `BadRequest`."""
    if version not in ("1.1", "1.0"):
        raise BadRequest(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    _check_size(target, headers, limits)
    request = Request(method, version == "1.1")
    known: dict[bytes, list[bytes]] = {}
    lines = []
    for name, value in headers:
        key = name.lower()
        if key in READ:
            known.setdefault(key, []).append(value)
        elif key not in LOOKALIKES:
            lines.append((key, b"%b: %b\r\n" % (name, value)))
    host = _host(known, request, peer)
    target = _target(method, target, host)
    named = _read_connection(known, request)
    if named:
        lines = [(key, line) for key, line in lines if key not in named]
    _read_framing(known, request)
    out = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method, target, host)]
    out += [line for _, line in lines]
    out += _own_lines(known, request, peer, host, named)
    out.append(b"\r\n")
    request.head = b"".join(out)
    return request


def _check_size(target: bytes, headers: Headers, limits: Limits) -> None:
    if len(headers) > limits.headers:
        raise BadRequest(431, f"more than {limits.headers} header fields")
    size = len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > limits.head_bytes:
        raise BadRequest(431, f"the head is larger than {limits.head_bytes} bytes")


def _host(known: dict[bytes, list[bytes]], request: Request, peer: Peer) -> bytes:
    """Return the one Host (RFC 9112 3.2: none or several are an error in HTTP/1.1)."""
    hosts = known.get(b"host", ())
    if len(hosts) > 1 or (request.modern and not hosts):
        raise BadRequest(400, "there must be exactly one Host")
    host = hosts[0] if hosts else peer.local.encode()
    if not HOST.fullmatch(host):
        raise BadRequest(400, "Host is not well formed")
    return host


def _target(method: bytes, target: bytes, host: bytes) -> bytes:
    """Return the target in origin form (RFC 9112 3.2)."""
    if b"#" in target:
        raise BadRequest(400, "a request target has no fragment")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    absolute = ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest(400, "the request target is neither a path nor an address")
    if absolute[1].lower() != host.lower():
        raise BadRequest(400, "the request target and Host name different hosts")
    rest = absolute[2]
    if not rest:
        return b"*" if method == b"OPTIONS" else b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


def _read_connection(known: dict[bytes, list[bytes]], request: Request) -> frozenset[bytes]:
    """Note what Connection says; return the further fields that it takes away."""
    said = known.get(b"connection")
    if said is None:
        return frozenset()
    tokens = frozenset(token.strip().lower() for token in b",".join(said).split(b","))
    request.keep_alive = b"close" not in tokens and (request.modern or b"keep-alive" in tokens)
    if b"upgrade" in tokens and request.modern:
        request.upgrade = _protocol(known.get(b"upgrade", []))
    return tokens - STAYING


def _protocol(values: list[bytes]) -> bytes:
    """Return the protocol to change to. HTTP/2 and TLS would pass by our checks: not those."""
    value = b", ".join(values)
    return b"" if value.lower().startswith((b"h2", b"http", b"tls")) else value


def _read_framing(known: dict[bytes, list[bytes]], request: Request) -> None:
    """Note how long the body is; the parser has refused most of what is doubtful already."""
    codings = known.get(b"transfer-encoding")
    lengths = known.get(b"content-length", ())
    if codings is not None:
        if lengths or not request.modern or [coding.lower() for coding in codings] != [b"chunked"]:
            raise BadRequest(400, "the only transfer coding is chunked, once, in HTTP/1.1")
        request.chunked = True
    if len(lengths) > 1 or not all(length.isdigit() and len(length) < 19 for length in lengths):
        raise BadRequest(400, "Content-Length is not one number")
    request.length = int(lengths[0]) if lengths else 0
    if request.upgrade and request.has_body:
        raise BadRequest(400, "a request with a body changes no protocol")


def _own_lines(
    known: dict[bytes, list[bytes]],
    request: Request,
    peer: Peer,
    host: bytes,
    named: frozenset[bytes],
) -> list[bytes]:
    """Return the lines that are ours to say, or that we had to read."""
    out = []
    cookies = known.get(b"cookie")
    if cookies is not None:
        request.cookie = b"; ".join(cookies)
        if b"cookie" not in named:
            out.append(b"Cookie: %b\r\n" % request.cookie)
    if b"expect" in known and request.modern and b"expect" not in named:
        request.expects = True
        out.append(b"Expect: %b\r\n" % b", ".join(known[b"expect"]))
    if request.chunked:
        out.append(b"Transfer-Encoding: chunked\r\n")
    elif b"content-length" in known:
        out.append(b"Content-Length: %d\r\n" % request.length)
    if request.upgrade:
        out.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % request.upgrade)
    if OVERRIDE in known:
        request.override = known[OVERRIDE][-1]
    out.append(b"Via: %b\r\n" % b", ".join((*known.get(b"via", ()), VIA)))
    out += _told_lines(known, request, peer, host)
    return out


def _told_lines(
    known: dict[bytes, list[bytes]], request: Request, peer: Peer, host: bytes
) -> list[bytes]:
    """Return who the client is; what it said itself counts only from this machine."""
    chain: tuple[bytes, ...] = (peer.address.encode(),)
    proto, shown = b"http", host
    out = []
    request.client = peer.address
    if peer.trusted:
        before = known.get(b"x-forwarded-for", ())
        request.client = b",".join(before).split(b",")[0].strip()[:64].decode("latin-1")
        chain = (*before, *chain)
        proto = known.get(b"x-forwarded-proto", (proto,))[-1]
        shown = known.get(b"x-forwarded-host", (shown,))[-1]
        request.secure = proto.lower() == b"https"
        for name in TOLD - SAID:
            out += [b"%b: %b\r\n" % (name.title(), value) for value in known.get(name, ())]
    out.append(
        b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n"
        % (b", ".join(chain), proto, shown)
    )
    return out


SAID = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))
