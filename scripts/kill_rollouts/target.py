"""A target of the campaign: its repository, its commits, and who may be released next."""

import os
import random
import subprocess
from pathlib import Path
from typing import NamedTuple

from domain.deployment import Place
from domain.idea import Idea, IdeaSpec, Initiator
from domain.ledger import RegisterIdea
from domain.repository import Repository
from domain.rollout import StartRollout
from integrations.git import Git
from scripts.kill_rollouts import service
from scripts.kill_rollouts.service import ENVIRONMENT, NAME

_BRANCH = "refs/heads/main"


class Release(NamedTuple):
    """One rollout of the campaign."""

    number: int
    kind: str
    tag: str
    sha: str
    start: StartRollout


class Target:
    """Makes commits, each on top of the last one that passed, and their start inputs."""

    def __init__(self, folder: Path, git: Git, number: int, port: int, replicas: int) -> None:
        self.name = f"target-{number}"
        self.key = f"kill-{self.name}"
        self.port = port
        self.replicas = replicas
        self._git = git
        self._folder = folder / f"{self.name}.git"
        self._repository: Repository | None = None
        self._blobs: dict[str, str] = {}
        self.passed = ""  # the last commit that passed
        self.undone = ""  # the last one that was undone since then

    async def prepare(self) -> RegisterIdea:
        """Make the repository; return the idea under which its rollouts are recorded."""
        _git(self._folder.parent, "init", "-q", "--bare", "-b", "main", self._folder.name)
        texts = {
            "service.py": service.PROGRAM,
            ".slipway.yaml": service.declaration(self.port, self.replicas),
        }
        self._blobs = {name: self._blob(text) for name, text in texts.items()}
        _git(self._folder, "update-ref", _BRANCH, self._commit("first", "good", 0, ()))
        self._repository, _ = await self._git.inspect(str(self._folder))
        idea = Idea(
            key=self.key,
            spec_digest="d" * 64,
            spec=IdeaSpec(title=f"Release {self.name}"),
            repository=self._repository,
            initiator=Initiator(id="campaign"),
        )
        return RegisterIdea(
            idea=idea, workflow_id=f"idea/{self.key}", run_id="1", op=f"{self.key}/register",
            at_ms=1,
        )  # fmt: skip

    @property
    def place(self) -> Place:
        assert self._repository is not None
        return Place(repository=self._repository, service=NAME, environment=ENVIRONMENT)

    async def release(
        self, number: int, kind: str, dice: random.Random, template: StartRollout
    ) -> Release:
        """Make the next commit, and the start input of its rollout."""
        tag = f"{self.name}-{number:03d}"
        parent = self.undone if kind == "holds what was undone" else self.passed
        errors = dice.uniform(0.2, 0.3) if kind == "bad answers" else 0.0
        sha = self._commit(tag, kind, errors, (parent,) if parent else ())
        _git(self._folder, "update-ref", _BRANCH, sha)
        await self._git.import_commit(self.place.repository, self._folder, sha)
        start = template.but(place=self.place, key=self.key, sha=sha, tag=tag, round=number)
        return Release(number, kind, tag, sha, start)

    def ended(self, release: Release, state: str) -> None:
        """Remember what the next commit may build on."""
        if state == service.PASSED:
            self.passed, self.undone = release.sha, ""
        elif state == service.UNDONE:
            self.undone = release.sha

    def _commit(self, name: str, kind: str, errors: float, parents: tuple[str, ...]) -> str:
        blobs = self._blobs | {"release.json": self._blob(service.release(name, kind, errors))}
        lines = [f"100644 blob {blob}\t{path}" for path, blob in sorted(blobs.items())]
        tree = _git(self._folder, "mktree", text="\n".join(lines) + "\n")
        words = [word for parent in parents for word in ("-p", parent)]
        return _git(self._folder, "commit-tree", tree, *words, "-m", f"{name}: {kind}")

    def _blob(self, text: str) -> str:
        return _git(self._folder, "hash-object", "-w", "--stdin", text=text)


def _git(folder: Path, *args: str, text: str = "") -> str:
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *args], cwd=folder, env=env, input=text, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
