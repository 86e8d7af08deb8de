"""Where a target environment is built: a folder of the cache, a lock, commands with network."""

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from domain.command import CommandLimits, CommandOrder
from integrations.gates.ports import Commands, Progress

PASSED = (  # names only; what they hold is the user's, and only set-up sees it
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_FIND_LINKS",
    "PIP_NO_INDEX", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT", "PIP_RETRIES", "PIP_CLIENT_CERT",
    "NPM_CONFIG_REGISTRY", "npm_config_registry", "npm_config_cafile",
    "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GONOPROXY", "GOFLAGS",
)  # fmt: skip
PIP_FILES = ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf")
NPM_FILES = ("~/.npmrc",)
SETUP = CommandLimits(wall_seconds=1_800, memory_mib=6_144, processes=512)
TAIL = 3_000


class SetupFailed(Exception):
    """A set-up command ended red; the text is what it said last."""


class Workshop:
    """Runs set-up commands in `<root>/room/tree`, logs them, and hands out their output.

    Commands may write the room alone; what slipway writes or reads by itself lies beside it, or
    is checked: a command can put a link in the place of anything in its room.
    """

    def __init__(
        self,
        root: Path,
        commands: Commands,
        progress: Progress,
        passed: tuple[str, ...] = PASSED,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self.root = root
        self.folder = root / "room"
        self.kept = root / "project"  # what a checkout gets besides its own files
        self.log = root / "setup.log"
        self.tree = self.folder / "tree"
        self.home = self.folder / "home"
        self._commands = commands
        self._progress = progress
        self._settings = {name: env[name] for name in passed if env.get(name)}
        self._readable: tuple[str, ...] = ()  # what the settings name, fixed before any command

    async def run(
        self,
        line: str,
        *,
        network: bool,
        env: Mapping[str, str],
        readable: tuple[str, ...] = (),
    ) -> str:
        """Run a shell line in the tree; raises `SetupFailed` with its last output."""
        self._progress(f"set-up: {line[:120]}")
        output = self.root / "output"
        outcome = await self._commands.run(
            CommandOrder(
                argv=("/bin/sh", "-c", f"cd tree && {line}"),
                folder=str(self.folder),
                home=str(self.home),
                env={**(self._settings if network else {}), **env},
                readable=(*readable, *(self._readable if network else ())),
                network=network,
                limits=SETUP,
                output=str(output),
            )
        )
        said = await asyncio.to_thread(self._note, line, output)
        if outcome.ended != "exited" or outcome.exit_code != 0:
            how = f"exit code {outcome.exit_code}"
            how = how if outcome.ended == "exited" else outcome.ended
            raise SetupFailed(f"{line[:200]}: {how}\n{said[-TAIL:].strip()}")
        return said

    def _note(self, line: str, output: Path) -> str:
        said = output.read_text("utf-8", "replace") if output.exists() else ""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {line}\n{said}\n")
        return said

    def _named(self) -> tuple[str, ...]:
        """Return existing paths that the passed settings and the copied files name."""
        texts = [*self._settings.values()]
        texts += [path.read_text("utf-8", "replace") for path in self._copied()]
        words = (word for text in texts for word in re.split(r"[\s=:,'\"]+", text))
        paths = {word for word in words if word.startswith("/") and len(word) > 4}
        return tuple(sorted(path for path in paths if Path(path).exists()))

    def _copied(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.home / ".config/pip/pip.conf", self.home / ".npmrc")
                     if path.exists())  # fmt: skip

    def furnish(self) -> None:
        """Make an empty folder with a home that has the user's installer settings."""
        remove(self.root)
        (self.home / ".config/pip").mkdir(parents=True)
        for sources, target in ((PIP_FILES, ".config/pip/pip.conf"), (NPM_FILES, ".npmrc")):
            for source in sources:
                if (path := Path(source).expanduser()).is_file():
                    shutil.copyfile(path, self.home / target)
                    break
        self._readable = self._named()

    def tidy(self) -> None:
        """Remove what nobody needs after set-up, above all the copied settings."""
        remove(self.home)
        (self.root / "output").unlink(missing_ok=True)


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold an exclusive lock on a file, over all processes of this host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.05)
        yield  # closing the file gives the lock back


def inside(folder: Path, path: Path) -> bool:
    """Say whether a path, links followed, stays below a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def remove(folder: Path) -> None:
    """Remove a folder, also where a command has taken away its own permissions."""

    def again(function: object, path: str, error: object) -> None:
        for each in (Path(path).parent, Path(path)):
            if each.is_dir() and not each.is_symlink():
                each.chmod(0o700)
        if Path(path).is_dir() and not Path(path).is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)

    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder, onerror=again)
