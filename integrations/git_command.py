"""Git as a hardened command: no foreign configuration, no hooks, no transport, no shell."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from domain.errors import Misconfigured, Rejected, Unavailable

HARDENED = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.precomposeUnicode": "false",
    "core.quotePath": "false",
    "core.logAllRefUpdates": "false",
    "core.pager": "cat",
    "core.warnAmbiguousRefs": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "i18n.commitEncoding": "UTF-8",
}
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_BUSY = ("No space left on device", "Resource temporarily unavailable", ".lock': File exists")


def check_sha(text: str) -> str:
    """Return `text` when it is a full object id in hex; raise `Rejected` otherwise."""
    if not _SHA.fullmatch(text):
        raise Rejected(f"expected a full object id, got {text[:80]!r}", code="bad_object_id")
    return text


def check_ref(text: str) -> str:
    """Return `text` when it is a full ref name (git-check-ref-format); raise `Rejected` otherwise.

    A component may start with a dash: full names start with `refs/`, so it is never an option.
    """
    parts = text.split("/")
    good = (
        len(parts) >= 3
        and parts[0] == "refs"
        and len(text.encode("utf-8", "surrogateescape")) <= 240
        and not _FORBIDDEN_IN_REF.search(text)
        and not any(not p or p.startswith(".") or p.endswith((".", ".lock")) for p in parts)
        and "@" not in parts
    )
    if not good:
        raise Rejected(
            f"expected a full ref name such as refs/heads/main, got {text[:80]!r}",
            code="bad_ref",
        )
    return text


class GitCommand:
    """Runs git with an environment of its own and argument lists only."""

    def __init__(self, binary: str = "git") -> None:
        self._binary = binary

    async def run(
        self,
        *args: str | bytes,
        git_dir: Path | None = None,
        input: bytes = b"",
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        keep_fds: Sequence[int] = (),
        cwd: Path = Path("/"),
    ) -> tuple[int, bytes]:
        """Return the exit code and stdout.

        Raises `Unavailable` when git was busy or the disk is full, `Misconfigured` without git,
        `Rejected` (code `git_failed`) for any other exit code outside `ok`.
        """
        async with self.running(
            *args, git_dir=git_dir, env=env, settings=settings, keep_fds=keep_fds, cwd=cwd
        ) as process:
            out, err = await process.communicate(input)
        code = process.returncode or 0
        if code not in ok:
            raise failure(args, code, err)
        return code, out

    @asynccontextmanager
    async def running(
        self,
        *args: str | bytes,
        git_dir: Path | None = None,
        stdin: int = asyncio.subprocess.PIPE,
        stdout: int = asyncio.subprocess.PIPE,
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        keep_fds: Sequence[int] = (),
        cwd: Path = Path("/"),
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run git in a process group of its own, gone when the block ends."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv(args, git_dir, settings or {}),
                stdin=stdin,
                stdout=stdout,
                stderr=asyncio.subprocess.PIPE,
                env=_environment() | dict(env or {}),
                cwd=cwd,
                start_new_session=True,
                pass_fds=tuple(keep_fds),
            )
        except FileNotFoundError as error:
            raise Misconfigured(
                f"the program {self._binary!r} was not found",
                code="git_missing",
                hint="install git 2.38 or newer and put it on PATH",
            ) from error
        try:
            yield process
        finally:
            _end(process)
            await asyncio.shield(process.wait())

    def _argv(
        self, args: Sequence[str | bytes], git_dir: Path | None, settings: Mapping[str, str]
    ) -> list[str | bytes]:
        argv: list[str | bytes] = [self._binary, "--no-pager"]
        for name, value in (HARDENED | dict(settings)).items():
            argv += ["-c", f"{name}={value}"]
        if git_dir is not None:
            argv.append(f"--git-dir={git_dir}")
        return [*argv, *args]


def _environment() -> dict[str, str]:
    """Return the complete environment: nothing of ours but PATH, nothing of the user's."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_ALLOW_PROTOCOL": "",  # wins over any protocol.*.allow of a repository
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_AUTHOR_NAME": "slipway",
        "GIT_AUTHOR_EMAIL": "slipway@localhost",
        "GIT_COMMITTER_NAME": "slipway",
        "GIT_COMMITTER_EMAIL": "slipway@localhost",
    }


def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the group of a git that is still running; it holds nothing worth a grace period."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def failure(args: Sequence[str | bytes], code: int, err: bytes) -> Unavailable | Rejected:
    """Return the error for a git that ended with an exit code that nobody expected."""
    verb = next((a for a in args if isinstance(a, str) and not a.startswith("-")), "git")
    said = err.decode("utf-8", "replace").strip()[-500:]
    message = f"git {verb} ended with {code}: {said or 'it said nothing'}"
    if code < 0 or any(text in said for text in _BUSY):
        return Unavailable(message, code="git_busy")
    return Rejected(message, code="git_failed")
