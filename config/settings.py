"""The environment, typed: where slipway keeps its things, and which database and server it uses."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_home() -> Path:
    """Return the state folder of the XDG base directory specification 0.8."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "slipway"


def default_cache() -> Path:
    """Return the cache folder of the same specification; homes share it, it holds no state."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "slipway"


class Settings(BaseSettings):
    """Read once at the edge (`workers`, `starter`); every variable starts with `SLIPWAY_`."""

    model_config = SettingsConfigDict(env_prefix="SLIPWAY_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    database_url: str = ""  # empty: a SQLite file in `home`
    temporal_bin: str = ""  # a `temporal` binary; empty: found or fetched
    cache: Path = Field(default_factory=default_cache)  # tools, target environments
    agent_slots: int = Field(default=4, ge=1)  # agents at once on this host
    check_slots: int = Field(default=2, ge=1)  # gate commands at once on this host
    minimum_tier: str = "limits"  # lowest sandbox tier in which a command may run
    metrics_port: int = Field(default=0, ge=0, le=65_535)  # of Prometheus metrics; 0: none
    pulse: Path | None = None  # a file that a worker touches while it is alive

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the records."""
        return self.database_url or f"sqlite+aiosqlite:///{self.home / 'slipway.db'}"

    @property
    def objects(self) -> Path:
        """Bare git stores, one per repository."""
        return self.home / "objects"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def workspaces(self) -> Path:
        return self.home / "workspaces"

    @property
    def releases(self) -> Path:
        """What was built to be run on this machine, a folder per release."""
        return self.home / "releases"

    @property
    def host(self) -> Path:
        """Sockets, states and logs of the host: supervisor, edge, services."""
        return self.home / "host"

    @property
    def operator(self) -> Path:
        """The operator's own policy.yaml, agents/ and recipes/."""
        return self.home / "config"
