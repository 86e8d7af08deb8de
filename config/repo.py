"""Reader of a repository's own `.slipway.yaml`."""

from config.files import parse
from domain.repo_config import RepoConfig


def read_repo_config(text: str, name: str) -> RepoConfig:
    """Read the file as a record; raises `Refused` with line, field and reason."""
    return parse(text, RepoConfig, name)
