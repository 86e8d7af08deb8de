"""The history of the user's own repository: what a commit contains, and what it declares."""

from collections.abc import Callable
from pathlib import Path

from domain.errors import Rejected
from domain.repo_config import FILE_NAME, RepoConfig
from domain.repository import Repository
from integrations import git_import
from integrations.git_command import GitCommand, check_sha

ReadConfig = Callable[[str, str], RepoConfig]


class LocalHistory:
    """Reads only; our object stores hold no history, so the forge is asked."""

    def __init__(self, command: GitCommand, read_config: ReadConfig) -> None:
        self._command = command
        self._read_config = read_config

    async def contains(self, repository: Repository, sha: str, ancestor: str) -> bool:
        """Return whether `ancestor` is `sha` or in its history; an unknown commit is not."""
        git_dir = await self._git_dir(repository)
        code, _ = await self._command.run(
            "merge-base", "--is-ancestor", check_sha(ancestor), check_sha(sha),
            git_dir=git_dir, ok=(0, 1, 128),
        )  # fmt: skip
        return code == 0

    async def merges(self, repository: Repository, after: str, sha: str) -> tuple[str, ...]:
        """Return the first-parent line after `after` up to `sha`, oldest first."""
        _, out = await self._command.run(
            "rev-list", "--first-parent", "--reverse", check_sha(sha), f"^{check_sha(after)}",
            git_dir=await self._git_dir(repository),
        )  # fmt: skip
        return tuple(out.decode().split())

    async def changed_paths(self, repository: Repository, after: str, sha: str) -> tuple[str, ...]:
        """Return the paths that differ between two commits."""
        _, out = await self._command.run(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", check_sha(after),
            check_sha(sha), git_dir=await self._git_dir(repository),
        )  # fmt: skip
        names = out.decode("utf-8", "backslashreplace").split("\0")
        return tuple(name for name in names if name)

    async def config(self, repository: Repository, sha: str) -> RepoConfig | None:
        """Return what the commit's `.slipway.yaml` says; None without one.

        Raises `Rejected` when it can not be read, with every problem in it.
        """
        code, out = await self._command.run(
            "cat-file", "blob", f"{check_sha(sha)}:{FILE_NAME}",
            git_dir=await self._git_dir(repository), ok=(0, 128),
        )  # fmt: skip
        if code:
            return None
        try:
            text = out.decode()
        except UnicodeDecodeError as error:
            raise Rejected(
                f"{FILE_NAME} of {sha[:12]} is no UTF-8 text: {error}", code="bad_config"
            ) from error
        return self._read_config(text, FILE_NAME)

    async def _git_dir(self, repository: Repository) -> Path:
        return await git_import.find_git_dir(self._command, repository.location)
