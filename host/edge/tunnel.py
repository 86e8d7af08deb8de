"""Tunnel: bytes both ways after a change of protocol, such as to WebSocket."""

from typing import Protocol

from host.edge.limits import Limits

HALF_S = 60.0  # silence after one side has ended


class End(Protocol):
    """One of the two connections."""

    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...


class ClientEnd(End, Protocol):
    def hold(self, held: bool) -> None: ...
    def wait(self, seconds: float) -> None: ...
    def break_off(self) -> None: ...


class InstanceEnd(End, Protocol):
    def pause(self, paused: bool) -> None: ...


class Home(Protocol):
    """The instance that a tunnel leads to."""

    def enter_tunnel(self, tunnel: "Tunnel") -> None: ...
    def leave_tunnel(self, tunnel: "Tunnel") -> None: ...


class Tunnel:
    """Pipes bytes; either side may end its direction first, both ended closes both."""

    __slots__ = ("_client", "_eofs", "_home", "_idle_s", "_open", "_upstream")

    def __init__(self, client: ClientEnd, upstream: InstanceEnd, home: Home, limits: Limits):
        self._client = client
        self._upstream = upstream
        self._home = home
        self._idle_s = limits.tunnel_idle_s
        self._eofs = 0
        self._open = True
        home.enter_tunnel(self)
        client.wait(self._idle_s)

    def from_client(self, data: bytes) -> None:
        self._client.wait(self._idle_s)
        self._upstream.write(data)

    def from_instance(self, data: bytes) -> None:
        self._client.wait(self._idle_s)
        self._client.write(data)

    def client_ended(self) -> None:
        self._ended(self._upstream)

    def instance_ended(self) -> None:
        self._ended(self._client)

    def client_blocked(self, blocked: bool) -> None:
        self._upstream.pause(blocked)

    def instance_blocked(self, blocked: bool) -> None:
        self._client.hold(blocked)

    def cut(self) -> None:
        """Close both connections now; a repeat is fine."""
        if self._leave():
            self._upstream.close()
            self._client.break_off()

    def _ended(self, other: End) -> None:
        self._eofs += 1
        if self._eofs == 1:
            self._idle_s = min(self._idle_s, HALF_S)
            self._client.wait(self._idle_s)
            other.write_eof()
        elif self._leave():
            self._upstream.close()
            self._client.close()

    def _leave(self) -> bool:
        """Return whether the tunnel was open until now."""
        was, self._open = self._open, False
        if was:
            self._home.leave_tunnel(self)
        return was
