"""The public ports: bound here, served by the edge, known again after a restart."""

import json
import socket
from collections.abc import Iterator

from domain.errors import Rejected, Unavailable
from host.supervisor.folder import Folder, write_whole
from host.supervisor.ports import listen


class Public:
    """The listening socket of each target; both we and the edge hold it."""

    def __init__(self, folder: Folder) -> None:
        self._file = folder.targets
        self._sockets: dict[str, socket.socket] = {}
        self.addresses: dict[str, tuple[str, int]] = _read(folder)

    def __iter__(self) -> Iterator[tuple[str, socket.socket]]:
        return iter(tuple(self._sockets.items()))

    def __len__(self) -> int:
        return len(self.addresses)

    @property
    def missing(self) -> tuple[str, ...]:
        """Targets that are declared, but whose socket we do not hold."""
        return tuple(target for target in self.addresses if target not in self._sockets)

    def named(self) -> dict[str, str]:
        return {target: f"{host}:{port}" for target, (host, port) in self.addresses.items()}

    def adopt(self, target: str, public: socket.socket) -> None:
        """Hold a socket that an earlier supervisor bound."""
        self._sockets[target] = public

    def bind(self, target: str) -> None:
        """Bind the declared port; raises what `listen` raises."""
        self._sockets[target] = listen(target, *self.addresses[target])

    def declare(self, target: str, host: str, port: int) -> socket.socket | None:
        """Bind the port of a target and write it down; None: it was there already.

        Raises `Rejected` (`port_taken`, `bad_address`), `Unavailable` when the disk is full.
        """
        if self.addresses.get(target) == (host, port) and target in self._sockets:
            return None
        self._refuse_double(target, host, port)
        public = listen(target, host, port)
        try:
            self._write(self.addresses | {target: (host, port)})
        except BaseException:
            public.close()
            raise
        if old := self._sockets.pop(target, None):
            old.close()
        self._sockets[target] = public
        return public

    def forget(self, target: str) -> bool:
        """Close the port of a target; whether there was one."""
        if target not in self.addresses:
            return False
        self._write({name: at for name, at in self.addresses.items() if name != target})
        if public := self._sockets.pop(target, None):
            public.close()
        return True

    def _refuse_double(self, target: str, host: str, port: int) -> None:
        for other, (_, taken) in self.addresses.items():
            if taken == port and other != target:
                raise Rejected(
                    f"port {port}, which {target} wants, is that of {other}",
                    code="port_taken",
                    hint="declare another port for one of them",
                )

    def _write(self, addresses: dict[str, tuple[str, int]]) -> None:
        try:
            write_whole(self._file, json.dumps(addresses, indent=1))
        except OSError as error:
            raise Unavailable(f"{self._file} cannot be written: {error}", code="disk") from error
        self.addresses = addresses


def _read(folder: Folder) -> dict[str, tuple[str, int]]:
    try:
        found = json.loads(folder.targets.read_text())
        return {str(target): (str(host), int(port)) for target, (host, port) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
