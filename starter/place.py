"""Where slipway is on this machine: its settings, and which Temporal server it talks to."""

import getpass
import os
import sys
from typing import Any

from pydantic import ValidationError

from config.settings import Settings
from domain.errors import Misconfigured


def settings() -> Settings:
    """Return the settings of the environment.

    Raises `Misconfigured` with the name of the variable that is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"SLIPWAY_{'_'.join(str(part) for part in first['loc']).upper()}"
        raise Misconfigured(
            f"{variable} is {first['input']!r}: {first['msg']}",
            code="bad_setting",
            hint=f"Set {variable} to a value that fits, or unset it.",
        ) from error


def foreign_server() -> dict[str, Any] | None:
    """Return how to connect to the server that the environment or temporal.toml names.

    The variables and the file are those of every Temporal tool; None: slipway has its own.
    """
    from temporalio.envconfig import ClientConfig

    try:
        found = dict(ClientConfig.load_client_connect_config())
    except Exception as error:
        raise Misconfigured(
            f"The Temporal connection settings cannot be read: {error}",
            code="bad_temporal_settings",
            hint="Look at TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the file that they name.",
        ) from error
    return found if found.get("target_host") else None


def command(*arguments: str) -> list[str]:
    """Return the command line of one of our modules in this very interpreter."""
    return [sys.executable, "-P", "-m", *arguments]


def person() -> str:
    """Return the user of the operating system, who is the initiator and the one who answers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid-{os.getuid()}"
