"""The configuration of the HAProxy of one target (configuration manual 2.6)."""

import re
from collections.abc import Iterable

from domain.deployment import Route
from domain.errors import Rejected
from domain.record import Record
from integrations.haproxy_admin import BACKEND
from integrations.haproxy_shares import weight

FILE, ROUTES, VERSIONS, ASKED = "haproxy.cfg", "routes.map", "versions.map", "asked.map"
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}|\*")


class Face(Record):
    """What the outside sees; a change needs a new worker process."""

    host: str
    port: int
    timeout_s: float = 30  # until the first byte of an answer, and between two of its parts

    @property
    def label(self) -> str:
        """What HAProxy calls the face that it has."""
        return f"{self.host} {self.port} {self.timeout_s:g}"


def checked(target: str, face: Face) -> Face:
    """Return the face; raises `Rejected` (`bad_address`) for one that cannot be served."""
    if not face.port or not _HOST.fullmatch(face.host):
        raise Rejected(
            f"{target} cannot be reached at {face.host!r} port {face.port}",
            code="bad_address",
            hint="declare `host` and `port` of this environment",
        )
    return face


def config(face: Face, routes: Iterable[Route]) -> str:
    """Return the text; a worker that is started with it serves what is in force.

    Connections to instances end with each request: so a drained instance is free at once, and no
    request meets a connection that its instance is just closing.
    """
    servers = "".join(
        f"    server {route.instance} {route.address} weight {weight(route)}\n" for route in routes
    )
    host = f"[{face.host}]" if ":" in face.host else face.host
    return f"""# Written by slipway; changes are lost.
global
    description "{face.label}"
    noreuseport
    stats socket unix@admin.sock mode 600 level admin expose-fd listeners
    hard-stop-after 3600s
defaults
    mode http
    option http-server-close
    option redispatch 1
    retries 3
    timeout connect 3s
    timeout client 60s
    timeout http-request 10s
    timeout http-keep-alive 75s
    timeout queue 10s
    timeout tunnel 3600s
    timeout server {max(1, round(face.timeout_s * 1000))}ms
frontend public
    bind {host}:{face.port}
    option forwardfor
    http-request set-var(txn.asked) req.hdr(x-slipway-version),map({ASKED})
    http-request del-header X-Slipway-Version
    http-request set-header X-Forwarded-Proto http unless {{ req.hdr(x-forwarded-proto) -m found }}
    http-request set-header X-Forwarded-Host %[req.hdr(host)] \
unless {{ req.hdr(x-forwarded-host) -m found }}
    default_backend {BACKEND}
frontend health
    bind 127.0.0.1:"$PORT"
    monitor-uri /
backend {BACKEND}
    balance roundrobin
    use-server %[var(txn.asked)] if {{ var(txn.asked) -m found }}
    use-server %[rand(10000),map_int({ROUTES})] if TRUE
    http-response set-header X-Slipway-Version %[srv_name,map({VERSIONS})]
{servers}"""
