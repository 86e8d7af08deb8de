"""The Temporal server binary: found, fetched or built once, and how it is started.

`python -m starter.server` does that and prints where it is.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.settings import Settings
from domain.errors import Misconfigured, Unavailable
from domain.record import Record
from starter.files import locked, write_whole

# Server 1.29.1 and UI 2.42.1: the release that is both an official download and one that
# `go install` takes (later ones have a local `replace` in their go.mod).
CLI_VERSION = "v1.5.1"
GO_MODULE = f"github.com/temporalio/cli/cmd/temporal@{CLI_VERSION}"

# Up to nine times faster for stages one after another: the one shard of this server polls its
# transfer queue 20 times a second at most, and four partitions are three too many for one host.
_DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "2000",
    "matching.useNewMatcher": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
}
_PRAGMAS = {"journal_mode": "wal", "synchronous": "1"}

Tell = Callable[[str], None]


class Binary(Record):
    """A `temporal` binary, and which of the ways led to it."""

    path: Path
    origin: str


def find(settings: Settings) -> Binary | None:
    """Return the binary that is already on this machine, by the documented order; else None.

    Raises `Misconfigured` when SLIPWAY_TEMPORAL_BIN names something that cannot be run.
    """
    if settings.temporal_bin:
        return Binary(path=_named(settings.temporal_bin), origin="SLIPWAY_TEMPORAL_BIN")
    if on_path := shutil.which("temporal"):
        return Binary(path=Path(on_path), origin="PATH")
    cached = _cached(settings)
    return Binary(path=cached, origin="cache") if _runs(cached) else None


def obtain(settings: Settings, tell: Tell) -> Binary:
    """Return the binary, after fetching or building it where needed; `tell` hears progress.

    One process at a time fetches; the others wait for it. Raises `Unavailable` with all ways
    when none works here.
    """
    if found := find(settings):
        return found
    with locked(_cached(settings).with_name("fetch.lock"), wait=True):
        if found := find(settings):
            return found
        return _fetch(_cached(settings), tell)


def find_temporal(settings: Settings) -> Path:
    """Return the path of the binary, fetched or built first where needed, told on stderr."""
    return obtain(settings, lambda line: print(line, file=sys.stderr, flush=True)).path


def _named(path: str) -> Path:
    binary = Path(path).expanduser()
    if not _runs(binary):
        raise Misconfigured(
            f"SLIPWAY_TEMPORAL_BIN names {path}, which is not an executable file",
            code="temporal_bin",
            path=path,
            hint="Name a `temporal` binary, for example /usr/local/bin/temporal, or unset it.",
        )
    return binary.resolve()


def _cached(settings: Settings) -> Path:
    return settings.cache / "temporal" / CLI_VERSION / "temporal"


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _fetch(target: Path, tell: Tell) -> Binary:
    failures: list[str] = []
    for origin, way in (("download", download), ("go install", build)):
        try:
            way(target, tell)
        except (OSError, RuntimeError, ValueError) as error:
            failures.append(f"{origin}: {_first_line(error)}")
            tell(f"{failures[-1]}")
        else:
            return Binary(path=target, origin=origin)
    raise Unavailable(
        "No Temporal server on this machine, and none could be fetched or built "
        f"({'; '.join(failures)})",
        code="no_temporal",
        hint=(
            "Any one of these helps: a running server in TEMPORAL_ADDRESS; a binary in "
            "SLIPWAY_TEMPORAL_BIN or as `temporal` on PATH; access to temporal.download; "
            "Go 1.24 or newer on PATH with access to a module proxy."
        ),
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def download(target: Path, tell: Tell) -> None:
    """Let the SDK fetch the vendor's pinned release, and keep the binary."""
    tell(f"Fetching the Temporal server {CLI_VERSION} from its vendor ...")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        asyncio.run(_download(folder))
        fetched = next(iter(Path(folder).glob("temporal*")))
        fetched.chmod(0o755)
        fetched.replace(target)


async def _download(folder: str) -> None:
    from temporalio.testing import WorkflowEnvironment

    environment = await WorkflowEnvironment.start_local(
        dev_server_download_version=CLI_VERSION, download_dest_dir=folder
    )
    await environment.shutdown()


def build(target: Path, tell: Tell, *, beat_seconds: float = 15) -> None:
    """Build the pinned release with the Go toolchain; its sums are checked by Go itself.

    Its own build folders, so that neither a missing HOME nor the user's settings matter and
    nothing but the binary stays.
    """
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("no `go` on PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        log = Path(folder) / "go.log"
        with _telling(tell, f"Building the Temporal server {CLI_VERSION} (2 to 3 minutes)"):
            _run_go(go, Path(folder), log, tell, beat_seconds)
        (Path(folder) / "bin" / "temporal").replace(target)


@contextmanager
def _telling(tell: Tell, what: str) -> Iterator[None]:
    began = time.monotonic()
    tell(f"{what} ...")
    yield
    tell(f"{what}: done in {time.monotonic() - began:.0f} s")


def _run_go(go: str, folder: Path, log: Path, tell: Tell, beat_seconds: float) -> None:
    environment = os.environ | {
        "GOBIN": str(folder / "bin"),
        "GOPATH": str(folder / "path"),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "-modcacherw",  # else the folder cannot be removed
        "CGO_ENABLED": "0",
    }
    began = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [go, "install", "-v", GO_MODULE], stdout=sink, stderr=sink, cwd=folder, env=environment
        )
        while True:
            try:
                code = process.wait(timeout=beat_seconds)
                break
            except subprocess.TimeoutExpired:
                tell(f"  building for {time.monotonic() - began:.0f} s: {_progress(log)}")
            except BaseException:
                process.kill()
                process.wait()
                raise
    if code != 0:
        raise RuntimeError(f"`go install {GO_MODULE}` failed: {_last_line(log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def _progress(log: Path) -> str:
    """Say how far `go install -v` is: it names each package that it compiles."""
    lines = log.read_text(errors="replace").splitlines()
    compiled = sum(not line.startswith("go: ") for line in lines)
    return f"{compiled} packages compiled" if compiled else f"{len(lines)} modules fetched"


def start_argv(
    binary: Path, *, port: int, ui_port: int, database: Path, attributes: Iterable[tuple[str, str]]
) -> list[str]:
    """Return the command line of our development server: file-backed, on loopback, tuned."""
    argv = [
        str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port),
        "--ui-port", str(ui_port), "--db-filename", str(database), "--namespace", "default",
        "--log-format", "json", "--log-level", "warn",
    ]  # fmt: skip
    for key, value in _DYNAMIC_CONFIG.items():
        argv += ["--dynamic-config-value", f"{key}={value}"]
    for key, value in _PRAGMAS.items():
        argv += ["--sqlite-pragma", f"{key}={value}"]
    for name, kind in attributes:
        argv += ["--search-attribute", f"{name}={kind}"]
    return argv


def search_attributes() -> tuple[tuple[str, str], ...]:
    """Return names and types of our search attributes, in the words of the CLI."""
    from workflows.names import SEARCH_ATTRIBUTES

    return tuple(
        (key.name, key.indexed_value_type.name.title().replace("_", ""))
        for key in SEARCH_ATTRIBUTES
    )


def free_port(preferred: int = 0) -> int:
    """Return a loopback port that nobody holds now: the preferred one, or any."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable("No free port on 127.0.0.1", code="no_port")


def version_of(binary: Path, settings: Settings) -> str:
    """Return the server version that this binary brings, as the server itself says.

    Asked once per binary with a server in memory (a source build calls its CLI 0.0.0-DEV),
    then remembered by size and time of the file.
    """
    known = settings.cache / "temporal" / "versions.json"
    facts = binary.stat()
    name = f"{binary.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    versions = _read_versions(known)
    if name not in versions:
        versions[name] = asyncio.run(_ask_version(binary))
        write_whole(known, json.dumps(versions, indent=1))
    return versions[name]


def _read_versions(path: Path) -> dict[str, str]:
    try:
        read: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return read


async def _ask_version(binary: Path) -> str:
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        str(binary), "server", "start-dev", "--headless", "--ip", "127.0.0.1",
        "--port", str(port), "--log-level", "never",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return await server_version(await connect(f"127.0.0.1:{port}", seconds=20))
    finally:
        server.kill()
        await server.wait()


async def connect(address: str, *, seconds: float, **options: Any) -> Any:
    """Return a client once the server serves; raises `Unavailable` after so many seconds."""
    from temporalio.client import Client

    deadline = time.monotonic() + seconds
    while True:
        try:
            return await Client.connect(address, **options)
        except RuntimeError as error:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"The Temporal server at {address} does not answer: {_first_line(error)}",
                    code="server_unreachable",
                    hint="`slipway doctor` says what is missing; `slipway up` starts a server.",
                ) from error
        await asyncio.sleep(0.05)


async def server_version(client: Any) -> str:
    """Return what GetSystemInfo says."""
    from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

    told = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    return str(told.server_version)


def main() -> None:
    """Obtain the binary, unless another server is to be used, and print its path."""
    from starter.place import foreign_server, settings

    try:
        if foreign_server() is None:
            print(find_temporal(settings()))
    except (Misconfigured, Unavailable) as error:
        print(f"error: {error}\n{error.problem.hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
