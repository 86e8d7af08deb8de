"""Lock files of Python tools, read as constraints for the installer."""

import json
import re
import tomllib
from collections import defaultdict
from typing import Any

from integrations.gates.snapshot import Snapshot

TOML_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")


def constraints(snap: Snapshot) -> tuple[str, ...]:
    """Return `name==version` for each package that a lock file pins to one version.

    A package that is locked to several versions, one for each platform or Python, is left to
    the installer.
    """
    for name in TOML_LOCKS:
        if snap.text(name):
            return _pins(_rows(snap.toml(name)))
    if snap.text("Pipfile.lock"):
        return _pins(_pipfile(snap.text("Pipfile.lock")))
    return ()


def _rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for package in document.get("package") or document.get("packages") or []:
        source = package.get("source")
        local = isinstance(source, dict) and not {"registry"} & set(source) and _is_local(source)
        if isinstance(package.get("version"), str) and not local:
            rows.append((str(package.get("name", "")), package["version"]))
    return rows


def _is_local(source: dict[str, Any]) -> bool:
    kind = source.get("type", "")
    return bool({"editable", "virtual", "directory", "git", "path"} & {*source, kind})


def _pipfile(text: str) -> list[tuple[str, str]]:
    try:
        document = json.loads(text)
    except ValueError:
        return []
    return [
        (name, str(entry["version"]).removeprefix("=="))
        for section in ("default", "develop")
        for name, entry in document.get(section, {}).items()
        if isinstance(entry, dict) and "version" in entry
    ]


def pipfile_names(snap: Snapshot) -> tuple[str, ...]:
    """Return the direct dependencies of a Pipfile, without versions."""
    try:
        document = tomllib.loads(snap.text("Pipfile"))
    except tomllib.TOMLDecodeError:
        return ()
    return tuple(
        name for section in ("packages", "dev-packages") for name in document.get(section, {})
    )


def _pins(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    versions: dict[str, set[str]] = defaultdict(set)
    for name, version in rows:
        if re.fullmatch(r"[A-Za-z0-9._-]+", name) and re.fullmatch(r"[A-Za-z0-9.!+_-]+", version):
            versions[name].add(version)
    return tuple(
        f"{name}=={min(found)}" for name, found in sorted(versions.items()) if len(found) == 1
    )
