"""The requirements that a Python project declares for its tests, in all the usual places."""

import ast
import configparser
import re
from typing import Any

from domain.globs import matches
from integrations.gates.ini_files import read_ini
from integrations.gates.snapshot import Snapshot
from integrations.gates.versions import from_poetry


def own_extras(
    name: str, extras: tuple[str, ...], specs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Turn `project[extra]` among the requirements of a project into an extra of its own."""
    kept = []
    for spec in specs:
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", spec)
        if match and name and plain_name(match[1]) == plain_name(name):
            extras = (*extras, *(word.strip() for word in (match[2] or "").split(",") if word))
        else:
            kept.append(spec)
    return tuple(dict.fromkeys(extras)), tuple(kept)


def declared_extras(
    snap: Snapshot,
    project: dict[str, Any],
    poetry: dict[str, Any],
    setup_cfg: configparser.ConfigParser,
) -> tuple[str, ...]:
    found = [*project.get("optional-dependencies", {}), *poetry.get("extras", {})]
    if setup_cfg.has_section("options.extras_require"):
        found += setup_cfg.options("options.extras_require")
    return tuple(dict.fromkeys((*found, *_setup_extras(snap.text("setup.py")))))


def _setup_extras(text: str) -> tuple[str, ...]:
    """Return the literal keys of `extras_require` in a setup.py, without running it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "extras_require":
            value = named.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            if isinstance(value, ast.Dict):
                keys = (key.value for key in value.keys if isinstance(key, ast.Constant))
                return tuple(key for key in keys if isinstance(key, str))
    return ()


def group(pyproject: dict[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the requirements of PEP 735 groups with one of these names, includes resolved."""
    groups = pyproject.get("dependency-groups", {})
    found: list[str] = []
    for name in groups:
        if plain_name(name) in names:
            found += _resolved(groups, name, ())
    return tuple(found)


def _resolved(groups: dict[str, Any], name: str, seen: tuple[str, ...]) -> list[str]:
    by_name = {plain_name(key): key for key in groups}
    key = by_name.get(plain_name(name))
    if key is None or key in seen or not isinstance(groups[key], list):
        return []
    found: list[str] = []
    for entry in groups[key]:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            found += _resolved(groups, entry["include-group"], (*seen, key))
    return found


def poetry_group(poetry: dict[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    tables = [
        group.get("dependencies", {})
        for name, group in poetry.get("group", {}).items()
        if plain_name(name) in names
    ]
    if "dev" in names:
        tables.append(poetry.get("dev-dependencies", {}))
    return tuple(
        spec for table in tables for name, value in table.items() for spec in _poetry(name, value)
    )


def _poetry(name: str, value: Any) -> list[str]:
    """Translate one Poetry dependency; sources other than the index are left out."""
    if isinstance(value, list):
        return [spec for entry in value for spec in _poetry(name, entry)]
    if isinstance(value, str):
        return [name + from_poetry(value)]
    if not isinstance(value, dict) or {"git", "path", "url"} & set(value):
        return []
    extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
    markers = [value["markers"]] if value.get("markers") else []
    python = from_poetry(str(value.get("python", "")))
    for clause in filter(None, python.split(",")):
        sign = re.match(r"[<>=!~]+", clause)
        markers.append(f'python_version {sign[0]} "{clause[sign.end() :]}"' if sign else "")
    marker = " ; " + " and ".join(filter(None, markers)) if any(markers) else ""
    return [name + extras + from_poetry(str(value.get("version", "*"))) + marker]


def requirements_files(snap: Snapshot, patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in snap.paths if matches(path, patterns))[:3]


def tox(snap: Snapshot) -> tuple[str, ...]:
    """Return the plain dependencies of `[testenv]` in a tox.ini."""
    ini = read_ini(snap.text("tox.ini"))
    lines = (
        ini.get("testenv", "deps", fallback="").splitlines() if ini.has_section("testenv") else []
    )
    return tuple(
        line.strip()
        for line in lines
        if re.fullmatch(r"\s*[A-Za-z][\w.-]*(\[[\w,-]+\])?\s*([<>=!~][^:{]*)?", line)
    )


def plain_name(name: str) -> str:
    """Return a name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
